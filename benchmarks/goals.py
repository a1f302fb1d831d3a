"""What Argosy sets out to reach."""

from __future__ import annotations

from dataclasses import dataclass

MOST_SIZE_RATIO = 1.03
"""Of a repository, by restic's of the same files."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a row has to reach; None where nothing is asked.

    ``speed``: restic's wall time by Argosy's, and ``files_per_second`` of Argosy's whole run: at least.
    ``wall_seconds``, ``memory_ratio`` (by restic's), ``memory_bytes`` and ``size_ratio`` (by restic's): at most.
    """

    speed: float | None = None
    wall_seconds: float | None = None
    memory_ratio: float | None = None
    memory_bytes: int | None = None
    size_ratio: float | None = None
    files_per_second: int | None = None


GOALS = {
    "a": Goal(speed=2.2, memory_ratio=3.0, size_ratio=MOST_SIZE_RATIO),
    "b": Goal(speed=1.5, size_ratio=MOST_SIZE_RATIO),
    "c": Goal(speed=2.5, size_ratio=MOST_SIZE_RATIO),
    "d": Goal(speed=2.5, size_ratio=MOST_SIZE_RATIO),
    "e small": Goal(speed=1.5),
    "e large": Goal(speed=1.5),
    "f small": Goal(speed=1.3),
    "f large": Goal(speed=1.3),
    "g": Goal(memory_bytes=600_000_000),
    "h small check": Goal(speed=1.8),
    "h 100k check": Goal(speed=1.8),
    "h 100k prune": Goal(speed=1.8),
    "h 1m check": Goal(speed=1.8, memory_ratio=0.5),
    "h 1m prune": Goal(speed=1.8, memory_ratio=0.5),
    "i same": Goal(speed=5.0, files_per_second=250_000, size_ratio=MOST_SIZE_RATIO),
    "i changed": Goal(speed=5.0, size_ratio=MOST_SIZE_RATIO),
    "j": Goal(speed=2.8),
    "start version": Goal(wall_seconds=0.15),
    "start snapshots": Goal(wall_seconds=0.4),
}
