"""What runs and what waits to be resumed: the job files of the state directory, read and never written (S2, S6).

A job file shows the last commit of its job, a fraction of a second ago while it runs. A batch whose worker was lost
reads ``in progress`` until another worker takes it; so does one of a job that nobody runs (S4).
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import replace

from argosy.errors import ArgosyError, Damaged, StateError, UsageError
from argosy.operations.jobs import DAMAGED_JOB_HINT, job_path, open_history, running_pid
from argosy.sqlite import Database, Row, open_database
from argosy.state.history import JobHistory
from argosy.state.queue import ATTEMPTS_OF_A_RUN, IN_PROGRESS
from argosy.state.record import JobRecord

# In a class with a field named ``bytes`` that name means the field to whoever reads the annotations.
RawPath: TypeAlias = bytes

_SUFFIX = ".job"
_NAMED = 5


class BatchStatus(msgspec.Struct, frozen=True):
    """A batch that a member holds, or held when it was lost. ``worker`` is the worker's number."""

    number: int
    state: str
    attempt: int
    worker: int | None
    files: int
    files_done: int
    bytes: int
    bytes_done: int
    updated: float | None
    failures: int


class MemberStatus(msgspec.Struct, frozen=True):
    """A member: what it completed in this job, and the batches that it holds. Times are Unix seconds."""

    holding: list[BatchStatus]
    name: str
    host: str
    pid: int
    workers: int
    joined: float
    last_seen: float
    left: float | None
    files: int
    bytes: int
    batches: int

    @property
    def files_done(self) -> int:
        """Files of complete batches, and of those under way."""
        return self.files + sum(batch.files_done for batch in self.holding)

    @property
    def bytes_done(self) -> int:
        """Bytes of complete batches, and of those under way."""
        return self.bytes + sum(batch.bytes_done for batch in self.holding)


class ScanThreadStatus(msgspec.Struct, frozen=True):
    """A scan thread: the directory it was last at, and what it has put into the batch that it fills."""

    thread: int
    path: RawPath
    directories: int
    files: int
    bytes: int
    updated: float


class ScanStatus(msgspec.Struct, frozen=True):
    """The scan rows: directories found and not taken, those in progress, and the threads."""

    frontier: int
    in_progress: int
    threads: list[ScanThreadStatus]

    @property
    def done(self) -> bool:
        """Whether nothing is left to scan."""
        return not self.frontier and not self.in_progress


class QueueStatus(msgspec.Struct, frozen=True):
    """The global queue: batches that are not complete."""

    batches: int
    waiting: int
    in_progress: int
    files: int
    bytes: int
    bytes_done: int


class JobStatus(msgspec.Struct, frozen=True):
    """One job that runs (``pid``) or waits to be resumed (``pid`` 0). ``active`` is the time of its last progress."""

    record: JobRecord
    pid: int
    active: float
    paths: list[bytes]
    counters: dict[str, Any]
    scan: ScanStatus
    queue: QueueStatus
    members: list[MemberStatus]
    packs: int
    packed_bytes: int
    unread: int
    log: list[tuple[float, str]]

    @property
    def running(self) -> bool:
        """Whether a process has the job."""
        return self.pid != 0

    @property
    def files_done(self) -> int:
        """Files saved or found unchanged, those of batches under way too."""
        return int(self.counters.get("total_files_processed", 0)) + sum(
            batch.files_done for member in self.members for batch in member.holding
        )

    @property
    def bytes_done(self) -> int:
        """Their bytes."""
        return int(self.counters.get("total_bytes_processed", 0)) + self.queue.bytes_done


def read_jobs(state_directory: Path, on_trouble: Callable[[ArgosyError], None]) -> list[JobStatus]:
    """All jobs that run or can be resumed, newest first. What is wrong with a file that cannot be read is told."""
    found = []
    for path in _job_files(state_directory):
        try:
            status = _read_if_there(path)
        except ArgosyError as error:
            on_trouble(error)
            continue
        if status is not None:
            found.append(status)
    return found


def find_job(state_directory: Path, text: str) -> JobStatus | JobHistory:
    """The job whose id starts with ``text``. UsageError if there is none, or several start so."""
    files = {path.stem: path for path in _job_files(state_directory) if path.stem.startswith(text)}
    ended = {job.id: job for job in read_history(state_directory) if job.id.startswith(text)}
    exact = open_history(state_directory).find(text) if _has_history(state_directory) else None
    if exact is not None:  # however old it is
        ended[text] = exact
    names = sorted(files.keys() | ended.keys())
    if len(names) > 1 and text not in names:
        listed = ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
        raise UsageError(f"several jobs start with {text}: {listed}", hint="Write more of the one that you mean.")
    name = text if text in names else names[0] if names else text
    # One that ended a moment ago may be seen in both places: the history has it whole.
    status = _read_if_there(files[name]) if name in files and name not in ended else None
    job = status or ended.get(name)
    if job is None:
        raise UsageError(f"there is no job {text}", hint="'argosy jobs' lists all of them.")
    return job


