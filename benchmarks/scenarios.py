"""The scenarios: what is prepared, and what the two programs do in turn."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.data import (
    EMPTY_FILES,
    LARGE_BYTES,
    MANY_FILES,
    SMALL_FILES,
    TINY_FILES,
    Extent,
    ManyFiles,
    SmallFiles,
    make_empty_files,
    make_large_files,
    make_tiny_files,
    measure_extent,
    remove_three_tenths,
)
from benchmarks.process import CommandFailed
from benchmarks.programs import CHECKOUT, Measured, Place, Program
from benchmarks.rows import Row

SCENARIOS = {
    "a": "first backup of small files",
    "b": "first backup of large files",
    "c": "second backup of the small files, nothing changed",
    "d": "second backup of the small files, 1% of them changed",
    "e": "restore of the small and of the large files",
    "f": "check --read-data of both repositories",
    "g": "memory of a first backup of very many empty files (one pair)",
    "h": "check of the small files; check and prune of 100,000 and of a million tiny files, three tenths unused",
    "i": "second backups of a million small files: nothing changed, and 1% of them changed",
    "j": "first backup of the large files, Argosy with --compression fastest, which restic does not know",
    "start": "start-up: the version, and snapshots of an empty repository",
}
_START_RUNS = 5
_WARM_UP_FILES = 20

Work = Callable[[Place], Measured]


@dataclass(frozen=True, slots=True)
class Choice:
    """What to measure. ``verify`` has False, True or both; ``own_keys`` lets each program make its repositories."""

    scenarios: frozenset[str]
    verify: tuple[bool, ...]
    runs: int
    scale: float
    ceiling: bool = True
    own_keys: bool = False

    def wants(self, *scenarios: str) -> bool:
        """Whether one of them is to be measured."""
        return not self.scenarios.isdisjoint(scenarios)


class Benchmark:
    """One run of the chosen scenarios in ``directory``. ``say`` hears of each pair; ``rows`` gets each finished row."""

    def __init__(
        self,
        argosy: Program,
        restic: Program,
        directory: Path,
        choice: Choice,
        say: Callable[[str], None],
        rows: list[Row],
    ) -> None:
        self._directory = directory
        self._choice = choice
        self._say = say
        self._places = [Place(argosy, directory / "argosy"), Place(restic, directory / "restic")]
        self._templates = [directory / "template-argosy", directory / "template-restic"]
        self._rows = rows

    def run(self) -> None:
        """Measure. CommandFailed if a program fails."""
        self._warm_up()
        if self._choice.wants("a", "c", "d", "e", "f", "h"):
            self._measure_small_files()
        if self._choice.wants("b", "e", "f", "j"):
            self._measure_large_files()
        if self._choice.wants("g"):
            self._measure_empty_files()
        if self._choice.wants("h"):
            for name, count in zip(("100k", "1m"), TINY_FILES, strict=True):
                self._measure_tiny_files(name, max(100, round(count * self._choice.scale)))
        if self._choice.wants("i"):
            self._measure_many_files()
        if self._choice.wants("start"):
            self._measure_start()

    def _warm_up(self) -> None:
        """Make the empty repositories; let both programs do once what they will do, so that they lie in memory.

        Python also compiles its modules then, as it does once in an installation's life.
        """
        # Opening a repository takes as long as its key says (restic's own default 0.5 s, Argosy's 0.1 s): unless asked
        # otherwise both get copies of the same one.
        for place, template in zip(self._places, self._templates, strict=True):
            if self._choice.own_keys or not self._templates[0].exists():
                place.init()
                place.repository.rename(template)
                place.reset()
            else:
                shutil.copytree(self._templates[0], template)
        source = self._directory / "warm-up"
        SmallFiles(source, _WARM_UP_FILES).make()
        self._begin(source)
        for place in self._places:
            if self._choice.wants("e"):
                place.restore()
            if self._choice.wants("f"):
                place.check()
        shutil.rmtree(source)

    def _measure_small_files(self) -> None:
        files = SmallFiles(self._directory / "small", max(100, round(SMALL_FILES * self._choice.scale)))
        extent = files.make()
        name = f"{extent.files:,} small files ({_megabytes(extent)})"
        if self._choice.wants("a"):
            self._first_backups("a", f"{name}, first backup", files.root)
        if self._choice.wants("c", "d", "e", "f", "h"):
            self._ensure_backed_up(files.root)
            self._check_and_restore("small", "small files", extent)
            if self._choice.wants("h"):
                self._compare(Row("h small check", "small files, check"), Place.check_structure)
            self._second_backups(files, "c", "d", "small files")
        shutil.rmtree(files.root)

    def _measure_large_files(self) -> None:
        source = self._directory / "large"
        extent = make_large_files(source, round(LARGE_BYTES * self._choice.scale))
        name = f"{extent.files} large files ({_megabytes(extent)})"
        if self._choice.wants("j"):
            self._first_backups("j", f"{name}, first backup, fastest", source, compression="fastest")
        if self._choice.wants("b"):
            self._first_backups("b", f"{name}, first backup", source)
        if self._choice.wants("e", "f"):
            self._ensure_backed_up(source)
            shutil.rmtree(source)  # room for what is restored
            self._check_and_restore("large", "large files", extent)
        shutil.rmtree(source, ignore_errors=True)

    def _measure_empty_files(self) -> None:
        source = self._directory / "empty"
        extent = make_empty_files(source, max(1_000, round(EMPTY_FILES * self._choice.scale)))
        row = Row("g", f"{extent.files:,} empty files, first backup", verify=False)
        # Its memory is what counts: the sampled pair is enough.
        self._compare(row, self._first_backup(source, verify=False), runs=0)
        shutil.rmtree(source)

    def _measure_many_files(self) -> None:
        files = ManyFiles(self._directory / "many", max(100, round(MANY_FILES * self._choice.scale)))
        extent = files.make()
        self._begin(files.root)
        title = f"{extent.files:,} small files ({_megabytes(extent)})"
        self._second_backups(files, "i same", "i changed", title)
        shutil.rmtree(files.root)

    def _measure_tiny_files(self, name: str, count: int) -> None:
        """Check and prune in copies of one repository, which Argosy has written."""
        source, template = self._directory / "tiny", self._directory / "template-tiny"
        make_tiny_files(source, count)
        writer = self._places[0]
        self._first_backup(source, verify=False)(writer)
        remove_three_tenths(source)
        writer.back_up(source, verify=False)
        shutil.rmtree(source)
        writer.keep_last()
        writer.repository.rename(template)
        for place in self._places:
            place.begin(template)
        self._compare(Row(f"h {name} check", f"{count:,} tiny files, check"), Place.check_structure)
        self._compare(Row(f"h {name} prune", f"{count:,} tiny files, prune"), lambda place: _prune(place, template))
        shutil.rmtree(template)

    def _measure_start(self) -> None:
        for place, template in zip(self._places, self._templates, strict=True):
            place.begin(template)
        runs = self._choice.runs * _START_RUNS
        asks = {self._places[0]: "--version", self._places[1]: "version"}
        self._compare(Row("start version", "--version"), lambda place: place.run(asks[place]), runs=runs)
        row = Row("start snapshots", "snapshots of an empty repository")
        self._compare(row, lambda place: place.run("snapshots", "--repo", str(place.repository)), runs=runs)

    def _first_backups(self, key: str, title: str, source: Path, *, compression: str = "auto") -> None:
        """``compression`` is Argosy's; restic's is "auto"."""
        for verify in self._choice.verify:
            row = Row(key, title, verify)
            ceiling = self._ceiling(source, compression, verify=verify) if self._choice.ceiling else None
            self._compare(row, self._first_backup(source, compression, verify=verify), ceiling=ceiling)

    def _first_backup(self, source: Path, compression: str = "auto", *, verify: bool) -> Work:
        def work(place: Place) -> Measured:
            place.begin(self._template_of(place))
            wanted = compression if place is self._places[0] else "auto"
            return place.back_up(source, verify=verify, compression=wanted)

        return work

    def _second_backups(self, files: SmallFiles | ManyFiles, same: str, changed: str, title: str) -> None:
        """The rows ``same`` and ``changed``, those of the chosen scenarios."""
        versions = itertools.count(1)
        changes: dict[str, tuple[str, Callable[[], object]]] = {
            same: ("nothing changed", lambda: None),
            changed: ("1% changed", lambda: files.change(next(versions))),
        }
        for key, (what, change) in changes.items():
            if self._choice.wants(key.partition(" ")[0]):
                for verify in self._choice.verify:
                    work = partial(Place.back_up, source=files.root, verify=verify)
                    self._compare(Row(key, f"{title}, {what}", verify, files.count), work, before=change)

    def _check_and_restore(self, key: str, title: str, extent: Extent) -> None:
        if self._choice.wants("f"):
            self._compare(Row(f"f {key}", f"{title}, check --read-data"), Place.check)
        if self._choice.wants("e"):
            self._compare(Row(f"e {key}", f"{title}, restore"), lambda place: _restore(place, extent))

    def _compare(
        self,
        row: Row,
        work: Work,
        *,
        runs: int | None = None,
        before: Callable[[], object] = lambda: None,
        ceiling: Callable[[], float] | None = None,
    ) -> None:
        """Fill a row: a pair whose memory is sampled, then those that are timed: Argosy, restic, Argosy, restic …"""
        runs = self._choice.runs if runs is None else runs
        for run in range(runs + 1):
            before()
            pair = []
            for place in self._places:
                place.samples_memory = run == 0
                pair.append(work(place))
                place.samples_memory = False
            if run == 0:
                row.sampled = pair
            if run or not runs:
                row.argosy.append(pair[0])
                row.restic.append(pair[1])
                if ceiling is not None:
                    row.ceiling_seconds.append(ceiling())
                self._say_pair(row, run, runs)
        self._rows.append(row)

    def _say_pair(self, row: Row, run: int, runs: int) -> None:
        argosy, restic = (measured[-1].usage.wall_seconds for measured in (row.argosy, row.restic))
        verified = {None: "", True: ", verified", False: ", not verified"}[row.verify]
        self._say(f"{row.title}{verified}: {run}/{runs}: Argosy {argosy:.2f} s, restic {restic:.2f} s")

    def _begin(self, source: Path) -> None:
        """New repositories with one snapshot of ``source`` in each."""
        for place in self._places:
            self._first_backup(source, verify=False)(place)

    def _ensure_backed_up(self, source: Path) -> None:
        """The repositories of the last first backup, if that was of ``source``; else new ones."""
        if not (self._rows and self._rows[-1].key == ("a" if source.name == "small" else "b")):
            self._begin(source)

    def _template_of(self, place: Place) -> Path:
        return self._templates[self._places.index(place)]

    def _ceiling(self, source: Path, compression: str, *, verify: bool) -> Callable[[], float]:
        command = [sys.executable, "-m", "benchmarks.ceiling", str(source), "--compression", compression]
        command += ["--verify"] if verify else []

        def measure() -> float:
            environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise CommandFailed(f"the ceiling program failed:\n{done.stderr}")
            return float(json.loads(done.stdout)["seconds"])

        return measure


def _prune(place: Place, template: Path) -> Measured:
    place.begin(template)
    return place.prune()


def _restore(place: Place, extent: Extent) -> Measured:
    """Restore, and make sure that all of it is there."""
    measured = place.restore()
    restored = measure_extent(place.target)
    if restored != extent:
        raise CommandFailed(f"{place.program.name} restored {restored} of {extent}")
    shutil.rmtree(place.target)
    return measured


def _megabytes(extent: Extent) -> str:
    return f"{extent.size_bytes / 1e6:,.0f} MB"
