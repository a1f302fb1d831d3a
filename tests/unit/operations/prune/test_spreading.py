"""What the master of a repack does with what becomes of its tasks, decided without any worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from argosy.engine.interface import Event, Task, TaskComplete, TaskFailed, TaskLapsed
from argosy.errors import ArgosyError, EngineError, Interrupted, StorageFull
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
    taken: list[Repacked] = []
    engine = ScriptedEngine(answer)
    Spreading(
        engine,
        take=lambda done, _work: taken.append(done),
        say=lambda _text: None,
        remaining_seconds=lambda: 99.0,
        stop=stop,
        look=lambda _members: None,
    ).run(iter(WORKS))
    assert len(engine.heard) == 1, "the lease is told once a minute"
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


def test_it_stops_when_asked() -> None:
    def stop() -> None:
        raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        run(complete, stop)
