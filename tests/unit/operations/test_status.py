"""What the job files of a state directory say, while jobs run and after they stopped."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from argosy.errors import ArgosyError, StateError, UsageError
from argosy.operations.jobs import job_path, open_history, open_job, prepare_state_directory
from argosy.operations.status import JobStatus, find_job, read_history, read_jobs, read_unread
from argosy.state.frontier import Frontier, ScanDirectory
from argosy.state.history import JobHistory
from argosy.state.job_database import JobDatabase
from argosy.state.packs import RecordedPack, RecordedPacks
from argosy.state.queue import BatchQueue
from argosy.state.record import JobRecord, JobState, Reports
from argosy.state.state_map import StateMap

ROOT = b"/mnt/n\xffas"


class Job:
    """A job file with its models."""

    def __init__(self, state: Path, job_id: str) -> None:
        self.file: JobDatabase = open_job(job_path(prepare_state_directory(state), job_id))
        self.state = JobState(self.file)
        self.queue = BatchQueue(self.file)
        self.frontier = Frontier(self.file)
        self.map = StateMap(self.file)
        self.packs = RecordedPacks(self.file)
        self.reports = Reports(self.file)
        self.state.create(JobRecord(job_id, "backup", "ab" * 32, "/repository", 10**18, b""))
        self.state.put("roots", msgspec.msgpack.encode([(ROOT, 2)]))


def none(error: ArgosyError) -> None:
    raise AssertionError(error)


def only(state: Path) -> JobStatus:
    """The one job of the directory."""
    (job,) = read_jobs(state, none)
    return job


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path, "20260101-000000-aaaaaa")


def ended(job_id: str) -> JobHistory:
    return JobHistory(job_id, "backup", "/repository", ["/a"], 1.0, 2.0, "done")


def test_where_nothing_was_ever_backed_up_there_is_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert read_jobs(state, none) == []
    assert read_history(state) == []
    assert not state.exists(), "who only looks leaves nothing behind"


def test_a_job_is_running_while_its_file_is_held(job: Job, tmp_path: Path) -> None:
    job.state.count(total_files_processed=5)
    job.file.commit()
    status = only(tmp_path)
    assert status.running
    assert status.record.id == "20260101-000000-aaaaaa"
    assert status.paths == [ROOT]
    job.file.close()
    assert not only(tmp_path).running


def test_each_member_has_the_batches_that_it_holds(job: Job, tmp_path: Path) -> None:
    job.map.member_joined("vm", "host", 7, 2)
    for number in range(3):
        job.queue.enqueue(b"payload", 10 + number, 1000)
    job.file.commit()
    for _ in range(2):
        assert job.queue.lease() is not None
    job.queue.taken(1, 1, "vm", 1)
    job.queue.taken(2, 1, "vm", 2)
    job.queue.progress(2, 1, 4, 400)
    job.map.member_completed("vm", 100, 10_000)
    job.state.count(total_files_processed=100, total_bytes_processed=10_000)
    job.file.commit()
    status = only(tmp_path)
    (member,) = status.members
    assert (member.name, member.host, member.pid, member.workers) == ("vm", "host", 7, 2)
    assert [(batch.number, batch.state, batch.worker, batch.files_done) for batch in member.holding] == [
        (1, "in progress", 1, 0),
        (2, "in progress", 2, 4),
    ]
    assert (member.files_done, member.bytes_done) == (104, 10_400)
    assert (status.queue.batches, status.queue.in_progress, status.queue.waiting) == (3, 2, 1)
    assert (status.files_done, status.bytes_done) == (104, 10_400)


def test_a_lost_workers_batch_reads_in_progress_until_another_has_it(job: Job, tmp_path: Path) -> None:
    """S4: neither failed nor done."""
    job.map.member_joined("vm", "host", 7, 2)
    job.queue.enqueue(b"payload", 10, 1000)
    job.file.commit()
    job.queue.lease()
    job.queue.taken(1, 1, "vm", 1)
    job.file.commit()
    job.queue.give_back(1, 1, failed=True)
    job.file.commit()
    (batch,) = only(tmp_path).members[0].holding
    assert (batch.state, batch.worker, batch.attempt) == ("in progress", 1, 1)
    job.queue.lease()
    job.queue.taken(1, 2, "vm", 2)
    job.file.commit()
    (batch,) = only(tmp_path).members[0].holding
    assert (batch.state, batch.worker, batch.attempt) == ("in progress", 2, 2)


def test_each_scan_thread_has_the_batch_that_it_fills(job: Job, tmp_path: Path) -> None:
    """S6; and the frontier: found directories, and those in progress."""
    for number in range(1, 4):
        job.frontier.add([ScanDirectory(number, 0, b"d", ROOT, None)])
    assert job.frontier.take(0) is not None
    job.map.filling(0, ROOT + b"/d", 3, 40, 5000)
    job.file.commit()
    scan = only(tmp_path).scan
    assert (scan.frontier, scan.in_progress, scan.done) == (2, 1, False)
    (thread,) = scan.threads
    assert (thread.thread, thread.path, thread.directories, thread.files, thread.bytes) == (
        0,
        ROOT + b"/d",
        3,
        40,
        5000,
    )


def test_packs_unread_entries_and_events_are_there(job: Job, tmp_path: Path) -> None:
    job.packs.record(RecordedPack(bytes(32), 500, b"header", "data"))
    job.reports.unread(ROOT + b"/x", "permission denied")
    job.reports.log("resumed")
    job.file.commit()
    status = only(tmp_path)
    assert (status.packs, status.packed_bytes, status.unread) == (1, 500, 1)
    assert [text for _, text in status.log] == ["resumed"]
    assert read_unread(tmp_path, status.record.id) == [(ROOT + b"/x", "permission denied")]


def test_a_job_whose_first_commit_has_not_come_is_not_there_yet(job: Job, tmp_path: Path) -> None:
    assert read_jobs(tmp_path, none) == []
    assert job.file.path.exists(), "and it is not taken away from the process that makes it"


def test_a_damaged_file_is_told_and_hides_no_other(job: Job, tmp_path: Path) -> None:
    job.file.commit()
    (tmp_path / "jobs" / "20270101-000000-bbbbbb.job").write_bytes(b"no database" * 1000)
    troubles: list[ArgosyError] = []
    assert [status.record.id for status in read_jobs(tmp_path, troubles.append)] == ["20260101-000000-aaaaaa"]
    assert "bbbbbb" in troubles[0].message


def test_a_state_directory_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "jobs").touch()
    with pytest.raises(StateError, match=str(tmp_path)):
        read_jobs(tmp_path, none)


def test_a_job_is_found_by_the_start_of_its_id(job: Job, tmp_path: Path) -> None:
    job.file.commit()
    open_history(tmp_path).add(ended("20250101-000000-cccccc"))
    open_history(tmp_path).add(ended("20250101-000000-dddddd"))
    assert isinstance(find_job(tmp_path, "2026"), JobStatus)
    found = find_job(tmp_path, "20250101-000000-c")
    assert isinstance(found, JobHistory)
    with pytest.raises(UsageError, match="several jobs start with 2025"):
        find_job(tmp_path, "2025")
    with pytest.raises(UsageError, match="there is no job 2024"):
        find_job(tmp_path, "2024")


def test_a_job_that_has_just_ended_is_taken_from_the_history(job: Job, tmp_path: Path) -> None:
    """It stands in the history before its file goes."""
    job.file.commit()
    open_history(tmp_path).add(ended("20260101-000000-aaaaaa"))
    assert isinstance(find_job(tmp_path, "20260101-000000-aaaaaa"), JobHistory)
