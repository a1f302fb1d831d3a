"""How many scan threads to run: decided here, in pure code, from what the batches say (S9).

More threads while the workers starve, fewer when the queue is deep or when another thread no longer brings anything.
A source that answers slowly gains from each thread; a local one, where the scan is bound by one processor, does not:
so a thread that did not raise the rate by ``WORTH_IT`` is taken back, and the count is left alone for a while.
"""

from __future__ import annotations

import msgspec

DEEP_PER_WORKER = 16
STARVED_PER_WORKER = 2
WORTH_IT = 1.15
_REST_TICKS = 20


class ScanReading(msgspec.Struct, frozen=True):
    """What the controller sees at a tick: batches that wait, workers, entries scanned since the last tick."""

    waiting_batches: int
    workers: int
    entries: int
    pending_directories: int


class ThreadController:
    """Call ``decide`` once a tick (a second); it returns the number of threads to run."""

    def __init__(self, most: int, start: int = 1) -> None:
        self._most = most
        self._threads = start
        self._rate_before: int | None = None
        self._rest = 0

    @property
    def threads(self) -> int:
        """The number of threads decided last."""
        return self._threads

    def decide(self, reading: ScanReading) -> int:
        """The number of threads from now on."""
        if reading.waiting_batches > DEEP_PER_WORKER * reading.workers:
            self._threads = max(1, self._threads - 1)
            self._rate_before = None
            return self._threads
        if self._rate_before is not None:
            grew = reading.entries > self._rate_before * WORTH_IT
            self._rate_before = None
            if not grew:
                self._threads = max(1, self._threads - 1)
                self._rest = _REST_TICKS
                return self._threads
        if self._rest:
            self._rest -= 1
            return self._threads
        starving = reading.waiting_batches < STARVED_PER_WORKER * reading.workers
        if starving and self._threads < self._most and reading.pending_directories >= self._threads:
            self._rate_before = reading.entries
            self._threads += 1
        return self._threads
