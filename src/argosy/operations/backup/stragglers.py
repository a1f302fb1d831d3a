"""Which batches take so much longer than others that they are run a second time elsewhere: decided on given clocks."""

from __future__ import annotations

from collections.abc import Iterable

from argosy.archiver.cutting import weight_of
from argosy.state.queue import Batch

TIMES_AS_LONG = 3
LEAST_SECONDS = 5.0


class Stragglers:
    """Knows how long batches have taken for what they stored: content that was there already says nothing about a link.

    A batch is then expected to store all it reads, so that it is rather given too much time than too little.
    """

    def __init__(self) -> None:
        self._begun: dict[int, float] = {}
        self._seconds = 0.0
        self._weight = 0

    def handed_out(self, seq: int, now_seconds: float) -> None:
        """The engine has it, and some worker will begin it soon: unless the one that it waits at hangs."""
        self._begun.setdefault(seq, now_seconds)

    def handed_out_again(self, seq: int, now_seconds: float) -> None:
        """It has as much time once more."""
        self._begun[seq] = now_seconds

    def taken(self, seq: int, now_seconds: float) -> None:
        """A worker began this batch."""
        self._begun[seq] = now_seconds

    def given_back(self, seq: int) -> None:
        """It waits again."""
        self._begun.pop(seq, None)

    def completed(self, batch: Batch, stored_bytes: int, now_seconds: float) -> None:
        """Its result was accepted. One that was run twice says nothing of others."""
        begun = self._begun.pop(batch.seq, None)
        if begun is not None and not batch.earlier:
            self._seconds += now_seconds - begun
            self._weight += weight_of(batch.files, stored_bytes)

    @property
    def weight_a_second(self) -> float:
        """How much a worker does, on average; 0 while no batch is complete."""
        return self._weight / self._seconds if self._seconds else 0.0

    def late(self, handed_out: Iterable[Batch], now_seconds: float) -> list[Batch]:
        """Those that have taken ``TIMES_AS_LONG`` what their weight takes on average, and ``LEAST_SECONDS`` more; the
        one that was begun first comes first. None while no batch is complete, since nothing is known then.
        """
        if not self._weight:
            return []
        usual = TIMES_AS_LONG * self._seconds / self._weight
        found = [
            (begun, batch.seq, batch)
            for batch in handed_out
            if (begun := self._begun.get(batch.seq)) is not None
            and now_seconds - begun > LEAST_SECONDS + usual * weight_of(batch.files, batch.bytes)
        ]
        return [batch for _, _, batch in sorted(found, key=lambda entry: entry[:2])]
