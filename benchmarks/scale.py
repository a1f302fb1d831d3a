"""How costs grow with the work: ``python -m benchmarks.scale``, for Linux.

Parts, each with its goals:

- *large*: one file of 8 GB and eight of 1 GB, in memory, backed up by turns without extra verification: the rate of the
  one as a share of the rate of the eight.
- *bytes*: first backups of files of 100 MB to 1.6 GB together, for the curve.
- *directory*: 2,000,000 empty files in one directory: first backup, a second one, restore; the memory of the master.
  With ``--restic`` the tree's id is compared with that of restic's snapshot.
- *entries*: 10,000 to 10,000,000 empty files, a thousand to a directory: a first backup (scan, batches, trees) and a
  second one with nothing changed; time and memory for each number, compared with those at a tenth of the greatest. Ten
  million need a file system with the inodes: ``--sources`` says where the files are made, and kept for the next run.
- *checkpoints*: what the commits of the checkpoint database take of a first and of a second backup of 1,000,000 empty
  files, by ``checkpointing.py``.

Memory is sampled four times a second, in the very runs that are timed. CPU seconds are of all processes; those of the
master, which is the first process, are its own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.data import Extent, TextInPlenty, make_empty_files, make_empty_files_in, measure_extent
from benchmarks.disturbance import Disturbance
from benchmarks.points import Point, save_points
from benchmarks.process import CommandFailed, Usage
from benchmarks.programs import OUR_COMMAND, Place, Program
from benchmarks.ratios import Spread, pair_ratios
from benchmarks.workplace import MEMORY_FOLDER, file_system

LARGE_BYTES = 8_000_000_000
LARGE_FILES = 8
CURVE_BYTES = (100_000_000, 400_000_000, 1_600_000_000)
DIRECTORY_FILES = 2_000_000
ENTRIES = (10_000, 100_000, 1_000_000, 10_000_000)
CHECKPOINT_ENTRIES = 1_000_000

LEAST_RATE_SHARE = 0.9
MOST_MASTER_BYTES = 1_000_000_000
MOST_TIME_GROWTH = 1.15
MOST_MEMORY_GROWTH = 1.3
MOST_CHECKPOINT_SHARE = 0.05

_SAMPLE_SECONDS = 0.25
_CHECKPOINTING = Path(__file__).with_name("checkpointing.py")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table; ``limit`` is what to reach (``at_least``) or not to pass, None where nothing is asked."""

    title: str
    figure: float
    unit: str
    remark: str
    limit: float | None = None
    at_least: bool = False

    def line(self) -> str:
        """In Markdown."""
        goal = ""
        if self.limit is not None:
            met = self.figure >= self.limit if self.at_least else self.figure <= self.limit
            goal = f"{'≥' if self.at_least else '≤'} {self.limit:g} {'met' if met else 'MISSED'}"
        return f"| {self.title} | {self.figure:.3g} {self.unit} | {goal or '-'} | {self.remark} |"


