"""Copies what is needed of many packs: a little in the master itself, more on its workers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from argosy.engine.interface import MakeEngine
from argosy.engine.local import worker_count
from argosy.errors import EngineError
from argosy.operations.crew import Crew
from argosy.operations.prune.contents import PackContents
from argosy.operations.prune.messages import PROTOCOL, Lease, Repacked, RepackWork, WorkerSetup, encode
from argosy.operations.prune.options import PruneObserver, PruneOptions
from argosy.operations.prune.repacking import PackShare, Repacker, RepackManner
from argosy.operations.prune.spreading import SizedWork, Spreading
from argosy.operations.prune.tally import Tally
from argosy.operations.session import Session
from argosy.repository.blobs import BlobReader
from argosy.repository.layout import FileKind
from argosy.repository.locks import RepositoryLock
from argosy.repository.pack_builder import BuiltPack
from argosy.repository.packer import MAX_PACK_BLOBS
from argosy.restic_format.config import encode_config
from argosy.restic_format.index import PackListing

HANDLER = "argosy.operations.prune.worker:prune_worker"

# A task of packs. Each ends with a small pack, so it is to have several; and the last ones are to end together. Of tiny
# blobs half as many as one pack may have are enough: the headers stand in memory several times.
_TASK_PACKS_LEAST = 2
_TASK_BYTES_MOST = 256 << 20
_TASK_BLOBS_MOST = MAX_PACK_BLOBS // 2
_TASKS_A_WORKER = 4


class Copying:
    """One run. ``on_stored`` hears of each new pack, in the master's thread; ``stop`` raises when it is to end."""

    def __init__(
        self,
        session: Session,
        options: PruneOptions,
        observer: PruneObserver,
        make_engine: MakeEngine,
        lock: RepositoryLock,
        on_stored: Callable[[BuiltPack], None],
        stop: Callable[[], None],
    ) -> None:
        self._session = session
        self._options = options
        self._observer = observer
        self._make_engine = make_engine
        self._lock = lock
        self._on_stored = on_stored
        self._stop = stop
        self._manner = RepackManner(
            options.pack_size_bytes, options.compression, options.limits.repack_uncompressed, options.verify
        )
        self._repacker = Repacker(session.repository, self._manner, lease=lock.check, on_stored=on_stored)

    def run(self, shares: Iterator[tuple[PackShare, PackListing]], packs: int, size_bytes: int) -> None:
        """Copy all shares, of so many packs with so many bytes. Damaged if a blob is nowhere to be read."""
        tally = Tally(self._observer.progress, packs, size_bytes)
        try:
            if size_bytes <= self._options.alone_bytes:
                for share, pack in shares:
                    self._stop()
                    self._repacker.repack(share)
                    tally.count(1, pack.size_bytes)
                    tally.look()
                tally.look(last=True)
            else:
                self._spread(shares, size_bytes, tally)
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

    def _spread(self, shares: Iterator[tuple[PackShare, PackListing]], size_bytes: int, tally: Tally) -> None:
        workers = self._options.workers or worker_count()
        engine = self._make_engine(workers, os.uname().nodename)
        crew = Crew(engine, self._observer.message)
        stored: list[bytes] = []

        def take(done: Repacked, work: SizedWork) -> None:
            for pack in done.packs:
                stored.append(pack.id)
                self._on_stored(pack)
            self._repacker.lost += done.lost
            tally.count(len(work.work.packs), work.size_bytes)

        try:
            engine.start(encode(self._setup(workers)), HANDLER)
            spreading = Spreading(
                engine,
                crew,
                take=take,
                remaining_seconds=self._remaining_seconds,
                stop=self._stop,
                look=lambda: tally.look(crew.looks),
            )
            spreading.run(self._works(shares, size_bytes // (_TASKS_A_WORKER * workers)))
            tally.look(crew.looks, last=True)
            engine.close()
            if engine.is_spread:
                self._confirm(stored)
        except BaseException:
            # Threads cannot be killed: they end with the pack that they are at.
            with suppress(EngineError):
                engine.broadcast(encode(Lease(0.0)))
            raise
        finally:
            # By now the workers have ended in order, or there is no reason to wait for them.
            engine.cancel()

    def _remaining_seconds(self) -> float:
        """For how long workers may write; LeaseLost if that is over."""
        self._lock.check()
        return self._lock.lease_remaining_seconds()

    def _confirm(self, stored: Sequence[bytes]) -> None:
        """EngineError unless all packs are there as this machine sees the repository.

        Where its mount has gone from a member it writes to what is below: what it stored is nowhere, and the packs
        from which it was taken must stay.
        """
        there = {pack_id for pack_id, _ in self._session.repository.list_files(FileKind.PACK)}
        if missing := [pack_id for pack_id in stored if pack_id not in there]:
            raise EngineError(
                f"a member has stored pack {missing[0].hex()}, and the repository does not have it as the master sees"
                f" it ({len(missing)} such packs)",
                hint="Nothing was deleted that is needed. Is the repository mounted on each member? Then run it again.",
            )

    def _works(self, shares: Iterator[tuple[PackShare, PackListing]], task_bytes: int) -> Iterator[SizedWork]:
        """The shares in tasks of about so many bytes, within limits."""
        least_bytes = min(_TASK_PACKS_LEAST * self._options.pack_size_bytes, _TASK_BYTES_MOST)
        enough = min(max(task_bytes, least_bytes), _TASK_BYTES_MOST)
        packs: list[PackShare] = []
        size_bytes = blobs = 0
        for share, pack in shares:
            packs.append(share)
            size_bytes += pack.size_bytes
            blobs += share.wanted.count(1)
            if size_bytes >= enough or blobs >= _TASK_BLOBS_MOST:
                yield SizedWork(RepackWork(packs), size_bytes)
                packs, size_bytes, blobs = [], 0, 0
        if packs:
            yield SizedWork(RepackWork(packs), size_bytes)

    def _setup(self, workers: int) -> WorkerSetup:
        access, repository = self._session.access, self._session.repository
        return WorkerSetup(
            protocol=PROTOCOL,
            location=access.location,
            storage_options=access.storage_options.shared_by(workers),
            master_key=repository.key.material,
            repository_config=encode_config(repository.config),
            manner=self._manner,
            lease_seconds=self._lock.lease_remaining_seconds(),
        )
