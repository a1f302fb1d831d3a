"""Assemblies beside a plain model: parts survive, and each becomes ready exactly when all has come."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from argosy.state import assemblies as assemblies_module
from argosy.state.assemblies import Assemblies, Assembly
from argosy.state.job_database import JobDatabase
from tests.properties.job_machine import CALM, JobMachine, Step, steps

NUMBERS = st.integers(0, 1000)


@dataclass
class PlainAssembly:
    """What waits, and what has come."""

    pending: int = 1
    parts: list[bytes] = field(default_factory=list)
    deleted: bytes | None = None


@dataclass
class Plain:
    """Open assemblies by their id; ids are used once."""

    open: dict[int, PlainAssembly] = field(default_factory=dict)
    upcoming: int = 1


class AssembliesMachine(JobMachine):
    """One assembly stays in memory after a commit."""

    limits = ((assemblies_module, "HOT_MOST", 1),)

    def __init__(self) -> None:
        self.durable = Plain()
        super().__init__()

    def attach(self, job: JobDatabase) -> None:
        self.assemblies = Assemblies(job)
        self.assemblies.load()
        self.plain = deepcopy(self.durable)

    def note(self) -> None:
        self.durable = deepcopy(self.plain)

    @rule()
    def open_one(self, _: int = 0) -> None:
        """A directory was listed."""
        identity = self.plain.upcoming
        self.plain.upcoming += 1
        self.plain.open[identity] = PlainAssembly()
        self.assemblies.open(Assembly(identity, 0, b"%d" % identity))

    @rule(number=NUMBERS)
    def open_again(self, number: int) -> None:
        """A directory was listed a second time: what the first had found stays."""
        if (identity := self._one(number)) is not None:
            deleted = b"%d" % number
            there = self.assemblies.open(Assembly(identity, 0, b"other"))
            assert there.name == b"%d" % identity
            there.deleted = self.plain.open[identity].deleted = deleted
            self.assemblies.changed(there)

    @rule(number=NUMBERS)
    def expect(self, number: int) -> None:
        """Something more to wait for; only what waits already can come to wait for more."""
        identity = self._one(number)
        if identity is not None and self.plain.open[identity].pending:
            self.assemblies.expect(identity, 1 + number % 3)
            self.plain.open[identity].pending += 1 + number % 3

    @rule(number=NUMBERS)
    def add_part(self, number: int) -> None:
        """A result comes."""
        if (identity := self._one(number)) is not None:
            part = b"%d" % number
            self.assemblies.add_part(identity, part)
            self.plain.open[identity].parts.append(part)

    @rule(number=NUMBERS)
    def settle(self, number: int) -> None:
        """Some of what it waits for has come."""
        identity = self._one(number)
        if identity is not None and self.plain.open[identity].pending:
            count = 1 + number % self.plain.open[identity].pending
            self.assemblies.settle(identity, count)
            self.plain.open[identity].pending -= count

    @rule()
    def build(self, _: int = 0) -> None:
        """The first that is ready is built and closed."""
        if self.assemblies.ready:
            identity = self.assemblies.ready.popleft()
            assembly = self.assemblies.get(identity)
            assert list(self.assemblies.parts(assembly)) == self.plain.open.pop(identity).parts
            self.assemblies.close(assembly)
            assert self.assemblies.find(identity) is None

    @rule(number=NUMBERS)
    def look(self, number: int) -> None:
        """At any directory that ever was: a closed one is not there."""
        identity = number % self.plain.upcoming
        found = self.assemblies.find(identity)
        plain = self.plain.open.get(identity)
        assert (found is None) == (plain is None)
        if found is not None and plain is not None:
            assert (found.pending, found.deleted) == (plain.pending, plain.deleted)
            assert found.parts == len(plain.parts)

    @rule(others=steps("open_one", "open_again", "expect", "add_part", "settle", "look"))
    def commit(self, others: list[Step]) -> None:
        """Scan threads go on meanwhile; trees are built by the thread that commits."""
        self.commit_while(others)
        assert self.assemblies.open_count <= max(1, len({*self.plain.open}))

    @precondition(lambda self: self.durable.open)
    @rule()
    def crash(self) -> None:
        """Whatever waited for nothing is ready again."""
        self.reopen()

    @invariant()
    def the_ready_are_those_that_wait_for_nothing(self) -> None:
        """Each once."""
        waiting_for_nothing = [identity for identity, plain in self.plain.open.items() if not plain.pending]
        assert sorted(self.assemblies.ready) == sorted(waiting_for_nothing)

    @invariant()
    def nothing_durable_is_kept_in_memory_for_its_parts(self) -> None:
        """Memory holds what came since the last commit, and what the file has it holds no more."""
        unsaved = sum(len(assembly.unsaved) for assembly in self.assemblies._hot.values())
        assert unsaved <= sum(len(plain.parts) for plain in self.plain.open.values())

    def check_at_the_end(self) -> None:
        """All that is open has its parts, and is closed without a trace."""
        self.commit([])
        self.reopen()
        for identity, plain in list(self.plain.open.items()):
            self.look(identity)
            if plain.pending:
                self.assemblies.settle(identity, plain.pending)
                plain.pending = 0
        while self.assemblies.ready:
            self.build()
        assert not self.plain.open
        self.job.commit()
        assert self.job.read("SELECT * FROM assemblies") == []
        assert self.job.read("SELECT * FROM parts") == []

    def _one(self, number: int) -> int | None:
        return None if not self.plain.open else sorted(self.plain.open)[number % len(self.plain.open)]


TestAssemblies = AssembliesMachine.TestCase
TestAssemblies.settings = CALM
