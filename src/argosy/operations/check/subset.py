"""Which packs a check reads: all, the n-th of t parts, a share, about so many bytes (restic), or what is due."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import msgspec

from argosy.errors import UsageError

# Parts are told apart by the first byte of a pack's id.
MOST_PARTS = 256

_PART = re.compile(r"(\d+)/(\d+)")
_PERCENTAGE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)%")
_SIZE = re.compile(r"(\d+)([bkmgt]?)", re.IGNORECASE)
_PERIOD = re.compile(r"(\d{1,6})([hdw])", re.IGNORECASE)
_PERIOD_SECONDS = {"h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

Choose = Callable[[bytes], bool]


class ReadSubset(msgspec.Struct, frozen=True):
    """One of: part ``part`` (from 1) of ``parts``; ``percentage`` of the packs, at least one; about ``size_bytes``;
    what is due so that in ``rolling_seconds`` all is read once (see ``readings``)."""

    part: int = 1
    parts: int = 1
    percentage: float = 0.0
    size_bytes: int = 0
    rolling_seconds: float = 0.0

    def chooser(self, packs: int, pack_bytes: int, draw: Callable[[], float] = random.random) -> Choose:
        """A function to be asked once about each of ``packs`` (with ``pack_bytes`` together) whether it is read."""
        if self.size_bytes:
            return _sample(packs, 100.0 * min(self.size_bytes, pack_bytes) / pack_bytes if pack_bytes else 0.0, draw)
        if self.percentage:
            return _sample(packs, self.percentage, draw)
        return lambda pack_id: pack_id[0] % self.parts == self.part - 1

    @property
    def description(self) -> str:
        """What is done, in restic's words."""
        if self.rolling_seconds:
            return f"read what is due of data packs, all of them once in {self.rolling_seconds / 86_400:g} days"
        if self.size_bytes:
            return f"read {self.size_bytes} bytes of data packs"
        if self.percentage:
            return f"read {self.percentage:.1f}% of data packs"
        return "read all data" if self.parts == 1 else f"read group #{self.part} of {self.parts} of data packs"


READ_ALL = ReadSubset()


def parse_subset(text: str) -> ReadSubset:
    """``2/5``, ``10%``, ``2.5%``, ``50M``. UsageError for anything else, and for numbers that make no sense."""
    if found := _PART.fullmatch(text):
        part, parts = int(found[1]), int(found[2])
        if not 1 <= part <= parts <= MOST_PARTS:
            raise _refused(text, f"n/t needs 1 <= n <= t <= {MOST_PARTS}, for example 1/5")
        return ReadSubset(part=part, parts=parts)
    if found := _PERCENTAGE.fullmatch(text):
        percentage = float(found[1])
        if not 0.0 < percentage <= 100.0:
            raise _refused(text, "x% must be above 0% and at most 100%")
        return ReadSubset(percentage=percentage)
    if (found := _SIZE.fullmatch(text)) and int(found[1]):
        return ReadSubset(size_bytes=int(found[1]) * _UNITS[found[2].lower()])
    raise _refused(text, "it is neither n/t, nor x%, nor a size with one of the suffixes k, M, G, T")


def parse_rolling(text: str) -> ReadSubset:
    """``30d``, ``4w``, ``36h``: in that time everything is read once. UsageError for anything else."""
    found = _PERIOD.fullmatch(text)
    if found is None or not int(found[1]):
        raise UsageError(
            f"--read-data-rolling {text} cannot be used: it is no number of hours, days or weeks",
            hint="Write 30d, 4w or 36h.",
        )
    return ReadSubset(rolling_seconds=float(int(found[1]) * _PERIOD_SECONDS[found[2].lower()]))


def _sample(packs: int, percentage: float, draw: Callable[[], float]) -> Choose:
    """Exactly that share of the packs, at least one, each with the same chance (Knuth's algorithm S)."""
    wanted, left = max(1, int(packs * percentage / 100.0)), packs

    def choose(_pack_id: bytes) -> bool:
        nonlocal wanted, left
        taken = draw() * left < wanted
        left -= 1
        wanted -= taken
        return taken

    return choose


def _refused(text: str, reason: str) -> UsageError:
    return UsageError(f"--read-data-subset {text} cannot be used: {reason}", hint="Write 1/5, 10% or 50G.")
