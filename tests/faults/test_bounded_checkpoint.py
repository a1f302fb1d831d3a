"""The scan rows stay few however large the source (S6 to S8), and the state map tells what is going on (S2, S4)."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from argosy.operations.backup.options import BackupObserver, BackupProgress
from argosy.operations.backup.run import run_backup
from argosy.sqlite import open_database
from argosy.storage.options import StorageOptions
from tests.support.backups import Scene, tell
from tests.support.worker_processes import workers_of

FILES_A_DIRECTORY = 25


def make_nested(path: Path, files: int) -> Path:
    """So many files, 25 to a directory, 10 directories to a directory."""
    for number in range(files // FILES_A_DIRECTORY):
        directory = path / f"{number // 100:04d}" / f"{number // 10 % 10}" / f"{number % 10}"
        directory.mkdir(parents=True)
        for name in range(FILES_A_DIRECTORY):
            os.close(os.open(directory / f"f{name:02d}", os.O_CREAT))
    return path


@dataclass
class Samples:
    """What stood in the job file at each commit of a run."""

    scene: Scene
    frontier: list[int] = field(default_factory=list)
    in_progress: list[int] = field(default_factory=list)
    scan_threads: list[int] = field(default_factory=list)
    assemblies: list[int] = field(default_factory=list)

    def take(self, point: str) -> None:
        """A crash point that only looks."""
        if point != "after a commit":
            return
        (path,) = self.scene.job_files()
        database = open_database(path, durable=False, read_only=True)
        try:
            for table in ("frontier", "scan_threads", "assemblies"):
                getattr(self, table).append(database.execute(f"SELECT count(*) FROM {table}")[0][0])
            busy = database.execute("SELECT count(*) FROM frontier WHERE thread IS NOT NULL")
            self.in_progress.append(busy[0][0])
        finally:
            database.close()


def sample(directory: Path, files: int, threads: int) -> Samples:
    """A run over so many empty files, sampled."""
    scene = Scene(directory / f"scene{files}").init()
    samples = Samples(scene)
    result = scene.backup(
        make_nested(directory / f"source{files}", files),
        scan_threads=threads,
        batch_files=100,
        crash_point=samples.take,
    )
    assert result.counters["files_new"] == files
    return samples


def check_bounds(samples: Samples, threads: int) -> None:
    """The rows are bounded by the threads and the tree's shape, and not by the number of files."""
    # A thread has at most the directories of one open batch in progress: 100 files, and a directory weighs as one.
    assert max(samples.in_progress) <= threads * (100 // FILES_A_DIRECTORY + 2)
    assert max(samples.scan_threads) <= threads
    tell(f"rows at most: {max(samples.frontier)} of the frontier, {max(samples.assemblies)} assemblies")


def test_scan_rows_do_not_grow_with_the_source(tmp_path: Path) -> None:
    """Ten times the files have no more directories in progress, and a frontier of the tree's fan-out."""
    for files in (2_000, 20_000):
        samples = sample(tmp_path, files, threads=3)
        check_bounds(samples, 3)
        # Depth first: what is pending is at most each level's fan-out (8 or so tops, 10, 10) for each thread.
        tops = max(1, files // FILES_A_DIRECTORY // 100)
        assert max(samples.frontier) <= tops + 3 * (10 + 10) + max(samples.in_progress)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_scan_rows_over_two_hundred_thousand_files(tmp_path: Path) -> None:
    """The long form."""
    samples = sample(tmp_path, 200_000, threads=4)
    check_bounds(samples, 4)
    assert max(samples.frontier) <= 80 + 4 * 20 + max(samples.in_progress)


def test_a_killed_workers_batch_reads_in_progress_until_another_has_it(tmp_path: Path) -> None:
    """In the job file too, at every moment between the kill and the end: never queued, failed or done."""
    scene = Scene(tmp_path / "scene").init()
    source = tmp_path / "source"
    source.mkdir()
    (source / "large").write_bytes(os.urandom(30 << 20))
    watch = Watch(scene)
    # Packs of 4 MiB at 8 MiB a second: the second worker holds the batch for longer than there is between two commits.
    slowly = StorageOptions(limit_upload_bytes_per_second=8 << 20)
    access = msgspec.structs.replace(scene.access(), storage_options=slowly)
    options = scene.options(source, workers=1, crash_point=watch.look, pack_size_bytes=4 << 20)
    run_backup(access, options, scene.state, scene.heard.observer())
    assert watch.killed
    assert watch.states[watch.states.index("in progress") :] == ["in progress"] * watch.states.count("in progress")
    assert len(set(watch.workers)) == 2
    assert scene.snapshots()


class Watch:
    """Kills the worker that has the batch, once, and notes the batch's state at each commit."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.killed = 0
        self.states: list[str] = []
        self.workers: list[int] = []

    def look(self, point: str) -> None:
        if point != "after a commit":
            return
        (path,) = self._scene.job_files()
        database = open_database(path, durable=False, read_only=True)
        try:
            rows = database.execute("SELECT state, worker FROM batches WHERE seq = 1")
        finally:
            database.close()
        for state, worker in rows:
            self.states.append(state)
            if state == "in progress":
                self.workers.append(worker)
                if not self.killed:
                    self.killed = kill_a_worker()


def kill_a_worker() -> int:
    """SIGKILL to one worker process of this process."""
    worker = workers_of()[0]
    os.kill(worker, signal.SIGKILL)
    return worker


def test_the_observer_sees_members_with_what_they_hold(tmp_path: Path) -> None:
    """Files and bytes only grow, and end at the source's; the member is this machine with its workers."""
    scene = Scene(tmp_path / "scene").init()
    seen: list[BackupProgress] = []
    append: Callable[[BackupProgress], None] = seen.append
    result = scene.backup(
        make_nested(tmp_path / "source", 3000), observer=BackupObserver(progress=append), batch_files=50
    )
    files = [progress.files_done for progress in seen]
    assert files == sorted(files)
    assert files[-1] == result.counters["total_files_processed"] == 3000
    assert seen[-1].scan_done
    assert seen[-1].queue_batches == 0
    assert [name for name, *_ in seen[-1].members] == ["tester"]
