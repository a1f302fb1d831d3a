"""A worker's half of a restore: from a batch to files at the target, or to what was found when they were verified."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from argosy.engine.interface import Outlet, Task
from argosy.errors import ArgosyError, EngineError
from argosy.repository.blobs import BlobReader
from argosy.repository.repository import Repository
from argosy.repository.worker_lookup import open_worker_lookup
from argosy.restic_format.config import decode_config
from argosy.restic_format.crypto import MasterKey
from argosy.restorer.batch_work import BatchRestorer
from argosy.restorer.blob_fetching import BlobFetcher
from argosy.restorer.content import BlobPlaces
from argosy.restorer.directories import TargetDirectories
from argosy.restorer.finishing import Finisher
from argosy.restorer.fresh_files import fresh_files
from argosy.restorer.lease import TargetLease
from argosy.restorer.memory import keep_freed_memory
from argosy.restorer.messages import (
    PROTOCOL,
    Outcome,
    Progress,
    RestoreWork,
    VerifyWork,
    WorkerSetup,
    decode,
    decode_work,
    encode,
    worker_error,
)
from argosy.restorer.segments import SegmentRestorer
from argosy.restorer.target import open_root
from argosy.restorer.verifying import Verifier
from argosy.storage.open import open_storage

_PROGRESS_SECONDS = 0.5
# Blobs that several places refer to, and damaged ones, go through the reader; the rest is never read twice.
_READER_MEMORY_BYTES = 8 * 1024 * 1024


def restore_worker(setup: bytes, outlet: Outlet) -> RestoreWorker:
    """The engine's factory of workers."""
    return RestoreWorker(decode(setup, WorkerSetup), outlet)


class RestoreWorker:
    """An engine handler (see ``engine.interface.Handler``)."""

    def __init__(self, setup: WorkerSetup, outlet: Outlet) -> None:
        if setup.protocol != PROTOCOL:
            raise EngineError(
                f"the master speaks protocol {setup.protocol}, this worker {PROTOCOL}", hint="Install the same version."
            )
        # Files are made with the mode that they are to have; see MetadataSetter.mode_for_new.
        os.umask(0)
        _allow_many_descriptors()
        keep_freed_memory()
        settings, target = setup.settings, setup.target
        key = MasterKey.from_bytes(setup.master_key)
        self._outlet = outlet
        self._storage = open_storage(setup.location, setup.storage_options)
        repository = Repository.from_grant(self._storage, key, decode_config(setup.repository_config))
        lookup = open_worker_lookup(Path(setup.lookup_path), repository)
        self._fetcher = BlobFetcher(repository, BlobReader(repository, lookup, memory_bytes=_READER_MEMORY_BYTES))
        self._lease = TargetLease(settings.lease_seconds)
        self._directories = TargetDirectories(
            open_root(target, create=not settings.dry_run),
            create=not settings.dry_run,
            replace=not settings.overwrite.goes_by_existence,
            hold=self._lease.hold,
        )
        places = BlobPlaces(repository, lookup)
        finisher = Finisher(self._directories, settings, target)
        fresh = fresh_files(key, places, self._fetcher, self._directories, settings)
        self._batches = BatchRestorer(places, self._fetcher, self._directories, finisher, settings, target, fresh)
        self._segments = SegmentRestorer(places, self._fetcher, self._directories, settings, target)
        self._verifier = Verifier(places, TargetDirectories(open_root(target, create=False), create=False))
        self._next_progress = 0.0

    def work(self, task: Task) -> None:
        """Restore or verify one batch."""
        if task.attempt:
            # What an earlier attempt made is there: no directory is as fresh as it was.
            self._directories.forget()
        try:
            outcome = self._run(task)
        except ArgosyError as error:
            self._outlet.fail(task.id, worker_error(error))
        else:
            self._outlet.complete(task.id, encode(outcome))

    def notice(self, payload: bytes) -> None:
        """The master is there: that is all it ever says."""
        del payload
        self._lease.renew()

    def idle(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """End in order."""
        self._fetcher.close()
        self._storage.close()

    def _run(self, task: Task) -> Outcome:
        work = decode_work(task.payload)
        show = self._shower(task.id)
        if isinstance(work, VerifyWork):
            return self._verifier.run(work, show)
        assert isinstance(work, RestoreWork)
        if work.segment is not None:
            return Outcome(segment=self._segments.run(work.segment, show))
        return self._batches.run(work, show)

    def _shower(self, task_id: int) -> Callable[[int, int], None]:
        def show(files: int, size_bytes: int) -> None:
            now = time.monotonic()
            if now >= self._next_progress:
                self._next_progress = now + _PROGRESS_SECONDS
                self._outlet.progress(task_id, encode(Progress(files, size_bytes)))

        return show


def _allow_many_descriptors() -> None:
    """The soft limit, often 1024, is there for programs that use select(); this one holds many directories open."""
    with suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
