"""Copies what is needed of many packs: a little in the master itself, more on its workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from argosy.engine.local import LocalEngine, worker_count
from argosy.operations.prune.contents import PackContents
from argosy.operations.prune.messages import PROTOCOL, Repacked, RepackWork, WorkerSetup, encode
from argosy.operations.prune.options import PruneOptions
from argosy.operations.prune.repacking import PackShare, Repacker, RepackManner
from argosy.operations.prune.spreading import Spreading
from argosy.operations.session import Session
from argosy.repository.blobs import BlobReader
from argosy.repository.layout import FileKind
from argosy.repository.pack_builder import BuiltPack
from argosy.repository.packer import MAX_PACK_BLOBS
from argosy.restic_format.config import encode_config
from argosy.restic_format.index import PackListing

# A task of packs. Each ends with a small pack, so it is to have many; and the last ones are to end together. Of tiny
# blobs half as many as one pack may have are enough: the headers stand in memory several times.
_TASK_BYTES_LEAST = 32 << 20
_TASK_BYTES_MOST = 256 << 20
_TASK_BLOBS_MOST = MAX_PACK_BLOBS // 2
_TASKS_A_WORKER = 4


class Copying:
    """One run. ``on_stored`` hears of each new pack, in the master's thread; ``stop`` raises when it is to end."""

    def __init__(
        self,
        session: Session,
        options: PruneOptions,
        *,
        check_lock: Callable[[], None],
        on_stored: Callable[[BuiltPack], None],
        stop: Callable[[], None],
    ) -> None:
        self._session = session
        self._options = options
        self._on_stored = on_stored
        self._stop = stop
        self._manner = RepackManner(
            options.pack_size_bytes, options.compression, options.limits.repack_uncompressed, options.verify
        )
        self._repacker = Repacker(session.repository, self._manner, lease=check_lock, on_stored=on_stored)

    def run(self, shares: Iterator[tuple[PackShare, PackListing]], size_bytes: int) -> None:
        """Copy all shares, of packs with ``size_bytes`` together. Damaged if a blob is nowhere to be read."""
        try:
            if size_bytes <= self._options.alone_bytes:
                for share, _ in shares:
                    self._stop()
                    self._repacker.repack(share)
            else:
                self._spread(shares, size_bytes)
            self._copy_lost()
            self._repacker.flush()
        finally:
            self._repacker.close()

    def _copy_lost(self) -> None:
        """What one pack does not hold undamaged another may: all indexes are there still, and say where."""
        if not self._repacker.lost:
            return
        repository = self._session.repository
        reader = BlobReader(repository, PackContents.load(repository, repository.list_ids(FileKind.INDEX)))
        for blob_type, blob_id in self._repacker.lost:
            for blob in reader.load_encoded([blob_id], blob_type):
                self._repacker.add(blob)

    def _spread(self, shares: Iterator[tuple[PackShare, PackListing]], size_bytes: int) -> None:
        lock = self._session.lock
        assert lock is not None, "only a dry run goes without"
        workers = self._options.workers or worker_count()
        engine = LocalEngine(workers)
        try:
            setup = self._setup(workers, lock.lease_remaining_seconds())
            engine.start(encode(setup), "argosy.operations.prune.worker:prune_worker")
            spreading = Spreading(
                engine, take=self._take, remaining_seconds=lock.lease_remaining_seconds, stop=self._stop
            )
            spreading.run(self._works(shares, size_bytes // (_TASKS_A_WORKER * workers)))
            engine.close()
        finally:
            # By now the workers have ended in order, or there is no reason to wait for them.
            engine.cancel()

    def _take(self, done: Repacked) -> None:
        for pack in done.packs:
            self._on_stored(pack)
        self._repacker.lost += done.lost

    def _works(self, shares: Iterator[tuple[PackShare, PackListing]], task_bytes: int) -> Iterator[RepackWork]:
        """The shares in tasks of about so many bytes, within limits."""
        enough = min(max(task_bytes, _TASK_BYTES_LEAST), _TASK_BYTES_MOST)
        packs: list[PackShare] = []
        size_bytes = blobs = 0
        for share, pack in shares:
            packs.append(share)
            size_bytes += pack.size_bytes
            blobs += share.wanted.count(1)
            if size_bytes >= enough or blobs >= _TASK_BLOBS_MOST:
                yield RepackWork(packs)
                packs, size_bytes, blobs = [], 0, 0
        if packs:
            yield RepackWork(packs)

    def _setup(self, workers: int, lease_seconds: float) -> WorkerSetup:
        access, repository = self._session.access, self._session.repository
        options = access.storage_options
        limits = {
            name: max(1, limit // workers)
            for name in ("limit_download_bytes_per_second", "limit_upload_bytes_per_second")
            if (limit := getattr(options, name))
        }
        return WorkerSetup(
            protocol=PROTOCOL,
            location=access.location,
            storage_options=msgspec.structs.replace(options, **limits),
            master_key=repository.key.material,
            repository_config=encode_config(repository.config),
            manner=self._manner,
            lease_seconds=lease_seconds,
        )
