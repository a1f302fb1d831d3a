"""Threads of a worker that each do a task: for a remote store, where requests are to overlap."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from argosy.engine.interface import Outlet

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor


class TaskThreads:
    """Used by a handler's ``work``. With one thread alone tasks are done in the caller's."""

    def __init__(self, outlet: Outlet, count: int) -> None:
        self._outlet = outlet
        self._pool = _pool(count) if count > 1 else None
        self._free = threading.Semaphore(count)

    def run(self, task_id: int, do: Callable[[], None]) -> None:
        """Have a task done, once a thread is free. What it raises there fails this task alone."""
        if self._pool is None:
            do()
            return
        self._free.acquire()
        self._pool.submit(self._do, task_id, do)

    def close(self) -> None:
        """Wait for the tasks under way."""
        if self._pool is not None:
            self._pool.shutdown()

    def _do(self, task_id: int, do: Callable[[], None]) -> None:
        try:
            do()
        except Exception as error:  # noqa: BLE001 - as the engine does for work(): it fails this task alone
            self._outlet.fail(task_id, f"{type(error).__name__}: {error}".encode())
        finally:
            self._free.release()


def _pool(count: int) -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # 10 ms, which a local repository spares each worker

    return ThreadPoolExecutor(count)
