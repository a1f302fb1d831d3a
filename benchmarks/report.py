"""The table, as plain text and as Markdown, and the whole as a JSON document."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from benchmarks.disturbance import Disturbance
from benchmarks.ratios import Spread
from benchmarks.rows import Row, Verdict

NONE = "-"

_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the figures depend on."""

    argosy: str
    restic: str
    file_system: str
    runs: int
    scale: float
    keys: str
    disturbance: Disturbance

    def as_document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "argosy": self.argosy,
            "restic": self.restic,
            "file_system": self.file_system,
            "runs": self.runs,
            "scale": self.scale,
            "keys": self.keys,
            "processors": len(os.sched_getaffinity(0)),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "processors_busy_with_other_work": round(self.disturbance.processors(), 2),
        }


def make_document(surroundings: Surroundings, rows: Sequence[Row]) -> dict[str, Any]:
    """All that was measured."""
    return {"surroundings": surroundings.as_document(), "rows": [row.as_document() for row in rows]}


def summary(surroundings: Surroundings) -> str:
    """One paragraph on where, when and how the table came about."""
    found = surroundings.as_document()
    scale = "" if surroundings.scale == 1 else f" Data scaled by {surroundings.scale:g}."
    return (
        f"{found['date'][:10]}: {found['argosy'].partition(' on ')[0]} ({found['argosy'].partition('; ')[2]}), "
        f"{found['restic'].partition(' compiled')[0]}; "
        f"{found['processors']} processors, {found['memory_bytes'] / 1e9:.0f} GB, Linux {found['kernel']}, "
        f"Python {found['python']}, {found['file_system']}; {surroundings.keys}. "
        f"Pairs a row: {surroundings.runs}; median (least-greatest).{scale} Other work kept "
        f"{found['processors_busy_with_other_work']:.1f} processors busy meanwhile."
    )


HEADINGS = (
    "scenario",
    "verified",
    "seconds, Argosy / restic",
    "times as fast",
    "goal",
    "files/s",
    "CPU seconds",
    "CPU: restic / Argosy",
    "memory, MB",
    "memory: Argosy / restic",
    "repository: Argosy / restic",
    "of the ceiling",
)


def cells(row: Row) -> list[str]:
    """One line of the table."""
    verdicts = {verdict.measure: verdict for verdict in row.verdicts()}
    speed = verdicts.get("speed") or verdicts.get("wall")
    return [
        f"{row.key.partition(' ')[0]}: {row.title}",
        {None: NONE, True: "yes", False: "no"}[row.verify],
        _both(row, "wall_seconds"),
        _spread(row.speed),
        _judged(speed, _seconds if speed is not None and speed.measure == "wall" else _ratio),
        _with(
            NONE if row.files_per_second is None else _number(row.files_per_second),
            _judged(verdicts.get("files"), _number),
        ),
        _both(row, "cpu_seconds"),
        _spread(row.cpu),
        _with(
            " / ".join(f"{peak_bytes / _MB:.0f}" for peak_bytes in row.peak_bytes),
            _judged(verdicts.get("memory"), _megabytes),
        ),
        _with(
            NONE if row.memory_ratio is None else _ratio(row.memory_ratio),
            _judged(verdicts.get("memory ratio"), _ratio),
        ),
        _with(_spread(row.size), _judged(verdicts.get("size"), _ratio)),
        _spread(row.ceiling_share),
    ]


def text_table(rows: Sequence[Row]) -> str:
    """The table in columns."""
    lines = [list(HEADINGS), *(cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )


def markdown_table(rows: Sequence[Row]) -> str:
    """The table for docs/benchmarks.md."""
    lines = [list(HEADINGS), ["---"] * len(HEADINGS), *(cells(row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _both(row: Row, measure: str) -> str:
    return " / ".join(f"{row.median(program, measure):.2f}" for program in ("argosy", "restic"))


def _judged(verdict: Verdict | None, show: Callable[[float], str]) -> str:
    if verdict is None:
        return NONE
    bound = "≥" if verdict.at_least else "≤"
    return f"{bound} {show(verdict.limit)} {'met' if verdict.met else 'MISSED'}"


def _with(figure: str, judgement: str) -> str:
    return figure if judgement == NONE else f"{figure} {judgement}"


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return NONE
    median, least, greatest = (_ratio(figure) for figure in (spread.median, spread.least, spread.greatest))
    return median if least == greatest else f"{median} ({least}-{greatest})"


def _ratio(figure: float) -> str:
    return f"{figure:.2f}"


def _number(figure: float) -> str:
    return f"{figure:,.0f}"


def _seconds(figure: float) -> str:
    return f"{figure:.2f} s"


def _megabytes(figure: float) -> str:
    return f"{figure / _MB:.0f} MB"
