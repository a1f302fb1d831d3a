"""When a worker on another machine may change the target.

A machine that is cut off, or was stopped, is struck off by the master after a while, and its tasks are done by others.
It learns so itself only when it hears again: meanwhile it must not replace or remove what others have made. So the
master says a few times in each lease that it is there, and past the lease a worker waits. Either it is heard of again,
or it is ended.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

NOTICES_A_LEASE = 5

# What is heard after silence may have lain in a buffer. By the end of this a machine that was struck off knows it, and
# has ended its workers: it greets the master every second.
_DOUBT_SECONDS = 3.0


class TargetLease:
    """The right to change the target. ``seconds`` 0: for ever. ``renew`` may come from another thread."""

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._pause = pause
        self._heard = threading.Condition()
        self._ends_at: float | None = None

    def renew(self) -> None:
        """The master is there."""
        with self._heard:
            self._ends_at = self._clock() + self._seconds
            self._heard.notify_all()

    def hold(self) -> None:
        """Return as soon as the target may be changed; called before each change."""
        if self._seconds and (self._ends_at is None or self._clock() >= self._ends_at):
            self._wait()

    def _wait(self) -> None:
        while True:
            with self._heard:
                was_silent = self._ends_at is not None
                self._heard.wait_for(lambda: self._ends_at is not None and self._clock() < self._ends_at)
            if not was_silent:  # it has only begun
                return
            self._pause(_DOUBT_SECONDS)
            if self._ends_at is not None and self._clock() < self._ends_at:
                return
