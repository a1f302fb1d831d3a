"""The statistics: ratios pair by pair, their median, least and greatest."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some figures, with the least and the greatest."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        """ValueError if there are none."""
        if not figures:
            raise ValueError("no figures")
        return cls(statistics.median(figures), min(figures), max(figures))


def pair_ratios(numerators: Sequence[float], denominators: Sequence[float]) -> Spread:
    """The spread of first by first, second by second …: figures of one pair met the same disturbances.

    ValueError unless there are equally many of both, and some. A denominator of 0 makes infinity.
    """
    return Spread.of(
        [above / below if below else float("inf") for above, below in zip(numerators, denominators, strict=True)]
    )
