"""What the master of a repack does with what becomes of its tasks, decided without any worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from argosy.engine.interface import Event, Member, Task, TaskComplete, TaskFailed, TaskLapsed
from argosy.errors import ArgosyError, EngineError, Interrupted, StorageFull
from argosy.operations.crew import Crew
from argosy.operations.prune import spreading
from argosy.operations.prune.messages import Repacked, RepackFailed, RepackWork, encode
from argosy.operations.prune.repacking import PackShare
from argosy.operations.prune.spreading import SizedWork, Spreading
from argosy.repository.pack_builder import BuiltPack
from argosy.restic_format.blob import BlobType
from tests.support.scripted_engine import MEMBER, WORKER, ScriptedEngine

WORKS = [
    SizedWork(RepackWork([PackShare(bytes([number]) * 32, b"header", bytearray(1))]), 100 + number)
    for number in range(9)
]
DONE = Repacked([BuiltPack(b"\7" * 32, b"new")], [(BlobType.DATA, b"\3" * 32)])


def run(answer: Callable[[Task], Sequence[Event]], stop: Callable[[], None] = lambda: None) -> list[Repacked]:
    engine = ScriptedEngine(answer)
    taken = run_on(engine, stop)
    assert len(engine.heard) == 1, "the lease is told once a minute"
    return taken


def run_on(engine: ScriptedEngine, stop: Callable[[], None] = lambda: None) -> list[Repacked]:
    taken: list[Repacked] = []
    Spreading(
        engine,
        Crew(engine, lambda _text: None),
        take=lambda done, _work: taken.append(done),
        remaining_seconds=lambda: 99.0,
        stop=stop,
        look=lambda: None,
    ).run(iter(WORKS))
    return taken


def complete(task: Task) -> list[Event]:
    return [TaskComplete(task.id, task.attempt, MEMBER, WORKER, encode(DONE))]


def lapsed(task: Task, *, taken: bool = True) -> list[Event]:
    return [TaskLapsed(task.id, task.attempt, MEMBER, WORKER, "it was killed", taken)]


def test_all_that_workers_make_is_taken() -> None:
    assert run(complete) == [DONE] * len(WORKS)


def test_the_task_of_a_worker_that_died_is_done_by_another() -> None:
    assert run(lambda task: lapsed(task) if task.attempt < 2 else complete(task)) == [DONE] * len(WORKS)


def test_a_task_that_only_waited_behind_another_is_no_suspect() -> None:
    assert len(run(lambda task: lapsed(task, taken=False) if task.attempt < 5 else complete(task))) == len(WORKS)


def test_packs_that_end_worker_after_worker_are_named() -> None:
    with pytest.raises(EngineError, match=(b"\0" * 32).hex()):
        run(lapsed)


@pytest.mark.parametrize(
    ("payload", "error", "words"),
    [
        (encode(RepackFailed.of(StorageFull("no room in r", hint="Free some."))), StorageFull, "no room in r"),
        (b"ValueError: odd", EngineError, "ValueError: odd"),
    ],
)
def test_what_a_worker_could_not_do_is_raised(payload: bytes, error: type[ArgosyError], words: str) -> None:
    with pytest.raises(error, match=words):
        run(lambda task: [TaskFailed(task.id, task.attempt, MEMBER, WORKER, payload, raised=False)])


class TwoMembers(ScriptedEngine):
    """The first one that fails is struck off."""

    def __init__(self, answer: Callable[[Task], Sequence[Event]]) -> None:
        super().__init__(answer)
        self.there = [MEMBER, "other"]
        self.expelled: list[tuple[str, str]] = []

    def members(self) -> list[Member]:
        return [Member(name, "host", 1, (), 0.0, 0.0) for name in self.there]

    def expel(self, member: str, reason: str) -> None:
        self.there.remove(member)
        self.expelled.append((member, reason))


def test_a_member_that_cannot_store_is_gone_on_without_and_the_last_one_is_not() -> None:
    full = encode(RepackFailed.of(StorageFull("no room", hint="Free some.")))

    def at_first(task: Task) -> list[Event]:
        """The tasks that it holds when it is struck off lapse, and are no suspects."""
        if task.attempt == 0 and task.id < 2:
            return [TaskFailed(task.id, task.attempt, MEMBER, WORKER, full, raised=False)]
        return lapsed(task) if task.attempt < 3 and task.id == 2 else complete(task)

    engine = TwoMembers(at_first)
    assert run_on(engine) == [DONE] * len(WORKS)
    assert engine.expelled == [(MEMBER, "no room")]
    with pytest.raises(StorageFull, match="no room"):
        run_on(TwoMembers(lambda task: [TaskFailed(task.id, 0, name, 1, full, False) for name in [MEMBER, "other"]]))


def test_it_stops_when_asked() -> None:
    def stop() -> None:
        raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        run(complete, stop)


def test_the_repository_is_not_locked_for_long_while_no_member_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deserted(ScriptedEngine):
        is_spread = True

    monkeypatch.setattr(spreading, "_MEMBERLESS_SECONDS", 0.0)
    with pytest.raises(EngineError, match="no member"):
        run_on(Deserted(lambda _task: []))
