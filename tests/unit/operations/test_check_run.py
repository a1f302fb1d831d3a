"""A check as a whole: its lock, its workers, its end; small repositories and those too large for memory."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from argosy.engine.interface import MakeEngine
from argosy.engine.local import LocalEngine, make_local_engine
from argosy.engine.threads.engine import ThreadEngine
from argosy.errors import ArgosyError, Interrupted, LeaseLost, RepositoryLocked, StateError, StateFull
from argosy.operations.check.messages import decode_setup
from argosy.operations.check.options import CheckObserver, CheckOptions, CheckProgress, CheckResult, Problem
from argosy.operations.check.readings import Readings
from argosy.operations.check.run import run_check
from argosy.operations.check.subset import READ_ALL, ReadSubset
from argosy.operations.session import Access
from argosy.repository.layout import FileKind
from argosy.repository.locks import RepositoryLock, acquire
from argosy.repository.repository import open_repository
from argosy.storage.open import open_storage
from argosy.storage.options import StorageOptions
from tests.support.backups import Scene
from tests.support.damage import (
    Damage,
    DifferingIndexes,
    FlippedDataBlob,
    FlippedIndex,
    Ground,
    MissingBlob,
    MissingSubtree,
    copy_repository,
)
from tests.support.restic import PASSWORD
from tests.support.trees import make_tree
from tests.support.worker_processes import workers_of


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A repository with two dozen packs."""
    home = tmp_path_factory.mktemp("checked")
    files = {f"d{n}": {f"f{m}": os.urandom(20_000) + b"text " * 100 for m in range(4)} for n in range(6)}
    make_tree(home / "source", files)
    made = Scene(home).init()
    made.backup(home / "source", pack_size_bytes=30_000, workers=1)
    return made


def check(
    access: Access,
    options: CheckOptions | None = None,
    *,
    make_engine: MakeEngine | None = None,
    **observer: Callable[..., object],
) -> tuple[CheckResult, list[Problem]]:
    problems: list[Problem] = []
    told = CheckObserver(problem=problems.append, **observer)  # type: ignore[arg-type]  # any of its callables
    options = options or CheckOptions(READ_ALL, workers=2)
    return run_check(access, options, told, make_engine=make_engine), problems


def test_an_interrupted_check_goes_on_where_it_was(scene: Scene, tmp_path: Path) -> None:
    looks: list[CheckProgress] = []
    stopping = CheckObserver(progress=looks.append, stop_requested=lambda: bool(looks and looks[-1].packs_done))
    options = CheckOptions(READ_ALL, workers=1)
    # One task holds many packs: of a slow store several tasks are needed to stop in between.
    access = replace(scene.access(), storage_options=StorageOptions(limit_download_bytes_per_second=200_000))
    with pytest.MonkeyPatch.context() as small:
        small.setattr("argosy.operations.check.work._PACKS_A_TASK", 1)
        small.setattr("argosy.operations.check.coordinator._LOOK_SECONDS", 0.0)
        with pytest.raises(Interrupted, match="stopped"):
            run_check(access, options, stopping, state_directory=tmp_path)
    whole, _ = check(scene.access())
    messages: list[str] = []
    result = run_check(scene.access(), options, CheckObserver(message=messages.append), state_directory=tmp_path)
    assert result.packs_read_before > 0
    assert result.packs_read + result.packs_read_before == whole.packs_read
    assert any("goes on" in text for text in messages)
    again = run_check(scene.access(), options, CheckObserver(), state_directory=tmp_path)
    assert again.packs_read == whole.packs_read


def test_a_check_ends_although_it_can_no_longer_note_what_it_read(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_readings: Readings, _pack_id: bytes) -> None:
        raise StateFull("no room")

    monkeypatch.setattr(Readings, "note", full)
    messages: list[str] = []
    result = run_check(
        scene.access(),
        CheckOptions(READ_ALL, workers=1),
        CheckObserver(message=messages.append),
        state_directory=tmp_path,
    )
    assert result.packs_read == result.packs > 1
    assert not result.problems
    assert sum("no room" in text for text in messages) == 1
    with pytest.raises(StateFull):
        run_check(
            scene.access(),
            CheckOptions(ReadSubset(rolling_seconds=86_400.0), workers=1),
            CheckObserver(),
            state_directory=tmp_path,
        )


@pytest.mark.parametrize("planted", [b"no database", None])
def test_a_file_of_readings_that_cannot_be_used_ends_a_rolling_check_alone(
    scene: Scene, tmp_path: Path, planted: bytes | None
) -> None:
    path = tmp_path / "check"
    if planted is None:
        path.write_bytes(b"not a directory")
    else:
        path.mkdir()
        (path / f"{scene.open().id}.sqlite").write_bytes(planted * 100)
    result = run_check(scene.access(), CheckOptions(READ_ALL, workers=1), CheckObserver(), state_directory=tmp_path)
    assert not result.problems
    with pytest.raises(ArgosyError, match="check"):
        run_check(
            scene.access(),
            CheckOptions(ReadSubset(rolling_seconds=86_400.0), workers=1),
            CheckObserver(),
            state_directory=tmp_path,
        )


