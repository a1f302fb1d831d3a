"""A repository with much that no snapshot uses, for tests of `prune`."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path

from argosy.operations.prune.options import PruneObserver, PruneOptions
from argosy.operations.prune.plan import MaxUnused, PruneLimits
from argosy.operations.prune.run import run_prune
from argosy.repository.layout import FileKind, object_name
from argosy.repository.repository import open_repository
from argosy.storage.open import open_storage
from tests.support.backups import Scene
from tests.support.restic import PASSWORD, ResticRepository, require_restic
from tests.support.trees import assert_same_tree

PACK_BYTES = 1 << 16
# No pack is too small: else ten of them would be put together again and again.
ALL_UNUSED = PruneLimits(MaxUnused(size_bytes=0), small_pack_bytes=0)


def make_unpruned(home: Path) -> Scene:
    """Two snapshots that stay; what a third used is garbage (some lies in ``gone``), and so is a pack in no index."""
    scene = Scene(home).init()
    source = home / "source"
    rng = random.Random(1)
    for number in range(6):
        directory = source / f"d{number}"
        directory.mkdir(parents=True)
        for name in range(40):
            (directory / f"f{name}").write_bytes(rng.randbytes(rng.randrange(200, 6000)))
    (source / "text").write_bytes(b"it can be compressed\n" * 2000)
    scene.backup(source, pack_size_bytes=PACK_BYTES)
    (source / "d1").rename(home / "gone")
    for path in source.glob("d[2-4]/f*[02468]"):
        path.unlink()
    scene.backup(source, pack_size_bytes=PACK_BYTES)
    (source / "d0" / "f1").write_bytes(b"changed")
    scene.backup(source, pack_size_bytes=PACK_BYTES)
    storage = open_storage(str(scene.repository))
    repository = open_repository(storage, PASSWORD.encode())
    repository.delete(FileKind.SNAPSHOT, scene.snapshots()[0].id)
    storage.put(object_name(FileKind.PACK, bytes(32)), b"of an interrupted backup")
    storage.close()
    return scene


def copied(made: Scene, home: Path) -> Scene:
    """A copy that a test may change."""
    for place in filter(Path.exists, (made.home / name for name in ("repository", "source", "gone"))):
        shutil.copytree(place, home / place.name)
    return Scene(home)


def restic_at(scene: Scene) -> ResticRepository:
    """The referee, for a scene's repository."""
    return require_restic((0, 18, 0)).at(scene.repository, scene.home)


def assert_nothing_lost(made: Scene, scene: Scene, more: int = 0) -> None:
    """restic reads every byte, before and after the next prune; and then nothing unused is left.

    So many snapshots ``more`` have come, of ``gone``.
    """
    restic = restic_at(scene)
    restic.run("unlock")
    restic.check()
    options = PruneOptions(ALL_UNUSED, pack_size_bytes=PACK_BYTES)
    run_prune(scene.access(), options, PruneObserver())
    restic.check()
    kept, there = ([stored.id for stored in one.snapshots()] for one in (made, scene))
    assert there[: len(kept)] == kept
    assert len(there) == len(kept) + more
    assert run_prune(scene.access(), options, PruneObserver()).is_empty
    said = restic.run("prune", "--dry-run", "--max-unused", "0").stdout.decode()
    assert re.search(r"to delete: +0 blobs", said), said
    assert re.search(r"this removes: +0 blobs", said), said
    assert scene.blobs_twice() == 0
    for snapshot_id in there:
        restic.run("restore", snapshot_id.hex(), "--target", scene.home / "restored" / snapshot_id.hex())
    assert_same_tree(scene.home / "source", scene.home / "restored" / kept[-1].hex() / "source")
    for snapshot_id in there[len(kept) :]:
        assert_same_tree(scene.home / "gone", scene.home / "restored" / snapshot_id.hex() / "gone")
