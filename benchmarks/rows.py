"""What one line of the table says: the pairs of one scenario, their ratios, and the goals."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.goals import GOALS, Goal
from benchmarks.programs import Measured
from benchmarks.ratios import Spread, pair_ratios


@dataclass(frozen=True, slots=True)
class Verdict:
    """One goal of a row: ``limit`` to be reached (``at_least``) or not to be passed, and the figure."""

    measure: str
    limit: float
    figure: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether the goal is met."""
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit


@dataclass(slots=True)
class Row:
    """The pairs of one scenario, ``argosy[i]`` with ``restic[i]``.

    ``key`` names the goal. ``verify`` is whether blobs were verified before upload, None where nothing is uploaded.
    ``files`` are those that a backup looks at, 0 where their rate says nothing.
    ``sampled`` are the runs of Argosy and of restic whose memory was sampled. ``ceiling_seconds`` has the ceiling
    program's time in each pair, where it ran.
    """

    key: str
    title: str
    verify: bool | None = None
    files: int = 0
    argosy: list[Measured] = field(default_factory=list)
    restic: list[Measured] = field(default_factory=list)
    sampled: list[Measured] = field(default_factory=list)
    ceiling_seconds: list[float] = field(default_factory=list)

    @property
    def goal(self) -> Goal:
        """What this row has to reach."""
        return GOALS[self.key]

    @property
    def speed(self) -> Spread:
        """restic's wall time by Argosy's."""
        return pair_ratios(*(self._usage("wall_seconds", each) for each in (self.restic, self.argosy)))

    @property
    def cpu(self) -> Spread:
        """restic's CPU time by Argosy's."""
        return pair_ratios(*(self._usage("cpu_seconds", each) for each in (self.restic, self.argosy)))

    @property
    def peak_bytes(self) -> tuple[int, int]:
        """The greatest memory of Argosy and of restic."""
        argosy, restic = (run.usage.peak_bytes for run in self.sampled)
        return argosy, restic

    @property
    def memory_ratio(self) -> float | None:
        """Argosy's peak by restic's; None if one was too quick to be sampled."""
        argosy, restic = self.peak_bytes
        return argosy / restic if argosy and restic else None

    @property
    def size(self) -> Spread | None:
        """The size of Argosy's repository by that of restic's, where it was measured."""
        sizes = [[each.repository_bytes for each in program] for program in (self.argosy, self.restic)]
        return pair_ratios(*sizes) if all(sizes[1]) else None

    @property
    def files_per_second(self) -> int | None:
        """How many files Argosy looks at in a second of its whole run, the median; None where that says nothing."""
        return round(self.files / self.median("argosy", "wall_seconds")) if self.files else None

    @property
    def ceiling_share(self) -> Spread | None:
        """The ceiling's time by Argosy's, where it was measured."""
        if not self.ceiling_seconds:
            return None
        return pair_ratios(self.ceiling_seconds, self._usage("wall_seconds", self.argosy))

    def median(self, program: str, measure: str) -> float:
        """The median of one program's ``wall_seconds`` or ``cpu_seconds``."""
        return Spread.of(self._usage(measure, self.argosy if program == "argosy" else self.restic)).median

    def verdicts(self) -> list[Verdict]:
        """Each goal of this row with what was reached."""
        goal, found = self.goal, []
        if goal.speed is not None:
            found.append(Verdict("speed", goal.speed, self.speed.median, at_least=True))
        if goal.wall_seconds is not None:
            found.append(Verdict("wall", goal.wall_seconds, self.median("argosy", "wall_seconds"), at_least=False))
        if goal.files_per_second is not None and self.files_per_second is not None:
            found.append(Verdict("files", goal.files_per_second, self.files_per_second, at_least=True))
        if goal.memory_ratio is not None and self.memory_ratio is not None:
            found.append(Verdict("memory ratio", goal.memory_ratio, self.memory_ratio, at_least=False))
        if goal.memory_bytes is not None:
            found.append(Verdict("memory", goal.memory_bytes, self.peak_bytes[0], at_least=False))
        if goal.size_ratio is not None and self.size is not None:
            found.append(Verdict("size", goal.size_ratio, self.size.median, at_least=False))
        return found

    def as_document(self) -> dict[str, Any]:
        """Everything, for JSON."""
        ratios = {"speed": self.speed, "cpu": self.cpu, "size": self.size, "ceiling_share": self.ceiling_share}
        return {
            "key": self.key,
            "title": self.title,
            "verify": self.verify,
            "ratios": {name: asdict(spread) for name, spread in ratios.items() if spread is not None},
            "goals": [{**asdict(verdict), "met": verdict.met} for verdict in self.verdicts()],
            "files_per_second": self.files_per_second,
            "memory_ratio": self.memory_ratio,
            "peak_bytes": dict(zip(("argosy", "restic"), self.peak_bytes, strict=True)),
            "argosy": [self._flat(one) for one in self.argosy],
            "restic": [self._flat(one) for one in self.restic],
            "ceiling_seconds": self.ceiling_seconds,
        }

    @staticmethod
    def _usage(measure: str, runs: list[Measured]) -> list[float]:
        return [getattr(run.usage, measure) for run in runs]

    @staticmethod
    def _flat(run: Measured) -> dict[str, float]:
        usage = run.usage
        return {
            "wall_seconds": usage.wall_seconds,
            "cpu_seconds": usage.cpu_seconds,
            "repository_bytes": run.repository_bytes,
        }