def read_unread(state_directory: Path, job_id: str) -> list[tuple[bytes, str]]:
    """(path, reason) of what a running or unfinished job could not read."""
    database = _open(job_path(state_directory, job_id))
    try:
        return [(row[0], row[1]) for row in database.execute("SELECT path, reason FROM unread ORDER BY number")]
    finally:
        database.close()


def read_history(state_directory: Path, most: int = 1000) -> list[JobHistory]:
    """Ended jobs, newest first; empty where none has ended."""
    return open_history(state_directory).all(most) if _has_history(state_directory) else []


def _has_history(state_directory: Path) -> bool:
    # Opening it would make it: what only looks leaves nothing behind.
    return os.path.exists(state_directory / "history.sqlite")


def _job_files(state_directory: Path) -> Iterator[Path]:
    directory = state_directory / "jobs"
    try:
        names = sorted((path.name for path in directory.iterdir() if path.suffix == _SUFFIX), reverse=True)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StateError(
            f"the state directory {state_directory} cannot be read: {error.strerror}",
            hint="Run this as the user who runs the backups, or name another directory with --state-dir.",
        ) from error
    for name in names:
        yield directory / name


def _read_if_there(path: Path) -> JobStatus | None:
    """None for a job that ended while it was looked at, and for one whose first commit has not come."""
    try:
        return _read(path)
    except ArgosyError:
        if path.exists():
            raise
        return None


def _open(path: Path) -> Database:
    return open_database(path, durable=False, read_only=True)


def _read(path: Path) -> JobStatus | None:
    # Who runs it is asked first: a job that ends meanwhile has no file any more, and is not called unfinished.
    pid = running_pid(path)
    database = _open(path)
    try:
        database.execute("BEGIN")  # one moment for all tables
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'log'"):
            return None
        return _status(database, pid)
    except (Damaged, ValueError) as error:  # msgspec's errors are ValueErrors
        said = error.message if isinstance(error, Damaged) else f"{path} is damaged: {error}"
        raise Damaged(said, hint=DAMAGED_JOB_HINT) from error
    finally:
        database.close()


def _status(database: Database, pid: int) -> JobStatus | None:
    values: dict[str, bytes] = dict(
        database.execute("SELECT key, value FROM job WHERE key IN ('record', 'active', 'roots', 'counters')")
    )
    if "record" not in values:
        return None
    record = msgspec.msgpack.decode(values["record"], type=JobRecord)
    roots = msgspec.msgpack.decode(values["roots"], type=list[tuple[bytes, int]]) if "roots" in values else []
    packs, packed_bytes = _single(database, "SELECT count(*), coalesce(sum(size), 0) FROM packs")
    return JobStatus(
        record=record,
        pid=pid,
        active=float(values["active"]) if "active" in values else record.started_ns / 1e9,
        paths=[path for path, _ in roots],
        counters=msgspec.json.decode(values["counters"]) if "counters" in values else {},
        scan=_scan(database),
        queue=_queue(database),
        members=_members(database),
        packs=packs,
        packed_bytes=packed_bytes,
        unread=_single(database, "SELECT count(*) FROM unread")[0],
        log=[(row[0], row[1]) for row in database.execute("SELECT time, text FROM log ORDER BY number")],
    )


def _single(database: Database, sql: str) -> Row:
    return database.execute(sql)[0]


def _scan(database: Database) -> ScanStatus:
    total, taken = _single(database, "SELECT count(*), count(thread) FROM frontier")
    rows = database.execute("SELECT thread, path, directories, files, bytes, updated FROM scan_threads ORDER BY thread")
    return ScanStatus(total - taken, taken, [ScanThreadStatus(*row) for row in rows])


def _queue(database: Database) -> QueueStatus:
    total, busy, files, size, size_done = _single(
        database,
        f"SELECT count(*), coalesce(sum(state = '{IN_PROGRESS}'), 0), coalesce(sum(files), 0), coalesce(sum(bytes), 0),"
        " coalesce(sum(bytes_done), 0) FROM batches",
    )
    return QueueStatus(total, total - busy, busy, files, size, size_done)


def _members(database: Database) -> list[MemberStatus]:
    holding: defaultdict[str, list[BatchStatus]] = defaultdict(list)
    for member, *batch in database.execute(
        "SELECT member, seq, state, attempt, worker, files, files_done, bytes, bytes_done, updated, failures"
        " FROM batches WHERE member IS NOT NULL ORDER BY seq"
    ):
        status = BatchStatus(*batch)
        # Each run counts its attempts from a multiple of this, which tells a reader nothing.
        holding[member].append(replace(status, attempt=status.attempt % ATTEMPTS_OF_A_RUN))
    columns = "name, host, pid, workers, joined, last_seen, left_at, files, bytes, batches"
    rows = database.execute(f"SELECT {columns} FROM members ORDER BY joined")
    return [MemberStatus(holding[row[0]], *row) for row in rows]
