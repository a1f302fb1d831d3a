"""What happens to a job that has no file of its own, as its history will have it."""

from __future__ import annotations

import time

from argosy.daemon.protocol import escaped

# All of it is told to whoever follows the job; the history keeps the first of so many of each.
MOST_KEPT = 10_000


class Diary:
    """Of one job. Written by the job's thread, read by any."""

    def __init__(self) -> None:
        self.log: list[tuple[float, str]] = []
        self.faults: list[tuple[str, str]] = []

    def note(self, text: str) -> None:
        """Something happened."""
        if len(self.log) < MOST_KEPT:
            self.log.append((time.time(), escaped(text)))

    def fault(self, what: str, reason: str) -> None:
        """Something went wrong with one thing, and the job went on."""
        if len(self.faults) < MOST_KEPT:
            self.faults.append((escaped(what), escaped(reason)))
