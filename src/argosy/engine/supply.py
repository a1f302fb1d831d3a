"""Where an engine's worker processes come from: one nursery, another if it is lost, and workers prepared ahead."""

from __future__ import annotations

from collections import deque

from argosy.engine.nursery import Nursery
from argosy.engine.worker_process import WorkerProcess


class WorkerSupply:
    """New workers for one handler, named as ``Engine.start`` takes it. Not thread-safe.

    OSError if the system has no process, memory or descriptor to give.
    """

    def __init__(self, nursery: Nursery | None) -> None:
        """``nursery`` is one that was started before, for the same handler; it ends with the supply."""
        self._nursery = nursery
        self._prepared: deque[WorkerProcess] = deque()

    @property
    def prepared(self) -> int:
        """How many workers wait to be taken."""
        return len(self._prepared)

    def prepare(self, handler: str) -> None:
        """Have one more worker wait."""
        self._prepared.append(self._new(handler))

    def take(self, handler: str) -> WorkerProcess:
        """A worker that was prepared, else a new one; it is the caller's now."""
        return self._prepared.popleft() if self._prepared else self._new(handler)

    def close(self) -> None:
        """End what was not taken, and then the nursery: its workers are buried by now. Idempotent."""
        for worker in self._prepared:
            worker.kill()
        while self._prepared:
            self._prepared.popleft().bury()
        if self._nursery is not None:
            self._nursery.close()

    def _new(self, handler: str) -> WorkerProcess:
        if self._nursery is not None and not self._nursery.is_alive:
            self._nursery.close()
            self._nursery = None
        if self._nursery is None:
            self._nursery = Nursery(handler)
        return WorkerProcess(self._nursery)
