"""Restores as tests run them, and snapshots made of any nodes at all, for repositories that mean harm."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from argosy.operations.restore.options import RestoreObserver, RestoreOptions, RestoreResult
from argosy.operations.session import Access
from argosy.repository.encoder import BlobEncoder
from argosy.repository.index_writer import write_indexes
from argosy.repository.layout import FileKind, object_name
from argosy.repository.packer import Packer, StoredPack
from argosy.repository.repository import Repository
from argosy.repository.snapshots import save_snapshot
from argosy.restic_format.blob import BlobType, blob_id
from argosy.restic_format.index import IndexedPack
from argosy.restic_format.mode import mode_to_go
from argosy.restic_format.node import NodeFields as Fields
from argosy.restic_format.node import encode_fields, finish_directory, finish_file, finish_other
from argosy.restic_format.snapshot import Snapshot
from argosy.restic_format.tree import encode_tree
from argosy.restorer.selection import SelectionSpec
from tests.support.backups import ROOT, Scene
from tests.support.machines import ONE_MACHINE, Machines
from tests.support.restic import PASSWORD

SOME_TIME_NS = 1_600_000_000_123_456_789


@dataclass
class Heard:
    """What a restore told its observer."""

    errors: list[tuple[bytes, str]] = field(default_factory=list)
    items: list[tuple[str, bytes, int | None]] = field(default_factory=list)

    @property
    def named(self) -> list[bytes]:
        """The paths of the errors, sorted."""
        return sorted(path for path, _ in self.errors)

    def observer(self) -> RestoreObserver:
        """An observer that notes everything here."""
        return RestoreObserver(
            item=lambda action, path, size: self.items.append((action, path, size)),
            error=lambda path, reason: self.errors.append((path, reason)),
        )


def restore(scene: Scene, target: Path, **options: Any) -> tuple[RestoreResult, Heard]:
    """Restore the scene's repository on its machines."""
    return restore_from(scene.access(), target, scene.machines, **options)


def restore_from(
    access: Access, target: Path, machines: Machines = ONE_MACHINE, **options: Any
) -> tuple[RestoreResult, Heard]:
    """Restore from any repository. ``include``, ``exclude`` … are lists of patterns."""
    patterns = {name: options.pop(name) for name in ("include", "iinclude", "exclude", "iexclude") if name in options}
    spec = SelectionSpec(**{name: tuple(os.fsencode(text) for text in texts) for name, texts in patterns.items()})
    heard = Heard()
    given = {"workers": 2, "selection": spec, **options}
    return machines.restore(access, RestoreOptions(os.fsencode(target), **given), heard.observer()), heard


def restore_soundly(scene: Scene, target: Path, **options: Any) -> RestoreResult:
    """Restore; the test fails if anything is wrong."""
    result, heard = restore(scene, target, **options)
    assert heard.errors == []
    assert result.exit_code == 0
    return result


