"""What a backup refuses, and how: a class of error with its exit code, a message that names the thing, a hint."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import (
    ArgosyError,
    RepositoryLocked,
    RepositoryMissing,
    SourceGone,
    SourceShrunk,
    StateFull,
    StateUnsuitable,
    StorageFull,
    UsageError,
    WrongPassword,
)
from argosy.operations import jobs
from argosy.operations.backup.options import BackupObserver
from argosy.operations.backup.run import run_backup
from argosy.repository.locks import LockTiming, RepositoryLock
from tests.e2e.engines import Why
from tests.support.backups import Scene, assert_sound
from tests.support.restic import require_restic
from tests.support.trees import make_tree, require_root

pytestmark = pytest.mark.always_on_both


@pytest.fixture
def source(tmp_path: Path) -> Path:
    make_tree(tmp_path / "source", {f"f{i}": os.urandom(100_000) for i in range(30)})
    return tmp_path / "source"


def refused(error: type[ArgosyError], exit_code: int, scene: Scene, *paths: Path | bytes, **options: Any) -> str:
    """The message of the error that a backup ends with."""
    with pytest.raises(error) as caught:
        scene.backup(*paths, **options)
    assert caught.value.exit_code == exit_code
    assert caught.value.hint
    return caught.value.message


def test_a_missing_repository(scene: Scene, source: Path) -> None:
    """Exit code 10; nothing is made at its place."""
    shutil.rmtree(scene.repository)
    assert str(scene.repository) in refused(RepositoryMissing, 10, scene, source)
    assert not scene.repository.exists()


def test_a_wrong_password(scene: Scene, source: Path) -> None:
    """Exit code 12; no job is begun."""
    with pytest.raises(WrongPassword) as caught:
        scene.machines.backup(scene.access("wrong"), scene.options(source), scene.state, BackupObserver())
    assert caught.value.exit_code == 12
    assert not scene.job_files()


def test_an_exclusive_lock(scene: Scene, source: Path) -> None:
    """Exit code 11, naming who has it; with the lock gone the backup runs."""
    lock = RepositoryLock.begin(scene.open(), exclusive=True)
    assert str(os.getpid()) in refused(RepositoryLocked, 11, scene, source)
    lock.release()
    assert scene.backup(source).exit_code == 0


@pytest.mark.one_engine(Why.THIS_PROCESS)
def test_a_lock_that_comes_while_ours_stands_alone(scene: Scene, source: Path) -> None:
    """Found by the second look, before anything was written; our own lock is removed."""
    locks: list[RepositoryLock] = []

    def take(point: str) -> None:
        if point == "the job's row exists":
            # Another program that looked before our lock was there.
            other = RepositoryLock(
                scene.open(), exclusive=True, timing=LockTiming(), on_refresh=None, clock=lambda: 0.0
            )
            other._id = other._write()
            locks.append(other)

    with pytest.raises(RepositoryLocked):
        scene.backup(source, crash_point=take)
    assert not scene.pack_files()
    assert [path.name for path in (scene.repository / "locks").iterdir()] == [locks[0].id.hex()]


def test_a_backup_beside_a_backup_of_restic(scene: Scene, source: Path) -> None:
    """Shared locks do not hinder each other."""
    with scene.restic(require_restic()).locked():
        assert scene.backup(source).exit_code == 0
    assert_sound(scene, require_restic())


def test_a_source_that_is_not_there(scene: Scene, tmp_path: Path) -> None:
    """It is named."""
    assert "nowhere" in refused(SourceGone, 1, scene, tmp_path / "nowhere")


def test_an_empty_source(scene: Scene, tmp_path: Path) -> None:
    """It looks like a share that is not mounted; --allow-shrink says that it is right."""
    (tmp_path / "source").mkdir()
    assert "empty" in refused(SourceShrunk, 1, scene, tmp_path / "source")
    assert scene.backup(tmp_path / "source", allow_shrink=True).exit_code == 0


def test_a_source_with_less_than_half_its_files(scene: Scene, source: Path) -> None:
    """Refused with both numbers, unless allowed."""
    scene.backup(source)
    for number in range(16):
        (source / f"f{number}").unlink()
    message = refused(SourceShrunk, 1, scene, source)
    assert "14 files" in message
    assert "30" in message
    assert scene.backup(source, allow_shrink=True).counters["total_files_processed"] == 14


def test_two_sources_of_one_place(scene: Scene, tmp_path: Path) -> None:
    """Two relative paths that would have the same name in the snapshot."""
    make_tree(tmp_path, {"a": {"x": {"1": b"1"}}, "x": {"2": b"2"}})
    with pytest.raises(UsageError):
        scene.backup(b"../x", b"x", working_directory=os.fsencode(tmp_path / "a"))


@pytest.mark.one_engine(Why.THIS_STATE)
def test_a_state_directory_on_a_network(scene: Scene, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's log does not work there (R12)."""
    prepare = jobs.prepare_state_directory
    monkeypatch.setattr(
        "argosy.operations.backup.run.prepare_state_directory", lambda path: prepare(path, lambda _path: "nfs4")
    )
    assert str(scene.state) in refused(StateUnsuitable, 1, scene, source)


@pytest.mark.one_engine(Why.THIS_STATE)
def test_state_files_are_private(scene: Scene, source: Path) -> None:
    """Mode 0600 in a directory of mode 0700 (R12)."""
    modes: dict[str, int] = {}

    def look(_point: str) -> None:
        modes.update({path.name: path.stat().st_mode & 0o777 for path in (scene.state / "jobs").iterdir()})

    scene.backup(source, crash_point=look)
    assert modes
    assert set(modes.values()) == {0o600}
    assert (scene.state / "jobs").stat().st_mode & 0o777 == 0o700
    assert (scene.state / "history.sqlite").stat().st_mode & 0o777 == 0o600


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    require_root()
    place = Path(tempfile.mkdtemp(dir=tmp_path))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"may not mount a tmpfs here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def grow(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)


def test_a_full_disk_at_the_repository(scene: Scene, source: Path, small_disk: Path) -> None:
    """The error says what is full; with room made the job goes on and ends well."""
    shutil.copytree(scene.repository, small_disk / "repository")
    full = Scene(small_disk)
    full_state = scene.home / "state"
    with pytest.raises(StorageFull) as caught:
        scene.machines.backup(
            full.access(), full.options(source, pack_size_bytes=1 << 18), full_state, BackupObserver()
        )
    assert str(small_disk) in caught.value.message
    assert caught.value.hint
    grow(small_disk)
    result = scene.machines.backup(full.access(), full.options(source), full_state, BackupObserver())
    assert result.resumed
    assert_sound(full, require_restic())


@pytest.mark.one_engine(Why.THIS_STATE)
def test_a_full_disk_at_the_state_directory(scene: Scene, tmp_path: Path, small_disk: Path) -> None:
    """The run stops; with room made the job goes on from its last whole moment."""
    source = tmp_path / "many"
    make_tree(source, {f"d{i:03d}": {f"{'n' * 200}{j:03d}": b"" for j in range(100)} for i in range(150)})
    with suppress(StateFull):
        run_backup(scene.access(), scene.options(source, queue_after_scan=True), small_disk, BackupObserver())
        pytest.fail("it all fitted")
    assert not scene.snapshots()
    grow(small_disk)
    result = run_backup(scene.access(), scene.options(source), small_disk, BackupObserver())
    assert result.resumed
    other = Scene(tmp_path / "other").init_like(scene)
    assert result.tree_id == other.backup(source).tree_id
    assert_sound(scene, require_restic())
