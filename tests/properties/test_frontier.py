"""The frontier beside a plain model: each directory is handed out, and finished once from the view of the commits."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from argosy.state import frontier as frontier_module
from argosy.state.frontier import Frontier, ScanDirectory
from argosy.state.job_database import JobDatabase
from tests.properties.job_machine import CALM, JobMachine, Step, steps

NUMBERS = st.integers(0, 1000)


@dataclass
class PlainDirectory:
    """A directory that is found and not finished. ``begun``: its row says that a thread had it."""

    name: bytes
    begun: bool = False
    sealed_through: bytes | None = None
    known: frozenset[bytes] = frozenset()


@dataclass
class Plain:
    """``used`` are all ids that were ever given away."""

    directories: dict[int, PlainDirectory] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)


class FrontierMachine(JobMachine):
    """Two scan threads; at most three directories stay in memory, and two come back at a time."""

    limits = ((frontier_module, "IN_MEMORY_MOST", 3), (frontier_module, "_RELOAD", 2))

    def __init__(self) -> None:
        self.durable = Plain()
        super().__init__()

    def attach(self, job: JobDatabase) -> None:
        self.frontier = Frontier(job)
        self.plain = deepcopy(self.durable)
        self.taken: dict[int, ScanDirectory] = {}
        begun = {identity for identity, directory in self.plain.directories.items() if directory.begun}
        assert self.frontier.load() == len(begun)
        self.first = begun

    def note(self) -> None:
        for identity in self.taken:
            self.plain.directories[identity].begun = True
        self.durable = deepcopy(self.plain)

    def new_id(self) -> int:
        """Of lost moments an id may come again, of durable ones never."""
        identity = self.frontier.new_id()
        assert identity not in self.plain.used
        self.plain.used.add(identity)
        return identity

    @rule(number=NUMBERS)
    def find(self, number: int) -> None:
        """A directory is found out of nowhere: a target, or one where a file had been."""
        identity = self.new_id()
        name = b"%d" % number
        self.plain.directories[identity] = PlainDirectory(name)
        self.frontier.add([ScanDirectory(identity, 0, name, b"/" + name, None)])

    @rule()
    def take(self, _: int = 0) -> None:
        """Only what is found and not finished, as it was left, what was cut short first."""
        directory = self.frontier.take(0)
        if directory is None:
            return
        plain = self.plain.directories[directory.id]
        assert directory.id not in self.taken
        assert (directory.name, directory.sealed_through) == (plain.name, plain.sealed_through)
        assert (directory.known_subdirectories or frozenset()) == plain.known
        self.taken[directory.id] = directory
        self.first.discard(directory.id)

    @rule(number=NUMBERS)
    def list_one(self, number: int) -> None:
        """A directory that was taken has up to four subdirectories; those it had before are not found again."""
        directory = self._one(number)
        if directory is None:
            return
        plain = self.plain.directories[directory.id]
        names = [name for name in (b"a", b"b", b"c", b"d")[: number % 5] if name not in plain.known]
        found = [ScanDirectory(self.new_id(), directory.id, name, b"/" + name, None) for name in names]
        self.frontier.register_subdirectories(directory, found)
        plain.known |= frozenset(names)
        self.plain.directories.update({child.id: PlainDirectory(child.name) for child in found})

    @rule(number=NUMBERS)
    def advance(self, number: int) -> None:
        """A batch in its midst is sealed."""
        if (directory := self._one(number)) is not None:
            name = b"%04d" % number
            self.frontier.advance(directory, name)
            self.plain.directories[directory.id].sealed_through = name

    @rule(number=NUMBERS)
    def restart(self, number: int) -> None:
        """What was sealed of it must be scanned once more."""
        if (directory := self._one(number)) is not None:
            self.frontier.restart(directory)
            self.plain.directories[directory.id].sealed_through = None

    @rule(number=NUMBERS)
    def finish(self, number: int) -> None:
        """Its last batch is sealed."""
        if (directory := self._one(number)) is not None:
            self.frontier.finish(directory)
            del self.taken[directory.id]
            del self.plain.directories[directory.id]

    @rule(others=steps("find", "take", "list_one", "advance", "restart", "finish"))
    def commit(self, others: list[Step]) -> None:
        """Two or more threads go on while it is written."""
        self.commit_while(others)

    @precondition(lambda self: self.durable.used)
    @rule()
    def crash(self) -> None:
        """In-progress ones come again, finished ones do not."""
        self.reopen()

    @invariant()
    def numbers_agree(self) -> None:
        """The scan ends only when nothing is left."""
        assert self.frontier.empty == (not self.plain.directories)
        assert self.frontier.in_progress == len(self.taken)
        assert self.frontier.pending == len(self.plain.directories) - len(self.taken)

    def check_at_the_end(self) -> None:
        """All that is found can be taken and finished, what a crash cut short first; then no row is left."""
        self.reopen()
        count = len(self.first)
        taken = 0
        while not self.frontier.empty:
            self.take()
            taken += 1
            assert not self.first or taken < count or taken == count
            assert self.taken, "something is pending, and nothing is handed out"
            self.finish(0)
            if taken == count:
                assert not self.first
        assert not self.plain.directories
        self.job.commit()
        assert self.job.read("SELECT * FROM frontier") == []

    def _one(self, number: int) -> ScanDirectory | None:
        return None if not self.taken else sorted(self.taken.items())[number % len(self.taken)][1]


TestFrontier = FrontierMachine.TestCase
TestFrontier.settings = CALM
