"""What a master tells of its jobs: those in its memory, those in job files, and those that ended."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from argosy.daemon.kinds import BACKUP, Counts, decode_value
from argosy.daemon.protocol import Job, Jobs, RunState
from argosy.daemon.runs import Run, Runs
from argosy.errors import UsageError
from argosy.operations.status import JobStatus, find_job, read_history, read_jobs, read_unread
from argosy.state.history import JobHistory

_log = logging.getLogger(__name__)

# Of what went wrong and of what happened, together: half of what one message holds.
_MOST_BYTES = 400 * 1000


class Accounts:
    """Reads files: not for the loop's thread."""

    def __init__(self, state_directory: Path, runs: Runs) -> None:
        self._state_directory = state_directory
        self._runs = runs

    def jobs(self, most: int) -> Jobs:
        """All that run or wait, and so many that ended; without their logs, which may be long."""
        runs, found = self.open()
        known = {job.record.id for job in found} | {run.id for run in runs}
        ended = [
            msgspec.structs.replace(job, unread=[], log=[])
            for job in read_history(self._state_directory, most)
            if job.id not in known
        ]
        return Jobs(runs, found, ended)

    def open(self) -> tuple[list[RunState], list[JobStatus]]:
        """Those that run or wait, newest first; without their logs."""
        found = read_jobs(self._state_directory, lambda error: _log.warning(error.message))
        known = {job.record.id for job in found}
        runs = [_state_of(run) for run in self._runs.open() if run.job not in known and not _has_had_a_file(run)]
        return [msgspec.structs.replace(run, log=[]) for run in runs], [replace(job, log=[]) for job in found]

    def job(self, text: str) -> Job:
        """The job whose id starts so, with all that is known of it. UsageError if there is none, or several."""
        runs = [run for run in self._runs.open() if run.job.startswith(text)]
        try:
            found = find_job(self._state_directory, text)
        except UsageError:
            if len(runs) != 1:
                raise
            return _of_run(runs[0])
        name = found.record.id if isinstance(found, JobStatus) else found.id
        if any(run.job != name for run in runs):
            raise UsageError(f"several jobs start with {text}", hint="Write more of the one that you mean.")
        if isinstance(found, JobHistory):
            return _of_ended(found)
        unread, log, left_out = _cut(read_unread(self._state_directory, name), found.log)
        return Job(job=replace(found, log=log), unread=unread, left_out=left_out)


def _has_had_a_file(run: Run) -> bool:
    """A backup that shows how far it is has its file, or is about to end without."""
    return run.work.kind is BACKUP and bool(run.progress)


def _of_run(run: Run) -> Job:
    faults = [(what.encode(), reason) for what, reason in run.work.diary.faults]
    unread, log, left_out = _cut(faults, run.work.diary.log)
    return Job(run=msgspec.structs.replace(_state_of(run), log=log), unread=unread, left_out=left_out)


def _of_ended(job: JobHistory) -> Job:
    unread, log, left_out = _cut([(what.encode(), reason) for what, reason in job.unread], job.log)
    return Job(ended=msgspec.structs.replace(job, unread=[], log=log), unread=unread, left_out=left_out)


def _state_of(run: Run) -> RunState:
    kind = run.work.kind
    counts = kind.counts(decode_value(run.progress, kind.progress)) if run.progress else Counts()
    return RunState(
        run.job,
        kind.name,
        run.work.location,
        run.work.paths,
        # A backup runs, and can be resumed, once it has its file.
        run.begun and kind is not BACKUP,
        run.submitted_at,
        run.active_at,
        counts.entries,
        counts.size_bytes,
        counts.errors,
        counts.members,
        list(run.work.diary.log),
    )


def _cut(
    unread: Sequence[tuple[bytes, str]], log: Sequence[tuple[float, str]]
) -> tuple[list[tuple[bytes, str]], list[tuple[float, str]], int]:
    """As much of both as one message may hold, the log first, and how many were left out."""
    size = 0
    kept_log: list[tuple[float, str]] = []
    for when, text in log:
        size += len(text.encode())
        if size > _MOST_BYTES:
            break
        kept_log.append((when, text))
    kept_unread: list[tuple[bytes, str]] = []
    for path, reason in unread:
        size += len(path) + len(reason.encode())
        if size > _MOST_BYTES:
            break
        kept_unread.append((path, reason))
    return kept_unread, kept_log, len(log) + len(unread) - len(kept_log) - len(kept_unread)
