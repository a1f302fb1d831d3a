"""How long writing to the repository is still allowed.

A lock that was not refreshed for 30 minutes may be removed by others as stale. Writing ends 7.5 minutes
earlier (restic's internal/repository/lock.go), so that what is under way then still lands in time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from argosy.errors import LeaseLost

STALE_SECONDS = 30 * 60.0
LEASE_SECONDS = STALE_SECONDS - 7.5 * 60.0


def boot_seconds() -> float:
    """Seconds since the machine started, suspension included: others' clocks went on meanwhile."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class WriteLease:
    """The right to write until a moment, extended by each news of a refreshed lock. Thread-safe."""

    def __init__(self, remaining_seconds: float = 0.0, clock: Callable[[], float] = boot_seconds) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._ends_at = clock() + remaining_seconds
        self._revoked = False

    def extend(self, remaining_seconds: float) -> None:
        """Writing is allowed for this long from now on; news older than what is known changes nothing."""
        ends_at = self._clock() + remaining_seconds
        with self._lock:
            if not self._revoked:
                self._ends_at = max(self._ends_at, ends_at)

    def revoke(self) -> None:
        """Writing ends now and for good, whatever news of a refresh is still on its way."""
        with self._lock:
            self._revoked = True
            self._ends_at = min(self._ends_at, self._clock())

    def remaining_seconds(self) -> float:
        """Seconds until writing must stop, 0 if it must have stopped."""
        return max(0.0, self._ends_at - self._clock())

    def check(self) -> None:
        """LeaseLost if writing is no longer allowed."""
        if self._clock() >= self._ends_at:
            raise LeaseLost(
                "the repository's lock could not be kept, so writing stopped",
                hint="Run the command again: it resumes, and uploads nothing twice.",
            )
