"""Which member fails at one batch after the other: pure decisions."""

from __future__ import annotations

from collections import defaultdict

MOST_IN_A_ROW = 3


class Misfits:
    """Hears how each member's attempts end."""

    def __init__(self) -> None:
        self._failed: defaultdict[str, set[int]] = defaultdict(set)

    def completed(self, member: str) -> None:
        """It can work."""
        self._failed.pop(member, None)

    def failed(self, member: str, seq: int) -> bool:
        """Whether it has failed at so many different batches in a row that it is rather its fault than theirs."""
        self._failed[member].add(seq)
        return len(self._failed[member]) >= MOST_IN_A_ROW
