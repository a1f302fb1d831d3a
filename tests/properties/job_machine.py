"""State machines over a job file: any model of ``argosy.state`` beside a plain one, with crashes and busy commits."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from argosy.sqlite import Database, open_database
from argosy.state import job_database as job_database_module
from argosy.state.job_database import JobDatabase, Statement, open_job_database

CALM = settings(deadline=None, max_examples=60, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow])

Step = tuple[str, int]
"""A method of the machine by name, and the number that it chooses by."""


def steps(*names: str) -> st.SearchStrategy[list[Step]]:
    """What other threads do while a transaction is written."""
    return st.lists(st.tuples(st.sampled_from(names), st.integers(0, 1000)), max_size=6)


def _open_quickly(path: Path, *, durable: bool, read_only: bool = False) -> Database:  # noqa: ARG001 - as the real one
    return open_database(path, durable=False, read_only=read_only)


class _InTheMidst:
    """Attached last: when it is asked for its rows the others have handed over theirs, and none is durable."""

    def __init__(self) -> None:
        self.act: Callable[[], None] = lambda: None

    def changes(self) -> list[Statement]:
        self.act()
        return []

    def committed(self) -> None:
        pass


class JobMachine(RuleBasedStateMachine):
    """Opens the job file; a subclass makes its models in ``attach`` and remembers moments in ``note``."""

    limits: tuple[tuple[object, str, int], ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self._patches = pytest.MonkeyPatch()
        for module, name, value in self.limits:
            self._patches.setattr(module, name, value)
        # Processes crash here, not machines: without fsync this takes a tenth of the time.
        self._patches.setattr(job_database_module, "open_database", _open_quickly)
        self._directory = tempfile.TemporaryDirectory()
        self.job = self._open()
        self.attach(self.job)
        self._watch()

    def attach(self, job: JobDatabase) -> None:
        """Make the models."""
        raise NotImplementedError

    def note(self) -> None:
        """Remember this moment: the commit that is under way makes it durable."""
        raise NotImplementedError

    def commit_while(self, others: Sequence[Step] = ()) -> None:
        """Commit; ``others`` happen while the transaction is being written."""

        def act() -> None:
            self.note()
            for name, number in others:
                getattr(self, name)(number)

        self._midst.act = act
        self.job.commit()

    def reopen(self) -> None:
        """Crash: lose what was not committed, and make the models anew."""
        self.job.close()
        self.job = self._open()
        self.attach(self.job)
        self._watch()

    def teardown(self) -> None:
        """Leave nothing behind."""
        try:
            self.check_at_the_end()
        finally:
            self.job.close()
            self._directory.cleanup()
            self._patches.undo()

    def check_at_the_end(self) -> None:
        """Bring the job to its end and look at what is left."""

    def _open(self) -> JobDatabase:
        return open_job_database(Path(self._directory.name) / "a.job")

    def _watch(self) -> None:
        self._midst = _InTheMidst()
        self.job.attach(self._midst)
