"""A worker's half of a backup: from a batch to durable packs, nodes and trees.

The engine calls ``BackupWorker.work`` with one batch after the other. A batch is complete once every pack that holds
one of its blobs is durable; packs span batches, so several batches may wait for one pack.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

from argosy.archiver.batch_work import BatchWorker, SourceFailed
from argosy.archiver.file_reader import EntryReader
from argosy.archiver.known_blobs import KnownBlobs
from argosy.archiver.messages import (
    PROTOCOL,
    BatchProgress,
    BatchResult,
    BatchWork,
    Notice,
    PackReport,
    SourceLost,
    WorkerSetup,
    decode,
    encode,
    worker_error,
)
from argosy.archiver.nodes import NodeEncoder
from argosy.archiver.path_map import PathMap
from argosy.archiver.placing import BlobPlacer
from argosy.engine.interface import Outlet, Task
from argosy.errors import ArgosyError, EngineError
from argosy.repository.encoder import BlobEncoder
from argosy.repository.lease import WriteLease
from argosy.repository.packer import Packer, PackRef, StoredPack
from argosy.repository.repository import Repository
from argosy.repository.worker_lookup import open_worker_lookup
from argosy.restic_format.blob import BlobType
from argosy.restic_format.config import decode_config
from argosy.restic_format.crypto import MasterKey
from argosy.storage.discarding import DiscardingStorage
from argosy.storage.open import open_storage

_PROGRESS_SECONDS = 0.5
_GRANT_SECONDS = 60.0
# What waits for one machine's link nobody else can send: a member takes no more work before the link has caught up.
_MOST_UNDER_WAY = 1


def backup_worker(setup: bytes, outlet: Outlet) -> BackupWorker:
    """The engine's factory of workers."""
    return BackupWorker(decode(setup, WorkerSetup), outlet)


class BackupWorker:
    """An engine handler (see ``engine.interface.Handler``)."""

    def __init__(self, setup: WorkerSetup, outlet: Outlet) -> None:
        if setup.protocol != PROTOCOL:
            raise EngineError(
                f"the master speaks protocol {setup.protocol}, this worker {PROTOCOL}", hint="Install the same version."
            )
        options = setup.options
        self._outlet = outlet
        self._lease = WriteLease()
        self._granted = threading.Event()
        key = MasterKey.from_bytes(setup.master_key)
        storage = open_storage(setup.location, setup.storage_options)
        self._storage = DiscardingStorage(storage) if options.dry_run else storage
        encoder = BlobEncoder(
            key,
            options.compression,  # type: ignore[arg-type]  # checked by the master
            verify=options.verify,
            # The master packs them, and verifies all of its packs.
            verify_trees=False,
        )
        self._packer = Packer(
            self._storage,
            key,
            BlobType.DATA,
            lease=self._check_lease,
            on_stored=self._report_pack,
            pack_size_bytes=options.pack_size_bytes,
            upload_threads=options.upload_threads,
            verify=options.verify,
        )
        config = decode_config(setup.repository_config)
        repository = Repository.from_grant(self._storage, key, config)
        self._lookup = (
            open_worker_lookup(Path(setup.lookup_path), repository, job=setup.job_id) if setup.lookup_path else None
        )
        self._known = KnownBlobs(self._lookup, shared=not setup.elsewhere)
        self._placer = BlobPlacer(encoder, self._packer, self._known.those_known)
        nodes = NodeEncoder(with_atime=options.with_atime, device_id_always=options.device_id_always)
        reader = EntryReader(
            nodes,
            self._placer,
            config.chunker_polynomial,
            allow_slow_chunker=options.allow_slow_chunker,
            quick=options.read_concurrency == 1 and not options.with_atime,
        )
        self._batches = BatchWorker(
            reader,
            self._placer,
            encoder,
            self._known.contains_tree,
            options.read_concurrency,
            here=PathMap(setup.maps).here,
            elsewhere=setup.elsewhere,
        )
        self._has_own_link = setup.elsewhere
        self._held: dict[int, tuple[BatchResult, set[PackRef]]] = {}
        self._next_progress = 0.0

    def work(self, task: Task) -> None:
        """Read and pack one batch, and complete those whose packs have become durable."""
        work = decode(task.payload, BatchWork)
        try:
            result = self._batches.run(work, lambda files, size: self._progress(task.id, files, size))
        except SourceFailed as error:
            self._placer.take_depends()
            self._outlet.fail(task.id, encode(SourceLost(error.path, error.reason)))
            return
        except ArgosyError as error:
            self._fail_all(task.id, error)
            return
        self._held[task.id] = (result, self._placer.take_depends())
        if self._has_own_link:
            self._packer.wait_until_under_way(_MOST_UNDER_WAY)
        self._settle()

    def notice(self, payload: bytes) -> None:
        """Hear how long writing is allowed, and of blobs that others have made durable."""
        notice = decode(payload, Notice)
        if notice.lease_seconds:
            self._lease.extend(notice.lease_seconds)
            self._granted.set()
        self._known.add(notice.blob_ids)

    def idle(self) -> None:
        """Store the open pack, however small, and complete everything held."""
        try:
            self._packer.flush()
        except ArgosyError as error:
            self._fail_all(None, error)
            return
        self._settle()

    def close(self) -> None:
        """End in order: what is not complete is taken up by another worker."""
        self._packer.abort()
        self._storage.close()

    def _fail_all(self, task_id: int | None, error: ArgosyError) -> None:
        """Storage, lease or memory failed: no batch of this worker can become durable."""
        for batch in [*self._held, *([] if task_id is None else [task_id])]:
            self._outlet.fail(batch, worker_error(error))
        self._held.clear()

    def _settle(self) -> None:
        for batch, (result, packs) in list(self._held.items()):
            packs = {pack for pack in packs if not pack.stored}
            if packs:
                self._held[batch] = (result, packs)
                continue
            del self._held[batch]
            # Safe to die here: the packs are recorded, the batch is done again and uploads nothing.
            self._outlet.complete(batch, encode(result))

    def _check_lease(self) -> None:
        """Writing waits for the master's first word: it may still be confirming the repository's lock."""
        self._granted.wait(_GRANT_SECONDS)
        self._lease.check()

    def _report_pack(self, pack: StoredPack) -> None:
        self._outlet.report(encode(PackReport(pack.id, pack.size_bytes, pack.header)))

    def _progress(self, task_id: int, files: int, size_bytes: int) -> None:
        now = time.monotonic()
        if now >= self._next_progress:
            self._next_progress = now + _PROGRESS_SECONDS
            self._outlet.progress(task_id, encode(BatchProgress(files, size_bytes)))
