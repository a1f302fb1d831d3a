"""What was measured at which size: the points of the cost curves, as a JSON file that later runs add to."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.process import Usage


@dataclass(frozen=True, slots=True)
class Point:
    """One run. ``curve`` names what it belongs to, ``size`` is its number of entries or of bytes.

    ``others_busy`` is how many processors other work kept busy meanwhile: where it is not near 0, seconds of the clock
    mean little. The master is the first process.
    """

    curve: str
    size: int
    wall_seconds: float
    cpu_seconds: float
    master_cpu_seconds: float
    master_peak_bytes: int
    peak_bytes: int
    file_system: str
    others_busy: float

    @classmethod
    def of(cls, curve: str, size: int, usage: Usage, file_system: str, others_busy: float) -> Point:
        """From a run that was sampled."""
        return cls(
            curve,
            size,
            round(usage.wall_seconds, 3),
            round(usage.cpu_seconds, 3),
            round(usage.first_cpu_seconds, 3),
            usage.first_peak_bytes,
            usage.peak_bytes,
            file_system,
            round(others_busy, 2),
        )


def load_points(path: Path) -> list[Point]:
    """The points of a file; none if there is no such file."""
    if not path.exists():
        return []
    return [Point(**fields) for fields in json.loads(path.read_text(encoding="utf-8"))]


def save_points(path: Path, new: Sequence[Point]) -> None:
    """Add points to a file; one of the same curve and size is replaced."""
    places = {(point.curve, point.size): replace(point) for point in (*load_points(path), *new)}
    lines = ",\n".join(json.dumps(asdict(places[place])) for place in sorted(places))
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """Of the power of the size with which a cost grows: the slope of the line that fits best, both in logarithms.

    ValueError for fewer than two sizes.
    """
    logs = [(math.log(size), math.log(cost)) for size, cost in points]
    if len({size for size, _ in logs}) < 2:
        raise ValueError("a slope needs two sizes")
    middle = [sum(values) / len(logs) for values in zip(*logs, strict=True)]
    above = sum((size - middle[0]) * (cost - middle[1]) for size, cost in logs)
    return float(above / sum((size - middle[0]) ** 2 for size, _ in logs))
