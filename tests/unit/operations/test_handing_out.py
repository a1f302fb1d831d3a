"""Which batches an engine is offered, and when: with a ledger, and doubles of engine and scan."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from argosy.archiver.ledger import Ledger
from argosy.archiver.messages import BatchResult, DirectoryPart
from argosy.archiver.open_batch import BatchLimits, OpenBatch
from argosy.archiver.scan import Scanner
from argosy.archiver.twins import LARGE_BYTES
from argosy.engine.interface import Engine, Member, Task, WorkerState
from argosy.filesystem.directory import Entry
from argosy.filesystem.metadata import OwnerNames
from argosy.operations.backup import handing_out as handing_out_module
from argosy.operations.backup.handing_out import HandingOut, batch_of
from argosy.state.assemblies import Assembly
from argosy.state.frontier import ScanDirectory
from argosy.state.job_database import open_job_database


@dataclass
class Offered:
    """An engine that takes what it is offered, and a scan that has ended."""

    is_spread: bool = True
    done: bool = True
    window: int = 4
    tasks: list[Task] = field(default_factory=list)
    flushes: int = 0
    there: tuple[Member, ...] = ()

    def wanted(self) -> int:
        return self.window - len(self.tasks)

    def offer(self, task: Task) -> None:
        self.tasks.append(task)

    def members(self) -> tuple[Member, ...]:
        return self.there

    def flush(self) -> None:
        self.flushes += 1


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A job with three batches: the first two hold the same file, the third another one of that size."""
    job = open_job_database(tmp_path / "a.job")
    ledger = Ledger(job, [], OwnerNames())
    ledger.assemblies.open(Assembly(ledger.frontier.new_id(), 0, b""))
    same, other = os.urandom(LARGE_BYTES), os.urandom(LARGE_BYTES)
    for name, content in (("one", same), ("two", same), ("three", other)):
        seal(ledger, tmp_path / name, content)
    job.commit()
    yield ledger
    job.close()


def seal(ledger: Ledger, directory: Path, content: bytes) -> None:
    directory.mkdir()
    (directory / "file").write_bytes(content)
    found = ScanDirectory(ledger.frontier.new_id(), 1, os.fsencode(directory.name), os.fsencode(directory), None)
    ledger.assemblies.expect(1, 1)
    ledger.frontier.add([found])
    assert ledger.frontier.take(0) is found
    stat = os.stat(directory / "file")
    part = DirectoryPart(found.id, 1, found.name, found.path, b"", stat.st_dev, whole=True)
    batch = OpenBatch(BatchLimits())
    batch.parts.append(part)
    batch.add(part, Entry(b"file", stat))
    batch.ended.append(found)
    ledger.seal(batch, None)


def handing_out(ledger: Ledger, offered: Offered, now_seconds: Callable[[], float] = time.monotonic) -> HandingOut:
    return HandingOut(
        ledger, cast("Engine", offered), cast("Scanner", offered), after_scan=False, now_seconds=now_seconds
    )


def complete(ledger: Ledger, subject: HandingOut, task: Task) -> None:
    batch = ledger.queue.find(task.id)
    assert batch is not None
    assert ledger.queue.complete(task.id, task.attempt)
    subject.completed(batch, BatchResult([], [], [], []))


def ids(offered: Offered) -> list[int]:
    return [task.id for task in offered.tasks]


def test_a_twin_waits_until_what_it_holds_is_stored_and_told(ledger: Ledger) -> None:
    """Others go before it; and since it waits for them, workers store what they have."""
    offered = Offered()
    subject = handing_out(ledger, offered)
    subject.offer()
    assert ids(offered) == [1, 3]
    assert offered.flushes == 1
    complete(ledger, subject, offered.tasks.pop(0))
    subject.offer()
    assert ids(offered) == [3]
    subject.told()
    subject.offer()
    assert ids(offered) == [3, 2]


def test_the_first_of_two_twins_goes_first_again_when_it_was_lost(ledger: Ledger) -> None:
    offered = Offered()
    subject = handing_out(ledger, offered)
    subject.offer()
    lost = offered.tasks.pop(0)
    ledger.queue.give_back(lost.id, lost.attempt)
    subject.given_back(lost.id)
    subject.offer()
    assert ids(offered) == [3, 1]


