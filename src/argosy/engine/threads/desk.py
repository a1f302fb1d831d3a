"""Where the workers take their tasks: lowest id first, and what a flush asks for in between."""

from __future__ import annotations

import threading
from heapq import heappop, heappush

import msgspec

from argosy.engine.interface import Task


class Idle(msgspec.Struct, frozen=True):
    """Be idle: so many flushes are then heard."""

    flushes: int


class Close(msgspec.Struct, frozen=True):
    """End."""


Order = Task | Idle | Close


class TaskDesk:
    """Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        # Id, then when it came, which no two tasks share.
        self._waiting: list[tuple[int, int, Task]] = []
        self._came = 0
        # Workers are to be idle once no task is left that came up to then.
        self._flushes = 0
        self._flushed_at = 0
        self._is_closing = False

    def lay(self, task: Task) -> None:
        """Add a task."""
        with self._changed:
            self._came += 1
            heappush(self._waiting, (task.id, self._came, task))
            self._changed.notify()

    def flush(self) -> None:
        """Have each worker be idle once, after all tasks that wait now."""
        with self._changed:
            self._flushes += 1
            self._flushed_at = self._came
            self._changed.notify_all()

    def close(self) -> None:
        """Drop what waits, and have all workers close."""
        with self._changed:
            self._is_closing = True
            self._waiting.clear()
            self._changed.notify_all()

    def take(self, flushes_heard: int, idle_seconds: float | None) -> Order:
        """What a worker is to do next that has heard so many flushes; Idle, too, if nothing comes within the time."""
        with self._changed:
            while True:
                if self._is_closing:
                    return Close()
                is_flush_due = flushes_heard < self._flushes
                if self._waiting and not (is_flush_due and self._waiting[0][1] > self._flushed_at):
                    return heappop(self._waiting)[2]
                if is_flush_due or not self._changed.wait(idle_seconds):
                    return Idle(self._flushes)
