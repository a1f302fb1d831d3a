"""The verbs that change a repository, on a real S3 server: restic finds every byte in order after each of them."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from argosy.repository.layout import FileKind, object_name
from argosy.repository.repository import Repository, open_repository
from argosy.storage.open import open_storage
from tests.support.command import Argosy
from tests.support.compared import make_key_cheap
from tests.support.restic import PASSWORD, require_restic
from tests.support.servers import S3Server, seaweedfs
from tests.support.trees import assert_same_tree, make_tree

LOST = b"lost" * 1000
LOST_ID = hashlib.sha256(LOST).digest()

# Many commands: on a loaded machine they take their time.
pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with seaweedfs(tmp_path_factory) as running:
        yield running


class InS3:
    """A repository there, Argosy and restic 0.18 at it, and a source in ``home``."""

    def __init__(self, server: S3Server, home: Path, name: str) -> None:
        self.home = home / name
        self.home.mkdir()
        self.location = server.location(name)
        variables = {"ARGOSY_REPOSITORY": self.location, "ARGOSY_FROM_PASSWORD": PASSWORD}
        self.argosy = Argosy(self.home, environment={**server.credentials, **variables})
        self.restic = replace(require_restic((0, 18, 0)).at(self.location, self.home), environment=server.credentials)
        self.source = self.home / "source"
        self._options = server.options

    def back_up(self) -> None:
        """Two snapshots: of the source as it is now, and of one file more."""
        make_tree(self.source, {"kept": b"kept" * 5000, "secret": b"secret" * 100, "dir": {"lost": LOST}})
        self.argosy.run("init")
        make_key_cheap(self.location, self._options)
        self.argosy.run("backup", "source")
        (self.source / "new").write_bytes(b"new")
        self.argosy.run("backup", "source")

    @contextmanager
    def opened(self) -> Iterator[Repository]:
        """The repository in this process."""
        storage = open_storage(self.location, self._options)
        try:
            yield open_repository(storage, PASSWORD.encode())
        finally:
            storage.close()

    def assert_sound(self, snapshots: int) -> None:
        """restic reads every byte, so many snapshots are left, and nobody holds a lock."""
        self.restic.check()
        assert len(self.restic.json_lines("snapshots")[0]) == snapshots
        assert self.argosy.run("list", "locks").stdout == b""

    def assert_newest_is(self, source: Path) -> None:
        """The newest snapshot restores to this."""
        target = self.home / "restored"
        self.restic.run("restore", "latest", "--target", target)
        assert_same_tree(source, target / "source")
        shutil.rmtree(target)


def test_copy_rewrite_forget_and_prune(server: S3Server, tmp_path: Path) -> None:
    first, second = InS3(server, tmp_path, "life-first"), InS3(server, tmp_path, "life-second")
    first.back_up()
    second.argosy.run("init", "--copy-chunker-params", "--from-repo", first.location)
    make_key_cheap(second.location, server.options)
    summary = second.argosy.documents("copy", "--from-repo", first.location)[-1]
    assert (summary["snapshots_copied"], summary["snapshots_failed"]) == (2, 0)
    summary = second.argosy.documents("copy", "--from-repo", first.location)[-1]
    assert (summary["snapshots_skipped"], summary["blobs_copied"]) == (2, 0)
    second.assert_sound(2)
    second.assert_newest_is(first.source)

    first.argosy.run("rewrite", "--exclude", "secret", "--forget")
    (first.source / "secret").unlink()
    first.assert_sound(2)
    first.argosy.run("forget", "--keep-last", "1")
    first.assert_sound(1)
    (pruned,) = first.argosy.documents("prune", "--max-unused", "0")
    assert pruned["unused_blobs"] > 0
    assert pruned["remaining_unused_bytes"] == 0
    assert "nothing to do" in first.argosy.says("prune", "--max-unused", "0")
    first.assert_sound(1)
    listed = first.restic.run("ls", "latest").stdout
    assert b"/source/kept" in listed
    assert b"secret" not in listed


def test_repair_of_index_packs_and_snapshots(server: S3Server, tmp_path: Path) -> None:
    there = InS3(server, tmp_path, "life-damaged")
    there.back_up()
    with there.opened() as repository:
        for index_id in repository.list_ids(FileKind.INDEX):
            repository.delete(FileKind.INDEX, index_id)
    there.argosy.run("check", expect=1)
    (summary,) = there.argosy.documents("repair", "index")
    assert (summary["indexes_removed"], summary["indexes_written"]) == (0, 1)
    there.assert_sound(2)
    there.assert_newest_is(there.source)

    pack_id = damage_what_is_lost(there)
    there.argosy.run("check", "--read-data", expect=1)
    *lost, summary = there.argosy.documents("repair", "packs", pack_id, expect=1)
    assert {one["path"] for one in lost} == {"/source/dir/lost"}
    assert summary["lost_blobs"] == [LOST_ID.hex()]
    assert hashlib.sha256((there.home / f"pack-{pack_id}").read_bytes()).hexdigest() != pack_id
    assert "modified 2 snapshots" in there.argosy.says("repair", "snapshots", "--forget")
    there.assert_sound(2)
    there.argosy.run("backup", "source")
    assert "no snapshots were modified" in there.argosy.says("repair", "snapshots")
    there.assert_sound(3)
    there.assert_newest_is(there.source)


def damage_what_is_lost(there: InS3) -> str:
    """Change a bit of the blob in its pack; the pack's id."""
    with there.opened() as repository:
        for index_id in repository.list_ids(FileKind.INDEX):
            for pack in repository.load_index(index_id).packs:
                for blob in pack.blobs:
                    if blob.id == LOST_ID:
                        name = object_name(FileKind.PACK, pack.id)
                        data = bytearray(repository.storage.get(name))
                        data[blob.offset + blob.length // 2] ^= 1
                        repository.storage.put(name, data)
                        return pack.id.hex()
    raise AssertionError("no index lists it")
