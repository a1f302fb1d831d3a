"""A prune of what killed writers left: by age, under a lock, and apart from what it does to packs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from argosy.errors import StorageDenied
from argosy.operations.jobs import prepare_state_directory
from argosy.operations.prune import run
from argosy.operations.prune.options import PruneObserver, PruneOptions
from argosy.operations.prune.run import run_prune
from argosy.storage.local import LocalStorage
from tests.support.backups import Scene

DAY_SECONDS = 24 * 60 * 60


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A repository without anything that is unused."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_bytes(b"in use")
    scene = Scene(tmp_path).init()
    scene.backup(tmp_path / "source")
    return scene


def leave(scene: Scene, seconds_old: float) -> Path:
    path = scene.repository / "index" / f"{'ab' * 32}-tmp-{int(seconds_old)}"
    path.write_bytes(b"half")
    os.utime(path, (time.time() - seconds_old,) * 2)
    return path


def test_it_is_a_day_from_the_last_write_on(scene: Scene) -> None:
    old, young = leave(scene, DAY_SECONDS + 60), leave(scene, DAY_SECONDS - 600)
    plan = run_prune(scene.access(), PruneOptions(), PruneObserver())
    assert [file.name for file in plan.unfinished] == [f"index/{old.name}"]
    assert not old.exists()
    assert young.exists()


def test_a_dry_run_without_a_lock_removes_nothing(scene: Scene) -> None:
    old = leave(scene, 2 * DAY_SECONDS)
    access = replace(scene.access(), no_lock=True)
    assert run_prune(access, PruneOptions(dry_run=True), PruneObserver()).unfinished
    assert old.exists()


def test_packs_indexes_and_unfinished_backups_are_left_alone(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the file is deleted, and none of the steps that change packs is taken."""
    monkeypatch.setattr(run, "words_of_losers", lambda *_: pytest.fail("no backup loses anything"))
    prepare_state_directory(scene.state)
    leave(scene, 2 * DAY_SECONDS)
    reached: list[str] = []
    options = PruneOptions(state_directory=scene.state, crash_point=reached.append)
    plan = run_prune(scene.access(), options, PruneObserver())
    assert not plan.is_empty
    assert reached == ["a file is deleted"]


def test_what_cannot_be_removed_is_named(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    old = leave(scene, 2 * DAY_SECONDS)
    delete = LocalStorage.delete

    def refuse(self: LocalStorage, name: str) -> None:
        if name.endswith(old.name):
            raise StorageDenied(f"{name}: Permission denied")
        delete(self, name)

    monkeypatch.setattr(LocalStorage, "delete", refuse)
    with pytest.raises(StorageDenied, match=old.name):
        run_prune(scene.access(), PruneOptions(), PruneObserver())
    assert not list((scene.repository / "locks").iterdir())
