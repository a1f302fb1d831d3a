"""A restore from its options to its result: open, choose the snapshot, restore, verify."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from argosy.engine.here import engine_ahead
from argosy.engine.interface import MakeEngine
from argosy.engine.local import worker_count
from argosy.engine.nursery import Nursery
from argosy.errors import Interrupted, UsageError
from argosy.operations.restore.coordinator import Coordinator, RestoreSource
from argosy.operations.restore.handler import HANDLER
from argosy.operations.restore.options import (
    RestoreObserver,
    RestoreOptions,
    RestoreResult,
    refuse_contradictions,
)
from argosy.operations.restore.verification import make_scratch
from argosy.operations.session import Access, Session, open_session
from argosy.repository.lookup import DedupLookup
from argosy.repository.snapshots import StoredSnapshot, find_subtree, resolve_snapshot
from argosy.restic_format.config import encode_config
from argosy.restorer.content import BlobPlaces
from argosy.restorer.messages import PROTOCOL, RestoreSettings, WorkerSetup, encode
from argosy.storage.interface import Storage

_LOCK_SECONDS = 1.0
_SETTLE_SECONDS = 0.2


def run_restore(
    access: Access,
    options: RestoreOptions,
    observer: RestoreObserver,
    *,
    make_engine: MakeEngine | None = None,
    nursery: Nursery | None = None,
    lease_seconds: float = 0.0,
) -> RestoreResult:
    """Restore a snapshot, or the part of it that ``options`` select, below ``options.target``.

    ``make_engine`` makes what carries the tasks; without it the worker processes of this machine do, from ``nursery``
    if one was started for ``HANDLER`` before. Where other machines write to the target, too, ``lease_seconds`` is how
    long one of them may do so without a word from here; 0 where there are none.

    Entries that could not be restored are told to the observer and counted in the result. Raises ArgosyError for what
    ends a restore early; whatever was restored by then stays, and the same call goes on.
    """
    refuse_contradictions(options)
    workers = options.workers or worker_count()
    with ExitStack() as stack:
        make = make_engine or engine_ahead(HANDLER, workers, os.uname().nodename, nursery, stack, count=workers)
        session = stack.enter_context(open_session(access, confirm=False))
        refuse_repository_as_target(session, options.target)
        # Snapshots before indexes: of what a backup adds meanwhile, the snapshot comes last.
        stored, subpath = resolve_snapshot(session.repository, options.snapshot, options.wanted)
        lookup = session.open_lookup()
        source = _source(session, lookup, stored, subpath)
        scratch = Path(stack.enter_context(make_scratch(access.cache_directory)))
        target, settings = os.path.abspath(options.target), _settings(session, options, lease_seconds)
        observer.begun(stored, subpath)
        check = _Check(session, observer)
        engine = make(workers, os.uname().nodename)
        stack.callback(engine.cancel)
        engine.start(encode(_setup(session, lookup, target, settings, workers)), HANDLER)
        coordinator = Coordinator(engine, source, target, settings, options.cuts, observer, check, scratch)
        stack.callback(coordinator.close)
        try:
            coordinator.restore()
            check.confirm()
            if options.verify:
                observer.verifying()
                coordinator.verify()
        except Interrupted:
            # What workers are at is worth finishing: a second or two.
            engine.close()
            raise
        engine.close()
        return _result(coordinator, options, source)


def _source(session: Session, lookup: DedupLookup, stored: StoredSnapshot, subpath: str) -> RestoreSource:
    reader = session.blob_reader(lookup)
    root_tree = find_subtree(reader, stored.snapshot.tree, subpath)
    places = BlobPlaces(session.repository, lookup)
    return RestoreSource(stored, subpath, root_tree, reader, places, session.storage.is_local)


class _Check:
    """Called at every turn of a restore: the lock is confirmed and held, and nobody asked to stop."""

    def __init__(self, session: Session, observer: RestoreObserver) -> None:
        self._lock = session.lock
        self._observer = observer
        self._confirmed = self._lock is None
        # A lock has to stand alone for 200 ms: workers start and begin meanwhile, which does not harm the repository.
        self._next = time.monotonic() + _SETTLE_SECONDS

    def __call__(self) -> None:
        if self._observer.stop_requested():
            raise Interrupted("stopped on request", hint="Run the same command again: it goes on where it stopped.")
        now = time.monotonic()
        if self._lock is not None and now >= self._next:
            self.confirm()
            self._next = now + _LOCK_SECONDS
            self._lock.check()

    def confirm(self) -> None:
        """Confirm the lock, once."""
        if not self._confirmed and self._lock is not None:
            self._lock.confirm()
            self._confirmed = True


def refuse_repository_as_target(session: Session, target: bytes) -> None:
    """UsageError if a restore would write into the repository that it reads."""
    place = session.storage.local_path("config")
    if place is None:
        return
    repository = os.path.realpath(os.fsencode(place.parent))
    if os.path.commonpath([repository, os.path.realpath(target)]) == repository:
        raise UsageError(
            f"the target {os.fsdecode(target)} lies in the repository", hint="Choose another directory with --target."
        )


def _settings(session: Session, options: RestoreOptions, lease_seconds: float) -> RestoreSettings:
    return RestoreSettings(
        overwrite=options.overwrite,
        sparse=options.sparse,
        delete=options.delete,
        dry_run=options.dry_run,
        listing=options.listing,
        recorded=options.verify,
        selection=options.selection,
        xattr_exclude=list(options.xattr_exclude),
        xattr_include=list(options.xattr_include),
        protected=protected_directories(session.storage, session.access.cache_directory) if options.delete else [],
        lease_seconds=lease_seconds,
    )


def protected_directories(storage: Storage, cache_directory: Path) -> list[tuple[int, int]]:
    """(device, inode) on this machine of what a restore needs itself: the repository and the caches."""
    found = []
    place = storage.local_path("config")
    for path in ([place.parent] if place is not None else []) + [cache_directory]:
        with suppress(OSError):
            status = path.stat()
            found.append((status.st_dev, status.st_ino))
    return found


def _setup(
    session: Session, lookup: DedupLookup, target: bytes, settings: RestoreSettings, workers: int
) -> WorkerSetup:
    key = session.repository.key
    return WorkerSetup(
        protocol=PROTOCOL,
        location=session.access.location,
        storage_options=session.access.storage_options.shared_by(workers),
        master_key=key.material,
        repository_config=encode_config(session.repository.config),
        lookup_path=str(lookup.path),
        target=target,
        settings=settings,
    )


def _result(coordinator: Coordinator, options: RestoreOptions, source: RestoreSource) -> RestoreResult:
    progress, tally = coordinator.progress(), coordinator.tally
    return RestoreResult(
        snapshot=source.stored,
        subpath=source.subpath,
        entries_total=progress.entries_total,
        entries_restored=tally.restored,
        entries_skipped=tally.skipped,
        deleted=tally.deleted,
        bytes_total=progress.bytes_total,
        bytes_restored=tally.restored_bytes,
        bytes_skipped=tally.skipped_bytes,
        errors=tally.errors,
        notes=dict(tally.notes),
        verified=tally.verified if options.verify else None,
    )
