"""The owner's half of the engine: how many workers there are, and what of what they say he is told."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from importlib import import_module

from argosy.engine.interface import (
    WINDOW_PER_WORKER,
    Event,
    Member,
    MemberJoined,
    Task,
    TaskComplete,
    TaskFailed,
    WorkerState,
)
from argosy.engine.notices import LateNotices
from argosy.engine.threads.desk import TaskDesk
from argosy.engine.threads.line import Broken, Line, Ready, Returned, Said, Woken
from argosy.engine.threads.worker import ThreadOutlet, ThreadWorker
from argosy.errors import EngineError


class ThreadEngine:
    """Runs tasks in up to ``workers`` threads; see ``interface.Engine`` for the promises, the package for the rest.

    ``close_seconds`` is how long ``close`` waits for current work.
    """

    is_spread = False

    def __init__(
        self, workers: int, *, idle_seconds: float = 5.0, close_seconds: float = 10.0, name: str = "local"
    ) -> None:
        if workers < 1:
            raise EngineError(f"an engine cannot work with {workers} workers", hint="Ask for at least one.")
        self._limit = workers
        self._idle_seconds = idle_seconds
        self._close_seconds = close_seconds
        self._name = name
        self._line = Line()
        self._desk = TaskDesk()
        self._notices = LateNotices()
        self._workers: list[ThreadWorker] = []
        self._opening: tuple[str, bytes] | None = None
        # Tasks whose ``work()`` has not returned, and those that are not settled.
        self._under_way: set[int] = set()
        self._unsettled: set[int] = set()
        self._joined_at_seconds: float | None = None
        self._failure: EngineError | None = None
        self._is_closed = False

    def prepare(self, handler: str, count: int) -> None:
        """See ``Engine.prepare``: the handler's module is imported by another thread."""
        del count
        threading.Thread(target=_import_quietly, args=(handler,), name="import", daemon=True).start()

    def start(self, setup: bytes, handler: str) -> None:
        """See ``Engine.start``."""
        if self._opening is not None:
            raise EngineError("the engine was started before")
        self._opening = handler, setup

    def expect(self, members: Collection[str]) -> None:
        """See ``Engine.expect``: what this process did not hear of is lost."""

    def offer(self, task: Task) -> None:
        """See ``Engine.offer``."""
        self._check_usable()
        if self.wanted() <= 0:
            raise EngineError(f"task {task.id} was offered to an engine that wants none now")
        if task.id in self._unsettled or task.id in self._under_way:
            raise EngineError(f"task {task.id} was offered while it is still in the engine")
        self._under_way.add(task.id)
        self._unsettled.add(task.id)
        self._desk.lay(task)
        if len(self._workers) < min(self._limit, len(self._under_way)):
            self._add_worker()

    def wanted(self) -> int:
        """See ``Engine.wanted``."""
        return self._limit * WINDOW_PER_WORKER - len(self._under_way)

    def events(self, timeout_seconds: float) -> list[Event]:
        """See ``Engine.events``."""
        self._check_usable()
        deadline = time.monotonic() + timeout_seconds
        events: list[Event] = []
        while not events:
            heard = self._line.hear(max(0.0, deadline - time.monotonic()))
            for said in heard:
                self._take(said, events)
            if self._failure is not None and not events:
                raise self._failure
            if not heard or any(isinstance(said, Woken | Returned) for said in heard):
                break
        return events

    def wake(self) -> None:
        """See ``Engine.wake``."""
        self._line.say(Woken())

    def members(self) -> list[Member]:
        """See ``Engine.members``."""
        if self._joined_at_seconds is None:
            return []
        workers = tuple(
            WorkerState(worker.number, os.getpid(), worker.outlet.holding)
            for worker in self._workers
            if worker.is_ready
        )
        return [Member(self._name, socket.gethostname(), os.getpid(), workers, self._joined_at_seconds, time.time())]

    def broadcast(self, payload: bytes, *, keep: bool = False) -> None:
        """See ``Engine.broadcast``."""
        self._check_usable()
        self._notices.add(payload, keep=keep)
        for worker in self._workers:
            worker.notice(payload)

    def flush(self) -> None:
        """See ``Engine.flush``."""
        self._check_usable()
        self._desk.flush()

    def expel(self, member: str, reason: str) -> None:
        """See ``Engine.expel``: the only member is all there is."""
        self._check_usable()
        if member == self._name:
            self._failure = EngineError(f"the member {member} was expelled: {reason}")

    def cancel(self) -> None:
        """See ``Engine.cancel`` and the package."""
        self.close()

    def close(self) -> None:
        """See ``Engine.close``."""
        if self._is_closed:
            return
        self._is_closed = True
        self._desk.close()
        self._line.close()
        deadline = time.monotonic() + self._close_seconds
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))

    def _check_usable(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._is_closed or self._opening is None:
            raise EngineError("the engine is closed" if self._is_closed else "the engine was not started")

    def _add_worker(self) -> None:
        assert self._opening is not None, "between start and close"
        number = len(self._workers) + 1
        outlet = ThreadOutlet(self._line, self._name, number)
        worker = ThreadWorker(number, outlet, self._line, self._desk, self._idle_seconds)
        self._workers.append(worker)
        worker.open(*self._opening, list(self._notices))

    def _take(self, said: Said, events: list[Event]) -> None:
        match said:
            case Ready(worker=number):
                self._workers[number - 1].is_ready = True
                self._join(events)
            case Returned(task_id=task_id):
                self._under_way.discard(task_id)
            case Broken(reason=reason):
                hint = "Solve what it names, then run the command again."
                self._failure = self._failure or EngineError(reason, hint=hint)
            case Woken():
                pass
            case _:
                if isinstance(said, TaskComplete | TaskFailed):
                    self._unsettled.discard(said.task_id)
                # A factory may speak before its worker is ready.
                self._join(events)
                events.append(said)

    def _join(self, events: list[Event]) -> None:
        if self._joined_at_seconds is None:
            self._joined_at_seconds = time.time()
            events.append(MemberJoined(self._name))


def _import_quietly(handler: str) -> None:
    # Whatever it meets is met again, and told, when the handler is made.
    with suppress(Exception):
        import_module(handler.partition(":")[0])
