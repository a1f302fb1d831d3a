"""Where the loop's thread leaves what an owner's thread takes: bounded, with a wake."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

LIMIT_BYTES = 8 * 1024 * 1024

T = TypeVar("T")


class Inbox(Generic[T]):
    """Entries of some size, in order. ``has_room`` is what the putter goes by; ``put`` itself never refuses."""

    def __init__(self) -> None:
        self._entries: deque[tuple[T, int]] = deque()
        self._size_bytes = 0
        self._woken = False
        # Re-entrant: signal handlers call wake().
        self._changed = threading.Condition(threading.RLock())
        self.on_put: Callable[[], None] = lambda: None

    def put(self, entry: T, size_bytes: int = 0) -> None:
        """Add an entry."""
        with self._changed:
            self._entries.append((entry, size_bytes))
            self._size_bytes += size_bytes
            self._changed.notify()
        self.on_put()

    def has_room(self) -> bool:
        """Whether more may come."""
        return self._size_bytes < LIMIT_BYTES

    def wake(self) -> None:
        """Make ``wait`` return."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    def wait(self, deadline_seconds: float) -> bool:
        """Wait for an entry, a wake or the deadline (monotonic clock); returns whether it was a wake."""
        with self._changed:
            while not self._entries and not self._woken:
                patience = deadline_seconds - time.monotonic()
                if patience <= 0:
                    break
                self._changed.wait(patience)
            woken, self._woken = self._woken, False
            return woken

    def take_all(self) -> list[T]:
        """Everything that is there."""
        with self._changed:
            entries = [entry for entry, _ in self._entries]
            self._entries.clear()
            self._size_bytes = 0
            return entries
