"""A copy in bounded steps: it can be interrupted, trusts nothing that it has not read whole, and knows its own."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import msgspec
import pytest

from argosy.errors import Interrupted
from argosy.operations.copy import transfer
from argosy.operations.copy.options import CopyObserver, CopyOptions, CopyProgress
from argosy.operations.copy.run import is_similar, run_copy
from argosy.restic_format.snapshot import Snapshot
from tests.support.backups import Scene
from tests.support.damage import Ground, flip_blob
from tests.support.sound import make_sound

SNAPSHOT = Snapshot("2024-01-01T00:00:00Z", bytes(32), ["/a", "/b"], hostname="h", tags=["x", "y"], excludes=["e", "f"])


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Two snapshots, and packs of 10 kB."""
    return make_sound(tmp_path_factory.mktemp("source"))


@pytest.fixture
def target(tmp_path: Path) -> Scene:
    """An empty repository."""
    return Scene(tmp_path).init()


def copy(source: Scene, target: Scene, observer: CopyObserver | None = None) -> CopyProgress:
    return run_copy(source.access(), target.access(), CopyOptions(), observer or CopyObserver())


def test_what_was_copied_before_an_interruption_is_not_copied_again(
    source: Scene, target: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_BLOBS_AT_ONCE", 2)
    seen: list[int] = []

    def stop_once_something_is_copied() -> bool:
        return bool(seen) and seen[-1] > 0

    observer = CopyObserver(
        progress=lambda progress: seen.append(progress.blobs), stop_requested=stop_once_something_is_copied
    )
    with pytest.raises(Interrupted):
        copy(source, target, observer)
    assert target.snapshots() == []
    rest = copy(source, target)
    assert 0 < rest.blobs < sum(len(blobs) for blobs in source.indexed_packs().values())
    assert target.blobs_twice() == 0
    assert len(target.snapshots()) == 2


def test_trees_of_a_copy_that_failed_count_as_not_visited(source: Scene, target: Scene, tmp_path: Path) -> None:
    """Both snapshots share a directory with a file that cannot be read."""
    damaged = Scene(tmp_path / "damaged")
    shutil.copytree(source.repository, damaged.repository)
    flip_blob(Ground(damaged.repository, damaged.open()), hashlib.sha256(b"small").digest())
    failed: list[bytes] = []
    result = copy(damaged, target, CopyObserver(failed=lambda snapshot_id, _error: failed.append(snapshot_id)))
    assert (result.failed, result.copied, result.exit_code) == (2, 0, 1)
    assert set(failed) == {stored.id for stored in damaged.snapshots()}
    assert target.snapshots() == []


@pytest.mark.parametrize(
    ("change", "is_one"),
    [
        ({"parent": bytes(32), "original": bytes(32)}, True),
        ({"time": "2024-01-01T01:00:00+01:00"}, True),
        ({"paths": ["/b", "/a"], "tags": ["y", "x"]}, True),
        ({"time": "2024-01-01T00:00:01Z"}, False),
        ({"tree": b"\1" * 32}, False),
        ({"hostname": "other"}, False),
        ({"uid": 1}, False),
        ({"paths": ["/a"]}, False),
        ({"tags": ["x", "z"]}, False),
        ({"excludes": ["f", "e"]}, False),
    ],
    ids=str,
)
def test_a_copy_is_known_by_all_but_its_ids(change: dict[str, object], is_one: bool) -> None:
    assert is_similar(msgspec.structs.replace(SNAPSHOT, **change), SNAPSHOT) == is_one