@contextmanager
def command(scene: Scene, *arguments: str | Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """``argosy restore`` in a process group of its own; killed at the end if it still runs."""
    place, cache = str(scene.repository), str(scene.home / "cache")
    line: list[str | Path] = [sys.executable, "-m", "argosy", "-r", place, "--cache-dir", cache, "restore"]
    places = os.pathsep.join([str(ROOT / "src"), *sys.path])
    environment = {**os.environ, "PYTHONPATH": places, "ARGOSY_PASSWORD": PASSWORD, "TERM": "dumb"}
    process: subprocess.Popen[bytes] = subprocess.Popen(
        [*line, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        **options,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def run_command(scene: Scene, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run ``argosy restore`` to its end."""
    with command(scene, *arguments, **options) as process:
        output, errors = process.communicate(timeout=100)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


# -- snapshots made of any nodes ------------------------------------------------------------------------------------


def file_node(name: bytes, content: Sequence[bytes], size: int, **fields: Any) -> bytes:
    """A file of these blobs."""
    return finish_file(_head(name, "file", 0o100644, size=size, **fields), content)


def directory_node(name: bytes, tree: bytes, **fields: Any) -> bytes:
    """A directory with this tree."""
    return finish_directory(_head(name, "dir", 0o040755, **fields), tree)


def symlink_node(name: bytes, target: bytes, **fields: Any) -> bytes:
    """A symbolic link."""
    return finish_other(_head(name, "symlink", 0o120777, linktarget=target, links=1, **fields))


def other_node(name: bytes, kind: str, **fields: Any) -> bytes:
    """Any other entry."""
    return finish_other(_head(name, kind, 0o644, **fields))


def _head(name: bytes, kind: str, st_mode: int, **fields: Any) -> bytes:
    given: dict[str, Any] = {
        "mode": mode_to_go(st_mode),
        "mtime_ns": SOME_TIME_NS,
        "atime_ns": SOME_TIME_NS,
        "ctime_ns": SOME_TIME_NS,
        "uid": os.geteuid(),
        "gid": os.getegid(),
        "links": 1,
        **fields,
    }
    return encode_fields(Fields(name=name, type=kind, **given))


class Forge:
    """Puts blobs, trees of any bytes, and snapshots into a repository."""

    def __init__(self, scene: Scene) -> None:
        self.repository: Repository = scene.open()
        self._encoder = BlobEncoder(self.repository.key, "auto", verify=False)
        self._packs: list[StoredPack] = []
        self._packers = {
            kind: Packer(
                self.repository.storage,
                self.repository.key,
                kind,
                lease=lambda: None,
                on_stored=self._packs.append,
                verify=False,
            )
            for kind in BlobType
        }

    def blob(self, content: bytes) -> bytes:
        """A blob of data."""
        return self._put(BlobType.DATA, content)

    def tree(self, *nodes: bytes) -> bytes:
        """A tree of these nodes, in whatever order, whatever they say."""
        return self._put(BlobType.TREE, encode_tree(nodes))

    def file(self, name: bytes, content: bytes, **fields: Any) -> bytes:
        """A file of one blob."""
        return file_node(name, [self.blob(content)], len(content), **fields)

    def snapshot(self, root: bytes) -> str:
        """A snapshot of a root tree; returns its id. No more can be put after it."""
        for packer in self._packers.values():
            packer.flush()
        write_indexes(self.repository, [IndexedPack(pack.id, pack.blobs) for pack in self._packs])
        snapshot = Snapshot(time="2026-11-23T08:00:00Z", tree=root, paths=["/forged"], hostname="forge")
        return save_snapshot(self.repository, snapshot).hex()

    def _put(self, kind: BlobType, content: bytes) -> bytes:
        identity = blob_id(content)
        self._packers[kind].add(self._encoder.encode(kind, identity, content))
        return identity


def damage_blob(scene: Scene, identity: bytes) -> None:
    """Flip a byte of a data blob in each pack that holds it."""
    repository = scene.open()
    for index_id in repository.list_ids(FileKind.INDEX):
        for pack in repository.load_index(index_id).packs:
            for blob in pack.blobs:
                if blob.id == identity:
                    _flip(scene, pack.id, blob.offset + blob.length // 2)


def _flip(scene: Scene, pack_id: bytes, offset: int) -> None:
    path = scene.repository / object_name(FileKind.PACK, pack_id)
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0xFF]))


def hide_data(scene: Scene) -> Mapping[Path, Path]:
    """Take away all packs of data, so that whatever is fetched is missing; returns where they went."""
    repository = scene.open()
    moved = {}
    for index_id in repository.list_ids(FileKind.INDEX):
        for pack in repository.load_index(index_id).packs:
            if pack.blobs[0].type == BlobType.DATA:
                path = scene.repository / object_name(FileKind.PACK, pack.id)
                moved[path] = scene.home / path.name
                path.rename(moved[path])
    return moved
