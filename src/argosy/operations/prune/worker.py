"""A worker's half of a prune: copies needed blobs of packs into new packs. It needs no state between tasks."""

from __future__ import annotations

from functools import partial

from argosy.engine.interface import Outlet, Task
from argosy.engine.task_threads import TaskThreads
from argosy.errors import ArgosyError, EngineError
from argosy.operations.prune.messages import (
    PROTOCOL,
    Repacked,
    RepackFailed,
    RepackWork,
    WorkerSetup,
    decode_lease,
    decode_setup,
    decode_work,
    encode,
)
from argosy.operations.prune.repacking import Repacker
from argosy.repository.lease import WriteLease
from argosy.repository.pack_builder import BuiltPack
from argosy.repository.repository import Repository
from argosy.restic_format.config import decode_config
from argosy.restic_format.crypto import MasterKey
from argosy.storage.open import open_storage

# Of a remote repository reading, copying and storing overlap.
_REMOTE_THREADS = 4


def prune_worker(setup: bytes, outlet: Outlet) -> PruneWorker:
    """The engine's factory of workers."""
    return PruneWorker(decode_setup(setup), outlet)


class PruneWorker:
    """An engine handler (see ``engine.interface.Handler``)."""

    def __init__(self, setup: WorkerSetup, outlet: Outlet) -> None:
        if setup.protocol != PROTOCOL:
            raise EngineError(
                f"the master speaks protocol {setup.protocol}, this worker {PROTOCOL}", hint="Install the same version."
            )
        self._outlet = outlet
        self._manner = setup.manner
        self._lease = WriteLease(setup.lease_seconds)
        self._storage = open_storage(setup.location, setup.storage_options)
        key, config = MasterKey.from_bytes(setup.master_key), decode_config(setup.repository_config)
        self._repository = Repository.from_grant(self._storage, key, config)
        self._threads = TaskThreads(outlet, 1 if self._storage.is_local else _REMOTE_THREADS)

    def work(self, task: Task) -> None:
        """Do a task, or hand it to a thread once one is free."""
        work = decode_work(task.payload)
        self._threads.run(task.id, partial(self._repack, task.id, work))

    def notice(self, payload: bytes) -> None:
        """The lock was refreshed, or (no second remains) all is over."""
        remaining_seconds = decode_lease(payload).remaining_seconds
        if remaining_seconds > 0:
            self._lease.extend(remaining_seconds)
        else:
            self._lease.revoke()

    def idle(self) -> None:
        """Nothing is held back: a task ends with its packs stored."""

    def close(self) -> None:
        """End in order."""
        self._threads.close()
        self._storage.close()

    def _repack(self, task_id: int, work: RepackWork) -> None:
        stored: list[BuiltPack] = []
        repacker = Repacker(self._repository, self._manner, lease=self._lease.check, on_stored=stored.append)
        try:
            for pack in work.packs:
                repacker.repack(pack)
            repacker.flush()
        except ArgosyError as error:
            self._outlet.fail(task_id, encode(RepackFailed.of(error)))
        else:
            self._outlet.complete(task_id, encode(Repacked(stored, repacker.lost)))
        finally:
            repacker.close()
