"""Handing out tasks: all of them, again where a worker died, and never for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from argosy.engine.interface import Engine, Event, Member, Task, TaskComplete, TaskFailed, TaskLapsed, TaskProgress
from argosy.errors import EngineError, Interrupted, StorageUnavailable, TargetLost
from argosy.operations.crew import Crew
from argosy.operations.restore.tasks import TaskLoop
from argosy.restorer.messages import Outcome, Part, Progress, RestoreWork, Work, decode_work, encode, worker_error

WHERE: Any = {"member": "m", "worker": 1}


class ScriptedEngine:
    """Takes two tasks at a time, and answers each by a function."""

    def __init__(self, answer: Callable[[Task], Event]) -> None:
        self._answer = answer
        self._waiting: list[Task] = []
        self.offered: list[tuple[int, int]] = []
        self.there: list[Member] = []
        self.expelled: list[tuple[str, str]] = []

    def members(self) -> list[Member]:
        return self.there

    def expel(self, member: str, reason: str) -> None:
        self.expelled.append((member, reason))

    def wanted(self) -> int:
        return 2 - len(self._waiting)

    def offer(self, task: Task) -> None:
        assert isinstance(decode_work(task.payload), RestoreWork)
        self._waiting.append(task)
        self.offered.append((task.id, task.attempt))

    def events(self, timeout_seconds: float) -> list[Event]:
        del timeout_seconds
        return [self._answer(self._waiting.pop(0))]


def loop_over(engine: ScriptedEngine, check: Callable[[], None]) -> TaskLoop:
    real = cast("Engine", engine)
    return TaskLoop(real, check, Crew(real, lambda _text: None))


def complete(task: Task) -> Event:
    return TaskComplete(task.id, task.attempt, payload=encode(Outcome(restored=task.id)), **WHERE)


def lapse(task: Task, *, taken: bool = True) -> Event:
    return TaskLapsed(task.id, task.attempt, reason="killed", taken=taken, **WHERE)


def works(count: int) -> Iterator[tuple[int, Work]]:
    for number in range(1, count + 1):
        yield number, RestoreWork([Part(number, b"path", b"")])


def run(answer: Callable[[Task], Event], count: int = 5) -> tuple[ScriptedEngine, list[tuple[int, int]]]:
    engine = ScriptedEngine(answer)
    settled: list[tuple[int, int]] = []
    work = works(count)

    def settle(number: int, work: Work, outcome: Outcome) -> None:
        assert isinstance(work, RestoreWork)
        assert work.parts[0].directory == number
        settled.append((number, outcome.restored))

    loop_over(engine, lambda: None).run(lambda: next(work, None), settle)
    return engine, settled


def test_every_task_is_settled_once() -> None:
    engine, settled = run(complete)
    assert settled == [(number, number) for number in range(1, 6)]
    assert engine.offered == [(number, 0) for number in range(1, 6)]


def test_a_task_whose_worker_died_is_tried_again_first() -> None:
    engine, settled = run(lambda task: lapse(task) if task.id == 1 and task.attempt < 2 else complete(task))
    assert sorted(settled) == [(number, number) for number in range(1, 6)]
    assert engine.offered[:4] == [(1, 0), (2, 0), (1, 1), (3, 0)]


def test_a_task_that_keeps_failing_ends_the_restore() -> None:
    """One that only waited behind another is no suspect, however often its worker dies."""
    engine, settled = run(lambda task: complete(task) if task.attempt == 9 else lapse(task, taken=False), count=1)
    assert settled == [(1, 1)]
    assert len(engine.offered) == 10
    with pytest.raises(EngineError, match="failed 3 times: killed"):
        run(lapse)
    with pytest.raises(EngineError, match="failed 3 times: bug"):
        run(lambda task: TaskFailed(task.id, task.attempt, payload=b"bug", raised=True, **WHERE))


def test_an_error_of_a_worker_is_raised_here() -> None:
    failure = worker_error(StorageUnavailable("the store is gone", hint="wait"))
    with pytest.raises(StorageUnavailable, match="the store is gone") as caught:
        run(lambda task: TaskFailed(task.id, task.attempt, payload=failure, raised=False, **WHERE))
    assert caught.value.hint == "wait"


def test_progress_counts_while_a_task_runs() -> None:
    said = iter([True, False])
    seen: list[int] = []
    engine = ScriptedEngine(complete)

    def answer(task: Task) -> Event:
        if next(said, False):
            engine._waiting.insert(0, task)
            return TaskProgress(task.id, task.attempt, payload=encode(Progress(1, 77)), **WHERE)
        return complete(task)

    engine._answer = answer
    work = works(1)
    loop = loop_over(engine, lambda: seen.append(loop.running_bytes))
    loop.run(lambda: next(work, None), lambda *_: None)
    assert seen == [0, 77]


def test_the_check_ends_the_loop() -> None:
    def check() -> None:
        raise Interrupted("stopped on request")

    work = works(3)
    with pytest.raises(Interrupted):
        loop_over(ScriptedEngine(complete), check).run(lambda: next(work, None), lambda *_: None)


def member(name: str) -> Member:
    return Member(name, "host", 7, (), 0.0, 0.0)


@pytest.mark.parametrize("others", [True, False])
def test_a_member_that_has_lost_the_target_is_gone_on_without(others: bool) -> None:
    """Alone there is nobody to go on: the restore ends with the reason."""
    lost = worker_error(TargetLost("the target /t went away: Stale file handle"))

    def answer(task: Task) -> Event:
        if task.attempt:
            return complete(task)
        return TaskFailed(task.id, task.attempt, payload=lost, raised=False, **WHERE)

    engine = ScriptedEngine(answer)
    engine.there = [member("m"), *([member("n")] if others else [])]
    work = works(1)
    loop = loop_over(engine, lambda: None)
    if others:
        loop.run(lambda: next(work, None), lambda *_: None)
        assert engine.expelled == [("m", "the target /t went away: Stale file handle")]
        assert engine.offered == [(1, 0), (1, 1)]
    else:
        with pytest.raises(TargetLost, match="Stale file handle"):
            loop.run(lambda: next(work, None), lambda *_: None)
        assert engine.expelled == []


def test_a_window_that_is_full_of_finished_tasks_is_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task is complete before its place in a cluster's window is known to be free."""
    engine = ScriptedEngine(complete)
    wanted, events = engine.wanted, engine.events
    turns: list[int] = []
    done: list[int] = []

    def turn(timeout_seconds: float) -> list[Event]:
        turns.append(1)
        found: list[Event] = []
        while engine._waiting:
            found += events(timeout_seconds)
        return found

    monkeypatch.setattr(engine, "wanted", lambda: 0 if len(turns) % 2 else wanted())
    monkeypatch.setattr(engine, "events", turn)
    work = works(9)
    loop_over(engine, lambda: None).run(lambda: next(work, None), lambda number, *_: done.append(number))
    assert len(done) == 9
