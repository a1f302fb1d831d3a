"""A verification from its options to its result: open, choose the snapshot, compare, report."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from typing import Any

from argosy import __version__
from argosy.engine.interface import Engine, MakeEngine
from argosy.engine.local import make_local_engine, worker_count
from argosy.errors import Damaged, Interrupted, SnapshotMissing, SourceGone, UsageError
from argosy.filesystem.directory import open_directory
from argosy.operations.session import Access, Session, open_session
from argosy.operations.verify.coordinator import Coordinator
from argosy.operations.verify.messages import PROTOCOL, Outcome, WorkerSetup, encode
from argosy.operations.verify.options import IGNORABLE, VerifyObserver, VerifyOptions, VerifyResult
from argosy.operations.verify.plan import VerifyPlan
from argosy.operations.verify.report import CheckedReport, ReportWriter, check_report, difference_document
from argosy.operations.verify.sight import SourceView
from argosy.repository.blobs import BlobReader
from argosy.repository.process_identity import current_identity
from argosy.repository.snapshots import StoredSnapshot, find_subtree, resolve_snapshot
from argosy.restic_format.times import format_time
from argosy.restorer.content import BlobPlaces
from argosy.restorer.selection import Selection

HANDLER = "argosy.operations.verify.worker:verify_worker"

_CHECK_SECONDS = 1.0


def run_verify(
    access: Access, options: VerifyOptions, observer: VerifyObserver, make_engine: MakeEngine = make_local_engine
) -> VerifyResult:
    """Compare a snapshot with a directory. Differences and damage are told to the observer and counted in the result.

    Raises ArgosyError for what ends it early: there is no such snapshot or directory, the source went away, the report
    cannot be written; Interrupted if asked to stop. Then no report is left.
    """
    Selection(options.selection)  # refused before anything is opened
    if unknown := options.ignored.difference(IGNORABLE):
        raise UsageError(f"{min(unknown)} cannot be ignored", hint=f"Known are {', '.join(IGNORABLE)}.")
    _refuse_source(options)
    with ExitStack() as stack:
        session = stack.enter_context(open_session(access))
        return _Verification(session, options, observer, stack).run(
            make_engine(options.workers or worker_count(), "local")
        )


class _Verification:
    """One run."""

    def __init__(self, session: Session, options: VerifyOptions, observer: VerifyObserver, stack: ExitStack) -> None:
        self._session = session
        self._options = options
        self._observer = observer
        self._stack = stack
        self._source = os.path.abspath(options.source)
        lookup = session.open_lookup()
        self._reader = session.blob_reader(lookup)
        self._places = BlobPlaces(session.repository, lookup)
        stored, subpath = resolve_snapshot(session.repository, options.snapshot, options.wanted)
        if ":" not in options.snapshot:
            subpath = place_of(self._reader, stored, self._source)
        self._root = find_subtree(self._reader, stored.snapshot.tree, subpath)
        self._result = VerifyResult(stored, subpath, options.report)
        self._report: ReportWriter | None = None

    def run(self, engine: Engine) -> VerifyResult:
        result, options = self._result, self._options
        self._stack.callback(engine.cancel)
        self._observer.begun(result.snapshot, result.subpath)
        if options.report is not None:
            self._report = ReportWriter(options.report, self._session.repository.key)
            self._stack.callback(self._report.close)
            self._report.document(_header(self._session, options, result, self._source))
        base = result.subpath.encode("utf-8", "surrogateescape")
        engine.start(encode(_setup(options, base)), HANDLER)
        plan = VerifyPlan(self._reader, self._places, Selection(options.selection), base, self._problem)
        coordinator = Coordinator(engine, self._observer, result, self._taken, SourceView(self._source))
        coordinator.run(plan.works(self._root), _Check(self._session, self._observer))
        engine.close()
        if self._session.lock is not None:
            self._session.lock.check()
        if self._report is not None:
            self._report.document({**summary_document(result), "ended": format_time(time.time_ns())})
            self._report.finish()
        return result

    def _problem(self, path: bytes, error: Damaged) -> None:
        self._result.problems += 1
        self._observer.problem(path, error.message)
        if self._report is not None:
            shown = path.decode("utf-8", "replace")
            self._report.document({"message_type": "problem", "path": shown, "error": error.message})

    def _taken(self, outcome: Outcome) -> None:
        for path, reason in outcome.problems:
            self._problem(path, Damaged(reason))
        if self._report is not None:
            for difference in outcome.differences:
                self._report.document(difference_document(difference))
            self._report.lines(outcome.manifest)


def run_check_report(access: Access, path: bytes) -> CheckedReport:
    """Prove a report by the repository's key. Damaged if it is not what was written."""
    with open_session(access, lock=False) as session:
        return check_report(path, session.repository.key)


