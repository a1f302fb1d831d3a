"""Draws the cost curves and says with which power of the size costs grow: ``python -m benchmarks.curves``.

The points are in docs/curves/points.json; ``python -m benchmarks.scale --points docs/curves/points.json`` measures
them. How throughput grows with members is in members.json there, lines of points by name: measured by
benchmarks/cluster.py, simulated by ``python -m benchmarks.queue_simulation --add docs/curves/members.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.drawing import Series, draw
from benchmarks.points import Point, exponent, load_points
from benchmarks.programs import CHECKOUT

DIRECTORY = CHECKOUT / "docs" / "curves"
POINTS = "points.json"


@dataclass(frozen=True, slots=True)
class Picture:
    """One file: a measure of some curves, by their names."""

    name: str
    title: str
    across: str
    up: str
    measure: str
    curves: dict[str, str]


ENTRIES = {"entries, first backup": "first backup", "entries, second backup": "second backup, nothing changed"}
PICTURES = (
    Picture("entries-cpu", "Empty files, a thousand to a directory", "entries", "CPU seconds", "cpu_seconds", ENTRIES),
    Picture("entries-memory", "Memory of the master", "entries", "bytes", "master_peak_bytes", ENTRIES),
    Picture(
        "bytes-cpu",
        "First backup of large files of text",
        "bytes",
        "CPU seconds",
        "cpu_seconds",
        {"bytes": "all processes"},
    ),
)


MEMBERS = Picture("members", "Throughput of a cluster", "members", "times what one member does", "", {})
MEMBERS_FILE = "members.json"


def series_of(picture: Picture, points: Sequence[Point]) -> list[Series]:
    """What a picture shows; a curve of fewer than two points is left out."""
    found = [
        Series(name, sorted((point.size, _measure(point, picture.measure)) for point in points if point.curve == curve))
        for curve, name in picture.curves.items()
    ]
    return [series for series in found if len(series.points) > 1]


def load_members(path: Path) -> list[Series]:
    """The lines of a file of members' throughput; none if there is no such file."""
    if not path.exists():
        return []
    lines = json.loads(path.read_text(encoding="utf-8"))
    return [Series(name, [(size, rate) for size, rate in points]) for name, points in lines.items()]


def add_members(path: Path, series: Series) -> None:
    """Add a line to that file, or replace the one of its name."""
    lines = {each.name: each.points for each in (*load_members(path), series)}
    rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(points)}" for name, points in lines.items())
    path.write_text(f"{{\n{rows}\n}}\n", encoding="utf-8")


def _measure(point: Point, measure: str) -> float:
    return float(getattr(point, measure))


def main() -> int:
    """Write the pictures, print the exponents as a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curves", description="Draw the cost curves.")
    parser.add_argument("--directory", type=Path, default=DIRECTORY, metavar="DIR", help="of the points and pictures")
    given = parser.parse_args()
    found = load_points(given.directory / POINTS)
    pictures = [(picture, series_of(picture, found)) for picture in PICTURES]
    pictures.append((MEMBERS, load_members(given.directory / MEMBERS_FILE)))
    sys.stdout.write(
        "| curve | measure | from | to | exponent | of the last two |\n| --- | --- | --- | --- | --- | --- |\n"
    )
    for picture, series in pictures:
        if series:
            text = draw(picture.title, picture.across, picture.up, series)
            (given.directory / f"{picture.name}.svg").write_text(text, encoding="utf-8")
        for each in series:
            sizes = [size for size, _ in each.points]
            slopes = (f"{exponent(points):.2f}" for points in (each.points, each.points[-2:]))
            cells = (each.name, f"{picture.title}: {picture.up}", f"{sizes[0]:,.0f}", f"{sizes[-1]:,.0f}", *slopes)
            sys.stdout.write(f"| {' | '.join(cells)} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