def test_only_a_rolling_check_needs_a_state_directory(scene: Scene) -> None:
    with pytest.raises(StateError, match="state directory"):
        run_check(scene.access(), CheckOptions(ReadSubset(rolling_seconds=1e6), workers=1), CheckObserver())


def locks(scene: Scene) -> list[bytes]:
    return scene.open().list_ids(FileKind.LOCK)


def test_the_lock_is_exclusive_and_is_gone_afterwards(scene: Scene) -> None:
    seen: list[bytes] = []

    def look(_progress: CheckProgress) -> None:
        repository = scene.open()
        seen.extend(repository.load_unpacked(FileKind.LOCK, lock_id) for lock_id in locks(scene))

    result, _ = check(scene.access(), progress=look)
    assert result.exit_code == 0
    assert seen
    assert all(b'"exclusive":true' in lock for lock in seen)
    assert locks(scene) == []


def test_another_lock_refuses_it_unless_no_lock_is_wanted(scene: Scene) -> None:
    with acquire(scene.open()), pytest.raises(RepositoryLocked):
        check(scene.access())
    access = replace(scene.access(), no_lock=True)
    with acquire(scene.open()):
        result, _ = check(access)
    assert result.exit_code == 0


def test_a_lost_lock_is_an_error_whatever_was_found(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(_lock: RepositoryLock) -> None:
        raise LeaseLost("somebody removed it")

    monkeypatch.setattr(RepositoryLock, "check", lost)
    with pytest.raises(LeaseLost) as raised:
        check(scene.access())
    assert "may be wrong" in raised.value.message


def test_a_request_to_stop_ends_it_and_leaves_no_lock(scene: Scene) -> None:
    with pytest.raises(Interrupted) as raised:
        check(scene.access(), stop_requested=lambda: True)
    assert raised.value.exit_code == 130
    assert locks(scene) == []


def test_a_worker_process_that_dies_costs_nothing_but_time(scene: Scene) -> None:
    """It is killed while it reads; what it held is read by another."""
    killed: list[int] = []

    def kill_one(progress: CheckProgress) -> None:
        if not killed and progress.packs_done:
            killed.append(workers_of()[0])
            os.kill(killed[0], signal.SIGKILL)

    slow = StorageOptions(limit_download_bytes_per_second=1_000_000)
    access = replace(scene.access(), storage_options=slow)
    result, problems = check(access, make_engine=make_local_engine, progress=kill_one)
    assert killed
    assert problems == []
    assert (result.packs_read, result.exit_code) == (result.packs, 0)


def test_parts_read_all_packs_once(scene: Scene) -> None:
    read = [check(scene.access(), CheckOptions(ReadSubset(n, 3), workers=1))[0].packs_read for n in (1, 2, 3)]
    assert sum(read) == len(scene.pack_files())


def test_progress_ends_with_everything_done(scene: Scene) -> None:
    looks: list[CheckProgress] = []
    result, _ = check(scene.access(), progress=looks.append)
    assert (looks[-1].packs_done, looks[-1].packs) == (result.packs, result.packs)
    assert looks[-1].bytes_done == looks[-1].pack_bytes == sum(scene.pack_files().values())
    assert looks[-1].trees_done == result.trees == 8


@pytest.mark.parametrize("damage", [None, MissingBlob, MissingSubtree, FlippedIndex, DifferingIndexes, FlippedDataBlob])
def test_indexes_too_large_for_memory_are_looked_up_on_disk(
    damage: type[Damage] | None, scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same outcome."""
    directory = copy_repository(scene.repository, tmp_path / "repository")
    if damage is not None:
        damage().plant(Ground(directory, open_repository(open_storage(str(directory)), PASSWORD.encode())))
    access = Access(str(directory), PASSWORD.encode, tmp_path / "cache")
    in_memory, problems = check(access)
    monkeypatch.setattr("argosy.operations.check.work.MOST_INDEX_BYTES", 0)
    on_disk, same_problems = check(access)
    assert on_disk == in_memory
    assert {problem.message for problem in same_problems} == {problem.message for problem in problems}
    assert bool(problems) is (damage is not None)


def test_a_cache_is_used_only_if_asked_for(scene: Scene) -> None:
    setups: list[bytes] = []

    class Noting(LocalEngine):
        def start(self, setup: bytes, handler: str) -> None:
            setups.append(setup)
            super().start(setup, handler)

    for with_cache in (False, True):
        options = CheckOptions(workers=1, with_cache=with_cache)
        check(scene.access(), options, make_engine=lambda workers, name: Noting(workers, name=name))
    assert [bool(decode_setup(setup).cache_directory) for setup in setups] == [False, True]


@pytest.mark.parametrize("damage", [None, FlippedDataBlob])
def test_threads_and_processes_find_the_same(damage: type[Damage] | None, scene: Scene, tmp_path: Path) -> None:
    directory = copy_repository(scene.repository, tmp_path / "repository")
    if damage is not None:
        damage().plant(Ground(directory, open_repository(open_storage(str(directory)), PASSWORD.encode())))
    access = Access(str(directory), PASSWORD.encode, tmp_path / "cache")
    by_threads, by_processes = (
        check(access, make_engine=make)
        for make in (lambda workers, name: ThreadEngine(workers, name=name), make_local_engine)
    )
    assert by_threads == by_processes
    assert by_threads[0].packs_read == by_threads[0].packs