def place_of(reader: BlobReader, stored: StoredSnapshot, source: bytes) -> str:
    """Where a directory is in a snapshot that was made of it, or of one above it; "" (the root) if it was not.

    A path that was given as a relative one is saved so: without the components that stand before it.
    """
    text = os.fsdecode(source)
    if not any(text == path or text.startswith(path.rstrip("/") + "/") for path in stored.snapshot.paths):
        return ""
    parts = text.strip("/").split("/")
    for start in range(len(parts)):
        place = "/" + "/".join(parts[start:])
        try:
            find_subtree(reader, stored.snapshot.tree, place)
        except SnapshotMissing:
            continue
        return place
    return ""


class _Check:
    """Called at every turn: the lock is held, and nobody asked to stop."""

    def __init__(self, session: Session, observer: VerifyObserver) -> None:
        self._lock = session.lock
        self._observer = observer
        self._next = 0.0

    def __call__(self) -> None:
        if self._observer.stop_requested():
            raise Interrupted("stopped on request", hint="A comparison starts from the beginning each time.")
        now = time.monotonic()
        if self._lock is not None and now >= self._next:
            self._next = now + _CHECK_SECONDS
            self._lock.check()


def _refuse_source(options: VerifyOptions) -> None:
    """SourceGone if it is no directory that can be read; UsageError if the report would be one of its files."""
    source = os.path.realpath(options.source)
    try:
        os.close(open_directory(source))
    except OSError as error:
        raise SourceGone(
            f"the directory {os.fsdecode(options.source)} cannot be read: {error.strerror}",
            hint="Name the directory to compare with.",
        ) from error
    if options.report is not None:
        report = os.path.realpath(options.report)
        if os.path.commonpath([source, report]) == source:
            raise UsageError(
                f"the report {os.fsdecode(options.report)} lies in the directory that is compared",
                hint="It would be a difference itself: write it elsewhere.",
            )


def _setup(options: VerifyOptions, base: bytes) -> WorkerSetup:
    return WorkerSetup(
        protocol=PROTOCOL,
        source=os.path.abspath(options.source),
        base=base,
        selection=options.selection,
        ignored=options.ignored,
        manifest=options.report is not None,
    )


def _header(session: Session, options: VerifyOptions, result: VerifyResult, source: bytes) -> dict[str, Any]:
    """Who, when, where, and what was asked."""
    identity, stored, snapshot = current_identity(), result.snapshot, result.snapshot.snapshot
    selection = options.selection
    patterns = {
        "exclude": selection.exclude,
        "iexclude": selection.iexclude,
        "include": selection.include,
        "iinclude": selection.iinclude,
    }
    return {
        "message_type": "report",
        "version": 1,
        "program_version": f"argosy {__version__}",
        "started": format_time(time.time_ns()),
        "hostname": identity.hostname,
        "username": identity.username,
        "uid": identity.uid,
        "repository_id": session.repository.id,
        "location": session.storage.location,
        "snapshot_id": stored.id.hex(),
        "tree": snapshot.tree.hex(),
        "snapshot_time": snapshot.time,
        "snapshot_hostname": snapshot.hostname,
        "snapshot_paths": list(snapshot.paths),
        "snapshot_tags": list(snapshot.tags),
        "subpath": result.subpath or "/",
        "source": source.decode("utf-8", "replace"),
        "ignored": sorted(options.ignored),
        **{key: [pattern.decode("utf-8", "replace") for pattern in given] for key, given in patterns.items() if given},
    }


def summary_document(result: VerifyResult) -> dict[str, Any]:
    """The counts as JSON."""
    return {
        "message_type": "summary",
        "snapshot_id": result.snapshot.id.hex(),
        "subpath": result.subpath or "/",
        "files": result.files,
        "directories": result.directories,
        "others": result.others,
        "bytes": result.size_bytes,
        "differences": result.differences,
        "changed": result.changed,
        "changing": result.changing,
        "missing_in_source": result.missing_in_source,
        "missing_in_snapshot": result.missing_in_snapshot,
        "below": result.below,
        "silent": result.silent,
        "unreadable": result.unreadable,
        "passed_over": result.passed_over,
        "problems": result.problems,
        "exit_code": result.exit_code,
    }
