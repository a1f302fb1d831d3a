"""How much of its time a member works that is to take less than it could: pure decisions on given clocks."""

from __future__ import annotations

_MOST_SAVED_SECONDS = 1.0


class Pace:
    """Keeps the share of time in which workers are busy at ``weight`` (above 0, at most 1: always)."""

    def __init__(self, weight: float) -> None:
        self._weight = weight
        self._saved_seconds = _MOST_SAVED_SECONDS
        self._seen_seconds: float | None = None

    def may_take_more(self, now_seconds: float, busy: float) -> bool:
        """Whether to ask for tasks now. ``busy`` is the share of its workers that have had work since the last call.

        What was worked too long is made up for by rest; of rest at most a second is saved.
        """
        if self._weight >= 1:
            return True
        passed = 0.0 if self._seen_seconds is None else now_seconds - self._seen_seconds
        self._seen_seconds = now_seconds
        self._saved_seconds = min(self._saved_seconds + passed * (self._weight - busy), _MOST_SAVED_SECONDS)
        return self._saved_seconds > 0
