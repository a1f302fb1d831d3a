"""An engine whose one worker is this process: cheap, and what the handler does can be watched and disturbed."""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Collection

from argosy.engine.interface import Event, Handler, Member, MemberJoined, Task, TaskComplete, TaskFailed, TaskProgress

NAME = "here"


class InlineEngine:
    """Works on a task whenever events are asked for. See ``engine.interface.Engine``."""

    is_spread = False

    def __init__(self, workers: int, name: str) -> None:
        del workers, name
        self._handler: Handler | None = None
        self._waiting: deque[Task] = deque()
        self._events: list[Event] = [MemberJoined(NAME)]
        self._attempts: dict[int, int] = {}

    def prepare(self, handler: str, count: int) -> None:
        """There is nothing to be done ahead."""

    def start(self, setup: bytes, handler: str) -> None:
        """Make the handler."""
        module, _, factory = handler.partition(":")
        self._handler = getattr(importlib.import_module(module), factory)(setup, self)

    def expect(self, members: Collection[str]) -> None:
        """It reports at once."""

    def offer(self, task: Task) -> None:
        """Keep it."""
        self._waiting.append(task)

    def wanted(self) -> int:
        """One more than it has."""
        return 2 - len(self._waiting)

    def events(self, timeout_seconds: float) -> list[Event]:
        """Work, then what came of it."""
        del timeout_seconds
        if self._waiting and self._handler is not None:
            task = self._waiting.popleft()
            self._attempts[task.id] = task.attempt
            try:
                self._handler.work(task)
            except Exception as error:  # noqa: BLE001 - as an engine does: it fails the task
                self._events.append(TaskFailed(task.id, task.attempt, NAME, 0, str(error).encode(), True))
        events, self._events = self._events, []
        return events

    def report(self, payload: bytes) -> None:
        """Nothing listens."""

    def progress(self, task_id: int, payload: bytes) -> None:
        """See ``Outlet.progress``."""
        self._events.append(TaskProgress(task_id, self._attempts[task_id], NAME, 0, payload))

    def complete(self, task_id: int, payload: bytes) -> None:
        """See ``Outlet.complete``."""
        self._events.append(TaskComplete(task_id, self._attempts[task_id], NAME, 0, payload))

    def fail(self, task_id: int, payload: bytes) -> None:
        """See ``Outlet.fail``."""
        self._events.append(TaskFailed(task_id, self._attempts[task_id], NAME, 0, payload, False))

    def wake(self) -> None:
        """It never waits."""

    def members(self) -> list[Member]:
        """Nobody asks."""
        return []

    def broadcast(self, payload: bytes, *, keep: bool = False) -> None:
        """Tell the handler."""
        del keep
        if self._handler is not None:
            self._handler.notice(payload)

    def flush(self) -> None:
        """Nothing is held back."""

    def expel(self, member: str, reason: str) -> None:
        """There is nobody else."""

    def cancel(self) -> None:
        """End."""
        handler, self._handler = self._handler, None
        if handler is not None:
            handler.close()

    def close(self) -> None:
        """End."""
        self.cancel()
