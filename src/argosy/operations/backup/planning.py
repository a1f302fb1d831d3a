"""Which job a start runs: an unfinished one that is resumed, or a new one with its parent snapshot."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec

from argosy.archiver.ledger import Ledger
from argosy.archiver.source import Source
from argosy.archiver.targets import Target
from argosy.errors import ArgosyError, Damaged
from argosy.filesystem.metadata import OwnerNames
from argosy.operations.backup.closing import keep_history, sealed_before
from argosy.operations.backup.options import BackupOptions, JobSpec
from argosy.operations.backup.resume import decide_resume
from argosy.operations.jobs import find_jobs, job_path, new_job_id, open_job, require_sound, running_pid
from argosy.operations.setting_aside import set_aside
from argosy.repository.layout import FileKind
from argosy.repository.repository import Repository
from argosy.repository.snapshots import StoredSnapshot, find_parent, load_snapshots, resolve_snapshot
from argosy.state.job_database import JobDatabase
from argosy.state.record import JobRecord

_NOT_UTF8 = re.compile("[\udc80-\udcff]")


class Plan(msgspec.Struct):
    """A job that is about to run."""

    job: JobDatabase
    record: JobRecord
    ledger: Ledger
    parent: StoredSnapshot | None
    resumed: bool


class Planner:
    """Decides and opens; nothing is written to the repository here."""

    def __init__(
        self,
        repository: Repository,
        options: BackupOptions,
        targets: list[Target],
        source: Source,
        owners: OwnerNames,
        state_directory: Path,
        say: Callable[[str], None],
        stack: ExitStack,
    ) -> None:
        self._repository = repository
        self._options = options
        self._targets = targets
        self._source = source
        self._owners = owners
        self._state_directory = state_directory
        self._say = say
        self._stack = stack

    def plan(self) -> Plan:
        """The job to run, its file held by this process."""
        spec = self._spec()
        decision = decide_resume(
            find_jobs(self._state_directory, self._set_aside_if_damaged),
            self._repository.id,
            spec,
            now=time.time(),
            within_seconds=self._options.resume_within_seconds,
            allowed=self._options.resume,
        )
        for job, reason in decision.close:
            self._say(f"job {job.record.id} was unfinished and is closed: {reason}")
            self._close_unfinished(job.path, reason)
        plan = None if decision.resume is None else self._resume_if_sound(decision.resume.path)
        return self._begin(spec) if plan is None else plan

    def _spec(self) -> JobSpec:
        options = self._options
        return JobSpec(
            targets=[(target.path, list(target.components)) for target in self._targets],
            host=options.host,
            tags=list(options.tags),
            parent=options.parent or "",
            force=options.force,
            content_key=list(options.content_key),
            ignore_inode=options.ignore_inode,
            ignore_ctime=options.ignore_ctime,
            with_atime=options.with_atime,
            device_id_always=options.device_id_always,
            one_file_system=options.one_file_system,
            time_ns=options.time_ns,
        )

    def _begin(self, spec: JobSpec) -> Plan:
        parent = self._find_parent()
        record = JobRecord(
            id=self._options.job_id or new_job_id(),
            kind="backup",
            repository_id=self._repository.id,
            location=self._repository.storage.location,
            started_ns=time.time_ns(),
            spec=msgspec.msgpack.encode(spec),
            parent="" if parent is None else parent.id.hex(),
        )
        job = self._open(job_path(self._state_directory, record.id))
        ledger = Ledger(job, self._source.roots, self._owners)
        ledger.state.put("roots", msgspec.msgpack.encode(self._source.roots))
        ledger.state.create(record)
        return Plan(job, record, ledger, parent, resumed=False)

    def _set_aside_if_damaged(self, path: Path, error: ArgosyError) -> None:
        """A job file that cannot be read never blocks a backup."""
        if not isinstance(error, Damaged) or running_pid(path):
            self._say(f"{error.message}; it is left alone")
            return
        place = set_aside(path)
        self._say(
            f"{error.message}. It was moved to {place}, and its job is not resumed:"
            " what it had stored is found by deduplication"
        )

    def _resume_if_sound(self, path: Path) -> Plan | None:
        job = None
        try:
            job = self._open(path)
            require_sound(job)
            return self._resume(job)
        except Damaged as error:
            if job is not None:
                job.close()
            self._set_aside_if_damaged(path, error)
            return None

    def _resume(self, job: JobDatabase) -> Plan | None:
        """The job in this file; None if it had done all but to close, which is made up for."""
        ledger = Ledger(job, self._source.roots, self._owners)
        record = ledger.state.record()
        assert record is not None
        sealed = sealed_before(ledger)
        if sealed is not None and sealed.id in self._repository.list_ids(FileKind.SNAPSHOT):
            self._say(f"job {record.id} had written its snapshot and is closed")
            outcome = "incomplete" if ledger.state.load_counters().get("unread", 0) else "done"
            keep_history(self._state_directory, ledger, record, outcome, "", sealed.id)
            job.delete()
            return None
        started = time.strftime("%a %H:%M", time.localtime(record.started_ns / 1e9))
        self._say(f"resumed job of {started} ({record.id})")
        ledger.reports.log("resumed")
        parent = None
        if record.parent:
            stored = load_snapshots(self._repository, on_damaged=lambda _id, error: self._say(error.message))
            parent = next((snapshot for snapshot in stored if snapshot.id.hex() == record.parent), None)
        return Plan(job, record, ledger, parent, resumed=True)

    def _open(self, path: Path) -> JobDatabase:
        job = open_job(path)
        self._stack.callback(job.close)
        return job

    def _find_parent(self) -> StoredSnapshot | None:
        options = self._options
        if options.force:
            return None
        if options.parent is not None:
            return resolve_snapshot(self._repository, options.parent)[0]
        return find_parent(
            load_snapshots(self._repository, on_damaged=lambda _id, error: self._say(error.message)),
            host=options.host,
            paths=snapshot_paths(options, self._targets),
            before_ns=options.time_ns if options.time_ns is not None else time.time_ns(),
        )

    def _close_unfinished(self, path: Path, reason: str) -> None:
        try:
            self._close_sound(path, reason)
        except Damaged as error:
            self._set_aside_if_damaged(path, error)

    def _close_sound(self, path: Path, reason: str) -> None:
        job = open_job(path)
        try:
            ledger = Ledger(job, [], self._owners)
            record = ledger.state.record()
            assert record is not None
            ledger.state.load_counters()
            keep_history(self._state_directory, ledger, record, "closed", reason, b"")
        finally:
            job.close()
        job.delete()


def snapshot_paths(options: BackupOptions, targets: list[Target]) -> list[str]:
    """The paths that the snapshot names: absolute, sorted. Bytes that are not UTF-8 as they will stand in its JSON."""
    if options.shown_as is not None:
        paths = [os.path.normpath(options.shown_as)]
    else:
        paths = [target.path for target in targets]
    return sorted(_NOT_UTF8.sub("\ufffd", path.decode("utf-8", "surrogateescape")) for path in paths)
