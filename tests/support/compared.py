"""A repository that restic wrote, with Argosy and restic side by side, so that what they print can be compared."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from argosy.repository.keys import ScryptNumbers, add_key
from argosy.repository.layout import FileKind
from argosy.repository.repository import open_repository
from argosy.storage.open import open_storage
from argosy.storage.options import StorageOptions
from tests.support.command import Argosy
from tests.support.restic import PASSWORD, Restic, ResticRepository, require_restic

MODEL = (0, 18, 0)
HOSTS = ("alpha", "beta")


@dataclass(frozen=True)
class Compared:
    """The repository's two readers. ``writer`` made it; ``model`` is the restic whose output counts, 0.18 or later."""

    home: Path
    source: Path
    argosy: Argosy
    writer: ResticRepository

    @property
    def model(self) -> ResticRepository:
        """The test is skipped without it."""
        return require_restic(MODEL).at(self.argosy.repository, self.home)

    def assert_same_output(self, *arguments: str) -> None:
        """Both print the same bytes."""
        ours, theirs = self.argosy.run(*arguments).stdout, self.model.run(*arguments).stdout
        assert ours.decode("utf-8", "backslashreplace") == theirs.decode("utf-8", "backslashreplace")

    def assert_same_documents(self, *arguments: str) -> list[Any]:
        """Both print the same JSON documents, however escaped; returns them."""
        ours, theirs = (lines(run(*arguments, "--json").stdout) for run in (self.argosy.run, self.model.run))
        assert ours == theirs
        return ours

    def snapshot_ids(self) -> list[str]:
        """Oldest first."""
        return [snapshot["id"] for snapshot in self.argosy.documents("snapshots")[0]]


def lines(output: bytes) -> list[Any]:
    """JSON documents, with the order of their keys."""
    return [json.loads(line, object_pairs_hook=_ordered) for line in output.splitlines() if line.strip()]


def _ordered(pairs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return pairs


def make_compared(restic: Restic, home: Path) -> Compared:
    """Have ``restic`` back up files of every kind four times: two hosts, three sets of tags, two sets of paths."""
    source = home / "source"
    make_source(source)
    argosy = Argosy(home)
    writer = restic.at(argosy.repository, home)
    writer.init()
    make_key_cheap(str(argosy.repository))
    writer.run("backup", "--host", HOSTS[0], "--tag", "a,b", source)
    (source / "plain.txt").write_bytes(b"changed since")
    writer.run("backup", "--host", HOSTS[0], "--tag", "b", source)
    writer.run("backup", "--host", HOSTS[1], source / "sub", source / "plain.txt")
    writer.run("backup", "--host", HOSTS[1], "--tag", "with space", source / "sub", source / "plain.txt")
    return Compared(home, source, argosy, writer)


def make_key_cheap(location: str, options: StorageOptions | None = None) -> None:
    """Replace the key by one with the same password that is derived at once: each test opens it several times."""
    storage = open_storage(location, options)
    repository = open_repository(storage, PASSWORD.encode())
    add_key(storage, repository.key, PASSWORD.encode(), scrypt=ScryptNumbers(n=1024, r=8, p=1))
    repository.delete(FileKind.KEY, repository.key_id)


def make_source(root: Path) -> None:
    """Files of every kind and awkward names. Times are of the past, so that no clock matters."""
    (root / "sub" / "deeper" / "deepest").mkdir(parents=True)
    (root / "plain.txt").write_bytes(b"plain")
    (root / "empty").write_bytes(b"")
    (root / "large.bin").write_bytes(os.urandom(3_000_000))
    (root / "sub" / "text.md").write_bytes(b"line of text\n" * 5000)
    (root / "sub" / "copy.md").write_bytes(b"line of text\n" * 5000)
    (root / "sub" / "deeper" / "deepest" / "x").write_bytes(b"x")
    (root / "sub" / "deeper" / "no extension").write_bytes(b"1")
    (root / "link").symlink_to("sub/text.md")
    os.link(root / "plain.txt", root / "sub" / "hard link")
    os.mkfifo(root / "pipe")
    for name in (b"space and 'quotes'", b'"double"', "ünïcödé".encode(), b"latin \xe9\xff", b"tab\there", b"new\nline"):
        Path(os.fsdecode(bytes(root) + b"/" + name)).write_bytes(b"named " + name)
    long = root / ("long" * 40)
    long.mkdir()
    (long / ("name" * 50)).write_bytes(b"a path that is too long for the old field of a tar header")
    (root / "empty directory").mkdir()
    (root / "plain.txt").chmod(0o640)
    (root / "sub").chmod(0o1777)
    (root / "large.bin").chmod(0o4755)
    with_attributes(root / "sub" / "copy.md")
    moment = 1_600_000_000
    for number, path in enumerate(sorted(root.rglob("*"), key=bytes, reverse=True)):
        os.utime(path, (moment + number, moment + number), follow_symlinks=False)


def with_attributes(path: Path) -> None:
    """Extended attributes, where the file system has them."""
    try:
        os.setxattr(path, "user.argosy", b"value \0 with zero")
    except OSError:
        pytest.skip("needs a file system with extended attributes")
