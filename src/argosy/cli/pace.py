"""How fast a job goes, and how long it still takes."""

from __future__ import annotations

from collections import deque

WINDOW_SECONDS = 15.0


class Pace:
    """Bytes a second over the last seconds. Times are of any clock that only grows."""

    def __init__(self, window_seconds: float = WINDOW_SECONDS) -> None:
        self._window_seconds = window_seconds
        self._looks: deque[tuple[float, int]] = deque()

    def look(self, now: float, bytes_done: int) -> None:
        """Note how far the job is."""
        self._looks.append((now, bytes_done))
        while now - self._looks[0][0] > self._window_seconds and len(self._looks) > 2:
            self._looks.popleft()

    @property
    def bytes_per_second(self) -> float:
        """0 until two looks lie apart."""
        if len(self._looks) < 2:
            return 0.0
        (begin, before), (end, after) = self._looks[0], self._looks[-1]
        return max(0.0, (after - before) / (end - begin)) if end > begin else 0.0

    def seconds_left(self, bytes_left: int) -> float | None:
        """None while nobody can know."""
        rate = self.bytes_per_second
        if not bytes_left:
            return 0.0
        return bytes_left / rate if rate else None