class Scale:
    """The parts. ``directory`` is removed by the caller; ``sources`` keeps trees of entries from run to run."""

    def __init__(self, directory: Path, sources: Path, scale: float, runs: int, restic: str | None) -> None:
        self._directory = directory
        self._sources = sources
        self._scale = scale
        self._runs = runs
        self._restic = restic
        self._argosy = Program("argosy", OUR_COMMAND)
        self.points: list[Point] = []
        self.figures: list[Figure] = []

    def large(self) -> None:
        """See the module. Files are made anew for each run: both kinds at once are more than memory has room for."""
        size = round(LARGE_BYTES * self._scale)
        rates: dict[int, list[float]] = {1: [], LARGE_FILES: []}
        for _ in range(self._runs):
            for files in rates:
                usage = self._back_up_text(files, size // files, "bytes" if files == 1 else "")
                rates[files].append(size / usage.wall_seconds)
        share = pair_ratios(rates[1], rates[LARGE_FILES])
        both = " / ".join(f"{Spread.of(rates[files]).median / 1e6:.0f}" for files in rates)
        remark = f"{both} MB/s; {share.least:.2f}-{share.greatest:.2f}"
        title = f"one file of {size / 1e9:g} GB: rate, of that of {LARGE_FILES} with as much"
        self._found(title, share.median, "", remark, LEAST_RATE_SHARE, at_least=True)

    def bytes(self) -> None:
        """See the module."""
        for size in CURVE_BYTES:
            self._back_up_text(LARGE_FILES, round(size * self._scale) // LARGE_FILES, "bytes")

    def directory(self) -> None:
        """See the module."""
        count = round(DIRECTORY_FILES * self._scale)
        source = self._directory / "flat"
        make_empty_files_in(source, range(count))
        place = self._place()
        for title in ("first backup", "second backup"):
            usage = self._measure(f"directory, {title}", count, partial(_back_up, place, source))
            self._found_memory(f"a directory of {count:,} files, {title}", usage)
        ours, theirs = _tree_of(place, source), self._tree_of_restic(source)
        shutil.rmtree(source)
        usage = self._measure("directory, restore", count, lambda: place.restore().usage)
        self._found_memory(f"a directory of {count:,} files, restore", usage)
        if (restored := measure_extent(place.target)) != Extent(count, 0):
            raise CommandFailed(f"{restored} of {count} files were restored")
        place.remove()
        if theirs:
            self._found("its tree's id equals restic's", float(ours == theirs), "", ours[:8], 1, at_least=True)

    def entries(self) -> None:
        """See the module."""
        counts = sorted({max(1_000, round(count * self._scale)) for count in ENTRIES})
        found: dict[tuple[str, int], Usage] = {}
        for count in counts:
            source = self._source(count)
            place = self._place()
            for title in ("first backup", "second backup"):
                work = partial(_back_up, place, source)
                found[title, count] = self._measure(f"entries, {title}", count, work, on=source)
            place.remove()
        for title in ("first backup", "second backup"):
            self._compare_entries(title, counts[-2], counts[-1], found[title, counts[-2]], found[title, counts[-1]])

    def checkpoints(self) -> None:
        """See the module."""
        source = self._source(round(CHECKPOINT_ENTRIES * self._scale))
        figures = self._directory / "figures.json"
        place = Place(
            Program("argosy", (sys.executable, "-P", str(_CHECKPOINTING), str(figures))), self._directory / "timed"
        )
        place.init()
        for title in ("first backup", "second backup"):
            usage = place.back_up(source, verify=False).usage
            spent = json.loads(figures.read_text(encoding="utf-8"))
            remark = (
                f"{spent['commits']:.0f} commits, {spent['cpu_seconds']:.2f} of {usage.cpu_seconds:.2f} CPU seconds; "
                f"{spent['wall_seconds']:.2f} of {usage.wall_seconds:.2f} by the clock"
            )
            share = spent["cpu_seconds"] / usage.cpu_seconds
            self._found(f"checkpoints' share of a {title}", share, "", remark, MOST_CHECKPOINT_SHARE)
        place.remove()

    def _compare_entries(self, title: str, few: int, many: int, small: Usage, large: Usage) -> None:
        for measure, limit in (("cpu_seconds", None), ("wall_seconds", MOST_TIME_GROWTH)):
            each = [getattr(usage, measure) / count * 1e6 for usage, count in ((small, few), (large, many))]
            remark = f"{each[0]:.2f} and {each[1]:.2f} µs"
            name = measure.replace("_", " ")
            self._found(
                f"{many:,} entries, {title}: {name} an entry, by {few:,}'s", each[1] / each[0], "", remark, limit
            )
        peaks = small.first_peak_bytes, large.first_peak_bytes
        remark = " and ".join(f"{peak / 1e6:.0f} MB" for peak in peaks)
        growth = peaks[1] / peaks[0]
        self._found(f"{many:,} entries, {title}: master's memory, by {few:,}'s", growth, "", remark, MOST_MEMORY_GROWTH)

    def _back_up_text(self, files: int, file_bytes: int, curve: str) -> Usage:
        source, text = self._directory / "text", TextInPlenty()
        for number in range(files):
            text.write(source / f"f{number}", file_bytes)
        place = self._place()
        usage = self._measure(curve, files * file_bytes, partial(_back_up, place, source))
        shutil.rmtree(source)
        place.remove()
        return usage

    def _source(self, count: int) -> Path:
        """A tree of so many empty files, a thousand to a directory: made unless an earlier run has left it."""
        source = self._sources / f"entries-{count}"
        if not source.exists():
            _say(f"making {count:,} files")
            make_empty_files(source, count)
        return source

    def _place(self) -> Place:
        place = Place(self._argosy, self._directory / "argosy")
        place.init()
        place.samples_memory, place.sample_seconds = True, _SAMPLE_SECONDS
        return place

    def _measure(self, curve: str, size: int, work: Callable[[], Usage], on: Path | None = None) -> Usage:
        """``on``: where the source lies, if not where the work is done."""
        disturbance = Disturbance()
        usage = work()
        others = disturbance.processors()
        _say(
            f"{curve} {size:,}: {usage.wall_seconds:.2f} s, CPU {usage.cpu_seconds:.2f} s "
            f"(master {usage.first_cpu_seconds:.2f}), {usage.peak_bytes / 1e6:.0f} MB "
            f"(master {usage.first_peak_bytes / 1e6:.0f}), others kept {others:.1f} processors busy"
        )
        if curve:
            self.points.append(Point.of(curve, size, usage, file_system(on or self._directory), others))
        return usage

    def _found_memory(self, title: str, usage: Usage) -> None:
        megabytes = usage.first_peak_bytes / 1e6
        remark = (
            f"{usage.wall_seconds:.1f} s, CPU {usage.cpu_seconds:.1f} s; all processes {usage.peak_bytes / 1e6:.0f} MB"
        )
        self._found(f"{title}: master's memory", megabytes, "MB", remark, MOST_MASTER_BYTES / 1e6)

    def _found(
        self, title: str, figure: float, unit: str, remark: str, limit: float | None = None, *, at_least: bool = False
    ) -> None:
        self.figures.append(Figure(title, figure, unit, remark, limit, at_least))

    def _tree_of_restic(self, source: Path) -> str:
        """The id of restic's tree of a source; nothing without restic."""
        if self._restic is None:
            return ""
        place = Place(Program("restic", (self._restic,)), self._directory / "restic")
        place.init()
        place.back_up(source, verify=False)
        tree = _tree_of(place, source)
        place.remove()
        return tree


def _back_up(place: Place, source: Path) -> Usage:
    return place.back_up(source, verify=False).usage


def _tree_of(place: Place, source: Path) -> str:
    """The id of a source's own tree in the latest snapshot: folders above it change from run to run."""
    repository = ("--repo", str(place.repository))
    snapshot = json.loads(place.output_of("snapshots", "--json", *repository))[-1]["id"]
    printed = place.output_of("cat", "tree", f"{snapshot}:{source.parent}", *repository)
    (node,) = json.loads(printed)["nodes"]
    return str(node["subtree"])


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


PARTS = ("large", "bytes", "directory", "entries", "checkpoints")


def main() -> int:
    """Measure, print the table; 0, or 1 with a message if a program failed."""
    given = _parse()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    code = 0
    with tempfile.TemporaryDirectory(prefix="argosy-scale-", dir=given.directory) as name:
        directory = Path(name)
        scale = Scale(directory, given.sources or directory, given.scale, given.runs, given.restic)
        try:
            for part in given.parts.split(","):
                getattr(scale, part)()
        except (CommandFailed, OSError, subprocess.CalledProcessError) as error:
            _say(f"benchmarks: {error}")
            code = 1
    lines = ["| what | figure | goal | remark |", "| --- | --- | --- | --- |", *(each.line() for each in scale.figures)]
    sys.stdout.write("\n".join(lines) + "\n")
    if given.points is not None:
        save_points(given.points, scale.points)
    return code


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description="Measure how costs grow.")
    parser.add_argument("--parts", default=",".join(PARTS), type=_parts, metavar="LIST", help="which, with commas")
    parser.add_argument("--scale", default=1.0, type=float, metavar="X", help="so many times as much: 0.01 to try")
    parser.add_argument("--runs", default=1, type=int, metavar="N", help="pairs of the part 'large' (1)")
    parser.add_argument("--directory", type=Path, default=MEMORY_FOLDER, metavar="DIR", help="where to work (/dev/shm)")
    parser.add_argument("--sources", type=Path, metavar="DIR", help="where trees of entries are made, and stay")
    parser.add_argument("--points", type=Path, metavar="FILE", help="add what was measured to this file of the curves")
    parser.add_argument("--restic", metavar="PROGRAM", help="compare the directory's tree with this restic's")
    return parser.parse_args()


def _parts(text: str) -> str:
    unknown = [part for part in text.split(",") if part not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(PARTS)}")
    return text


if __name__ == "__main__":
    sys.exit(main())
