"""When a worker may be started again after others died, and when to give up: pure, with the time passed
in."""

from __future__ import annotations

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 5.0
# A start that never worked is most likely never going to. One that did may lack memory for a while: the
# pauses before the tenth round add up to a quarter of a minute.
ROUNDS_BEFORE_THE_FIRST_START = 3
ROUNDS_AFTER_A_START = 10


class RespawnPolicy:
    """Counts rounds of deaths. Workers that die within one pause count as one round; finished work resets
    it."""

    def __init__(self) -> None:
        self._rounds = 0
        self._failed_starts = 0
        self._not_before_seconds = float("-inf")
        self._ever_ready = False

    def ready(self) -> None:
        """A worker started."""
        self._ever_ready = True
        self._failed_starts = 0

    def worked(self) -> None:
        """A worker finished the work on a task."""
        self._rounds = 0

    def died(self, now_seconds: float, *, at_start: bool) -> None:
        """A worker died, either before it was ready or later."""
        if now_seconds < self._not_before_seconds:
            return
        self._rounds += 1
        self._failed_starts += at_start
        pause = FIRST_PAUSE_SECONDS * 2.0 ** min(self._rounds - 1, 10)
        self._not_before_seconds = now_seconds + min(pause, LONGEST_PAUSE_SECONDS)

    def may_spawn(self, now_seconds: float) -> bool:
        """Whether a worker may be started now."""
        return now_seconds >= self._not_before_seconds

    def pause_seconds(self, now_seconds: float) -> float:
        """How long until ``may_spawn``; 0 or less if it holds."""
        return self._not_before_seconds - now_seconds

    def is_hopeless(self) -> bool:
        """Whether starting again makes no sense, provided that no worker is ready."""
        return self._failed_starts >= (ROUNDS_AFTER_A_START if self._ever_ready else ROUNDS_BEFORE_THE_FIRST_START)

    def has_started(self) -> bool:
        """Whether a worker was ever ready."""
        return self._ever_ready
