"""Job files and their history, in the state directory (R12: mode 0600, on a local file system)."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from argosy.errors import ArgosyError, Damaged, StateBusy, StateError, StateUnsuitable
from argosy.filesystem.mounts import filesystem_type, is_network_type
from argosy.operations.setting_aside import set_aside
from argosy.sqlite import open_database
from argosy.state.history import History, JobHistory
from argosy.state.job_database import JobDatabase, open_job_database
from argosy.state.record import JobRecord

_SUFFIX = ".job"
_log = logging.getLogger(__name__)

DAMAGED_JOB_HINT = (
    "The next backup moves it aside and begins a new job; what this one had stored is found by deduplication."
)


class FoundJob(msgspec.Struct, frozen=True):
    """An unfinished job's file. ``active`` is the Unix time of its last commit; ``running_pid`` 0 if nobody runs it."""

    path: Path
    record: JobRecord
    active: float
    running_pid: int


def prepare_state_directory(path: Path, type_of: Callable[[bytes], str] = filesystem_type) -> Path:
    """Make the state directory (mode 0700) and refuse one where SQLite's WAL does not work."""
    try:
        _make_durable(path / "jobs")
    except OSError as error:
        raise StateError(
            f"cannot make the state directory {path}: {error.strerror}", hint="Name another one with --state-dir."
        ) from error
    kind = type_of(os.fsencode(path))
    if is_network_type(kind):
        raise StateUnsuitable(
            f"the state directory {path} lies on a network file system ({kind})",
            hint="Name a local directory with --state-dir: the checkpoint database does not work over a network.",
        )
    return path


def _make_durable(path: Path) -> None:
    """Make a directory and its parents, each named for good: a job that survives power loss must also be found."""
    if path.is_dir():
        return
    _make_durable(path.parent)
    path.mkdir(exist_ok=True, mode=0o700)
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def new_job_id() -> str:
    """A name that sorts by time."""
    return time.strftime("%Y%m%d-%H%M%S-", time.localtime()) + secrets.token_hex(3)


def job_path(state_directory: Path, job_id: str) -> Path:
    """The file of a job."""
    return state_directory / "jobs" / f"{job_id}{_SUFFIX}"


def words_of_losers(state_directory: Path, location: str) -> list[str]:
    """The unfinished backups that lose packs to a prune, because no snapshot uses these yet: a line for each."""
    return [
        f"the unfinished backup {job.record.id} loses what it has stored; resumed, it stores that again"
        for job in find_jobs(state_directory)
        if job.record.location == location
    ]


def find_jobs(
    state_directory: Path, on_unreadable: Callable[[Path, ArgosyError], None] = lambda _path, _error: None
) -> Iterator[FoundJob]:
    """All unfinished jobs, newest first. A file whose first commit never came is removed if nobody holds it.

    ``on_unreadable`` hears of each file that cannot be read; Damaged means that it never will be.
    """
    for path in sorted((state_directory / "jobs").glob(f"*{_SUFFIX}"), reverse=True):
        try:
            found = _read_job(path)
        except ArgosyError as error:
            if path.exists():  # else the job ended between the listing and now
                on_unreadable(path, error)
            continue
        if found is not None:
            yield found
        else:
            _remove_stillborn(path)


def open_job(path: Path) -> JobDatabase:
    """Hold a job; StateBusy if another process runs it."""
    return open_job_database(path)


def require_sound(job: JobDatabase) -> None:
    """Damaged unless SQLite finds its structure in order. It reads the whole file."""
    verdict = job.read("PRAGMA quick_check(1)")
    if verdict != [("ok",)]:
        raise Damaged(f"{job.path} is damaged: {verdict[0][0]}", hint=DAMAGED_JOB_HINT)


def open_history(state_directory: Path) -> History:
    """The file with all jobs that ended."""
    return History(state_directory / "history.sqlite")


def add_to_history(state_directory: Path, job: JobHistory) -> None:
    """Keep an ended job. A damaged history is moved aside: it must not make a backup fail that is done."""
    history = open_history(state_directory)
    try:
        history.add(job)
    except Damaged as error:
        place = set_aside(state_directory / "history.sqlite")
        _log.warning("%s. It was moved to %s, and a new one begun", error.message, place)
        history.add(job)


def _read_job(path: Path) -> FoundJob | None:
    database = open_database(path, durable=False, read_only=True)
    try:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'job'"):
            return None
        rows: dict[str, bytes] = dict(database.execute("SELECT key, value FROM job WHERE key IN ('record', 'active')"))
    finally:
        database.close()
    if "record" not in rows:
        return None
    try:
        record = msgspec.msgpack.decode(rows["record"], type=JobRecord)
        active = float(rows["active"]) if "active" in rows else record.started_ns / 1e9
    except ValueError as error:  # msgspec's errors are, too
        raise Damaged(f"{path} is damaged: {error}", hint=DAMAGED_JOB_HINT) from error
    return FoundJob(path, record, active, running_pid(path))


def running_pid(path: Path) -> int:
    """The process that holds a job file, 0 if none does."""
    lock_path = path.with_name(path.name + ".lock")
    with suppress(OSError):
        descriptor = os.open(lock_path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            text = os.read(descriptor, 32).decode("ascii", "replace").strip()
            return int(text) if text.isdigit() else -1
        finally:
            os.close(descriptor)
    return 0


def _remove_stillborn(path: Path) -> None:
    try:
        job = open_job_database(path)
    except (StateBusy, ArgosyError):
        return
    job.close()
    job.delete()
