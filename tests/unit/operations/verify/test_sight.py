"""What a member misses counts only where the master misses it, too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.engine.interface import Event, Member, Task, TaskComplete, TaskFailed
from argosy.errors import SourceGone
from argosy.operations.verify.coordinator import Coordinator
from argosy.operations.verify.messages import (
    CHANGED,
    MISSING_IN_SNAPSHOT,
    MISSING_IN_SOURCE,
    UNREADABLE,
    Difference,
    Outcome,
    Part,
    VerifyWork,
    encode,
)
from argosy.operations.verify.options import VerifyObserver, VerifyResult
from argosy.operations.verify.sight import SourceView
from argosy.repository.snapshots import StoredSnapshot
from argosy.restic_format.snapshot import Snapshot
from argosy.restorer.messages import worker_error
from tests.support.scripted_engine import MEMBER, WORKER, ScriptedEngine

OTHER = "other"
GONE = SourceGone("/source went away while it was compared", hint="Check that it is mounted.")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.mkdir()
    (path / "file").touch()
    return path


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (Difference(b"file", MISSING_IN_SOURCE), "it does not see"),
        (Difference(b"file", UNREADABLE, reason="Permission denied"), "it cannot read"),
        (Difference(b"nothing", MISSING_IN_SOURCE), ""),
        (Difference(b"nothing", UNREADABLE, reason="Permission denied"), ""),
        (Difference(b"file", CHANGED), ""),
        (Difference(b"file", MISSING_IN_SNAPSHOT), ""),
    ],
)
def test_what_the_master_has_contradicts_a_member(source: Path, difference: Difference, words: str) -> None:
    found = SourceView(os.fsencode(source)).contradiction(Outcome(differences=[difference]))
    assert found.startswith(words)
    assert bool(found) == bool(words)


class TwoMembers(ScriptedEngine):
    """Tasks are done by the first one that is there."""

    def __init__(self, bad: Event) -> None:
        super().__init__(self._by_whom)
        self.there = [MEMBER, OTHER]
        self.bad = bad

    def _by_whom(self, task: Task) -> list[Event]:
        good = TaskComplete(task.id, task.attempt, OTHER, WORKER, encode(Outcome(files=1, elsewhere=True)))
        return [self.bad if self.there[0] == MEMBER else good]

    def members(self) -> list[Member]:
        return [Member(name, "host", 1, (), 0.0, 0.0) for name in self.there]

    def expel(self, member: str, reason: str) -> None:
        self.there.remove(member)
        assert reason


def run(engine: TwoMembers, source: Path) -> VerifyResult:
    result = VerifyResult(StoredSnapshot(bytes(32), Snapshot(time="", tree=bytes(32), paths=[])), "")
    view = SourceView(os.fsencode(source))
    coordinator = Coordinator(engine, VerifyObserver(), result, lambda _: None, view)
    coordinator.run(iter([VerifyWork([Part(b"", b"", b"", b"", {}, [])])]), lambda: None)
    return result


MISSED = Outcome(files=1, differences=[Difference(b"file", MISSING_IN_SOURCE)], elsewhere=True)


@pytest.mark.parametrize(
    "bad",
    [
        TaskFailed(0, 0, MEMBER, WORKER, worker_error(GONE), raised=False),
        TaskComplete(0, 0, MEMBER, WORKER, encode(MISSED)),
    ],
)
def test_a_comparison_goes_on_without_a_member_that_has_lost_the_source(source: Path, bad: Event) -> None:
    result = run(TwoMembers(bad), source)
    assert (result.files, result.exit_code) == (1, 0)


def test_a_source_that_the_master_has_lost_ends_it(source: Path, tmp_path: Path) -> None:
    engine = TwoMembers(TaskFailed(0, 0, MEMBER, WORKER, worker_error(GONE), raised=False))
    view = SourceView(os.fsencode(source))
    source.rename(tmp_path / "elsewhere")
    with pytest.raises(SourceGone, match="went away"):
        view.check()
    source.mkdir()
    with pytest.raises(SourceGone, match="went away"):
        view.check()
    engine.there.remove(OTHER)
    with pytest.raises(SourceGone, match="/source went away"):
        run(engine, source)