def test_on_one_machine_batches_go_in_order(ledger: Ledger) -> None:
    offered = Offered(is_spread=False)
    handing_out(ledger, offered).offer()
    assert ids(offered) == [1, 2, 3]


class TestBatchesThatTakeLong:
    """The second and third batch were handed out, and much time has passed since."""

    @pytest.fixture(autouse=True)
    def begin(self, ledger: Ledger) -> None:
        self.now_seconds = 0.0
        self.ledger = ledger
        self.offered = Offered(window=20)
        self.subject = handing_out(ledger, self.offered, lambda: self.now_seconds)
        self.subject.offer()
        first = self.offered.tasks[0]
        self.subject.taken(first.id)
        self.now_seconds = 1.0
        complete(ledger, self.subject, first)
        self.subject.told()
        self.subject.offer()
        assert ids(self.offered) == [1, 3, 2]
        self.offered.tasks.clear()
        self.now_seconds = 1e6

    def offer(self, *members: Member) -> list[tuple[int, tuple[str, ...]]]:
        """Which batches are handed out again, and to whom not."""
        self.offered.there = members
        self.subject.offer()
        found = [(batch_of(task.id), task.avoid) for task in self.offered.tasks]
        self.offered.tasks.clear()
        return found

    def test_one_that_waits_behind_others_is_kept_from_where_it_waits(self) -> None:
        """Where a worker hangs nobody says that it has begun what came last: it is known to be there all the same."""
        assert self.offer(member("a", waiting=(3,)), member("b")) == [(3, ("a",))]
        assert self.offer(member("a", waiting=(3,)), member("b")) == []

    def test_one_that_is_with_nobody_is_not_handed_out_again(self) -> None:
        assert self.offer(member("a"), member("b")) == []
        assert self.offer(member("a", holding=(2,)), member("b")) == [(2, ("a",))]

    def test_no_slow_member_gets_what_another_slow_one_holds_up(self) -> None:
        """Both may hang, and then nothing would ever come of it."""
        both = [(2, ("a", "b")), (3, ("a", "b"))]
        assert sorted(self.offer(member("a", holding=(2,)), member("b", waiting=(3,)), member("c"))) == both

    def test_who_still_holds_what_another_has_completed_is_slow(self) -> None:
        assert self.offer(member("a", holding=(1,)), member("b", holding=(2,)), member("c")) == [(2, ("a", "b"))]

    def test_a_run_that_came_to_a_slow_member_after_all_is_followed_by_another(self) -> None:
        """Who hangs, and held nothing yet, looks quick; then it is as late, and known."""
        assert self.offer(member("a", waiting=(3,)), member("b"), member("c")) == [(3, ("a",))]
        second = (handing_out_module._RUN + 3,)
        there = (member("a", waiting=(3,)), member("b", waiting=second), member("c"))
        assert self.offer(*there) == []
        self.now_seconds += 1e6
        assert self.offer(*there) == [(3, ("a", "b"))]
        self.now_seconds += 1e6
        assert self.offer(*there) == []

    def test_who_has_what_was_given_to_another_since_is_slow(self) -> None:
        assert self.offer(member("a", waiting=(3,)), member("b"), member("c")) == [(3, ("a",))]
        self.now_seconds += 1.0
        assert self.offer(member("a", waiting=(3,)), member("b", holding=(2,)), member("c")) == [(2, ("a", "b"))]

    def test_nobody_gets_a_batch_twice(self) -> None:
        assert self.offer(member("a", waiting=(3,)), member("b")) == [(3, ("a",))]
        self.now_seconds += 1e6
        assert self.offer(member("a", waiting=(3,)), member("b", waiting=(handing_out_module._RUN + 3,))) == []

    def test_where_all_are_slow_it_is_enough_that_it_is_another(self) -> None:
        found = self.offer(member("a", holding=(2,)), member("b", waiting=(3,)))
        assert sorted(found) == [(2, ("a",)), (3, ("b",))]


def member(name: str, *, holding: tuple[int, ...] = (), waiting: tuple[int, ...] = ()) -> Member:
    return Member(name, name, 1, (WorkerState(1, 2, holding),), 0.0, 0.0, waiting)
