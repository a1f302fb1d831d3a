"""What the master of a check does with what becomes of its tasks, decided without any worker."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

import pytest

from argosy.engine.interface import Event, Task, TaskComplete, TaskFailed, TaskLapsed, TaskProgress
from argosy.errors import Interrupted
from argosy.operations.blob_tables import split_ids
from argosy.operations.check import coordinator as coordinator_module
from argosy.operations.check.coordinator import Coordinator
from argosy.operations.check.messages import (
    PackRead,
    PacksRead,
    PackWork,
    TreeFound,
    TreesFound,
    TreeWork,
    decode_work,
    encode,
)
from argosy.operations.check.options import CheckObserver, CheckResult, Part, Problem
from argosy.operations.check.walk import TreeWalk
from argosy.repository.blob_location import Location
from argosy.repository.snapshots import StoredSnapshot
from argosy.restic_format.node import encode_metadata, finish_directory, finish_file
from argosy.restic_format.snapshot import Snapshot
from argosy.restic_format.tree import encode_tree
from tests.support.scripted_engine import MEMBER, WORKER, ScriptedEngine

PLACE = Location(b"\7" * 32, 0, 100, 0)


class Blobs:
    """Knows trees and data by id."""

    def __init__(self, trees: dict[bytes, bytes], data: frozenset[bytes] = frozenset()) -> None:
        self.trees = trees
        self.data = data

    def add(self, pack_no: int, header: bytes) -> None:
        pass

    def missing(self, data_ids: bytes) -> list[bytes]:
        return [identity for identity in split_ids(data_ids) if identity not in self.data]

    def find_tree(self, tree_id: bytes) -> list[Location]:
        return [PLACE] if tree_id in self.trees else []

    def missing_trees(self, tree_ids: bytes) -> list[bytes]:
        return [tree_id for tree_id in split_ids(tree_ids) if tree_id not in self.trees]

    def find_trees(self, tree_ids: Sequence[bytes]) -> list[list[Location]]:
        return [self.find_tree(tree_id) for tree_id in tree_ids]


class Run:
    """A coordinator on a scripted engine, and what came of it."""

    def __init__(
        self, answer: Callable[[Task], Sequence[Event]], blobs: Blobs | None = None, *, complete: bool = True
    ) -> None:
        self.problems: list[Problem] = []
        self.result = CheckResult()
        self.engine = ScriptedEngine(answer)
        self.observer = CheckObserver()
        self.settled: list[int] = []
        self.coordinator = Coordinator(self.engine, self.observer, self.result, self.problems.append)
        self.blobs = blobs or Blobs({})
        self.walk = TreeWalk(
            self.blobs, lambda tree_id: (self.blobs.trees[tree_id],), self.problems.append, complete=complete
        )

    def go(self, packs: Sequence[PackWork] = (), roots: Sequence[bytes] = ()) -> list[str]:
        for root in roots:
            snapshot = Snapshot("2020-01-01T00:00:00Z", root, ["/"])
            self.walk.add_snapshot(StoredSnapshot(b"\5" * 32, snapshot))
        self.coordinator.run(self.walk, iter(packs), lambda: self.settled.append(len(self.engine.offered)))
        return [problem.message for problem in self.problems]


def pack_work(number: int) -> PackWork:
    return PackWork([(bytes([number]) * 32, 1000, b"header")])


def done(task: Task, message: PacksRead | TreesFound) -> TaskComplete:
    return TaskComplete(task.id, task.attempt, MEMBER, WORKER, encode(message))


def reads_well(task: Task) -> list[Event]:
    work = decode_work(task.payload)
    assert isinstance(work, PackWork)
    return [done(task, PacksRead([PackRead(pack_id, size) for pack_id, size, _ in work.packs]))]


def test_every_pack_is_offered_and_counted() -> None:
    run = Run(reads_well)
    assert run.go([pack_work(number) for number in range(20)]) == []
    assert (run.result.packs_read, run.result.bytes_read, len(run.engine.offered)) == (20, 20_000, 20)


def test_damage_is_told_by_its_part() -> None:
    def answer(task: Task) -> list[Event]:
        reads = [
            PackRead(b"\1" * 32, 1, damage=["one", "two"]),
            PackRead(b"\2" * 32, 1, index=["listed wrongly"]),
            PackRead(b"\3" * 32, 1, unread="no answer"),
        ]
        return [done(task, PacksRead(reads))]

    run = Run(answer)
    run.go([pack_work(1)])
    told = [(problem.part, problem.identity) for problem in run.problems]
    # A pack that could not be read is not called damaged: to repair it would throw it away.
    assert told == [(Part.PACK, b"\1" * 32)] * 2 + [(Part.INDEX, b"\2" * 32), (Part.PACK, b"")]


@pytest.mark.parametrize("raised", [False, True])
def test_what_fails_again_and_again_is_named_and_the_rest_goes_on(raised: bool) -> None:
    def answer(task: Task) -> list[Event]:
        work = decode_work(task.payload)
        assert isinstance(work, PackWork)
        if work.packs[0][0][0] != 3:
            return reads_well(task)
        if raised:
            return [TaskFailed(task.id, task.attempt, MEMBER, WORKER, b"MemoryError", raised=True)]
        return [TaskLapsed(task.id, task.attempt, MEMBER, WORKER, "MemoryError", taken=True)]

    run = Run(answer)
    (told,) = run.go([pack_work(number) for number in range(5)])
    assert f"pack {'03' * 32}" in told
    assert "MemoryError" in told
    assert [task.attempt for task in run.engine.offered if task.id == 3] == [0, 1, 2]
    assert run.result.packs_read == 5


def test_a_task_that_only_waited_in_a_worker_that_died_is_no_suspect() -> None:
    def answer(task: Task) -> list[Event]:
        if task.attempt < 10:
            return [TaskLapsed(task.id, task.attempt, MEMBER, WORKER, "killed", taken=False)]
        return reads_well(task)

    run = Run(answer)
    assert run.go([pack_work(1)]) == []
    assert len(run.engine.offered) == 11


def test_trees_come_before_packs_and_each_once() -> None:
    leaf = encode_tree([])
    leaf_id = hashlib.sha256(leaf).digest()
    start = encode_metadata(b"d", "dir", 1 << 31, 0, 0, 0, 0, 0, "", "", 0, 0, 0, 1)
    other = encode_metadata(b"e", "dir", 1 << 31, 0, 0, 0, 0, 0, "", "", 0, 0, 0, 1)
    root = encode_tree([finish_directory(start, leaf_id), finish_directory(other, leaf_id)])
    root_id = hashlib.sha256(root).digest()
    looked: list[bytes] = []

    def answer(task: Task) -> list[Event]:
        work = decode_work(task.payload)
        if isinstance(work, PackWork):
            return reads_well(task)
        assert isinstance(work, TreeWork)
        looked.extend(tree_id for tree_id, _ in work.trees)
        subtrees = {root_id: leaf_id * 2, leaf_id: b""}
        found = [TreeFound(tree_id, subtrees=subtrees[tree_id]) for tree_id, _ in work.trees]
        # The first of a large tree's findings come before the end.
        part = TaskProgress(task.id, task.attempt, MEMBER, WORKER, encode(TreesFound(found)))
        return [part, done(task, TreesFound([]))]

    run = Run(answer, Blobs({leaf_id: leaf, root_id: root}))
    assert run.go([pack_work(1)], roots=[root_id, root_id]) == []
    assert looked == [root_id, leaf_id]
    assert isinstance(decode_work(run.engine.offered[0].payload), TreeWork)
    assert run.result.trees == 2


def test_what_no_index_lists_is_named_with_its_path() -> None:
    start = encode_metadata(b"hollow", "file", 0, 0, 0, 0, 0, 0, "", "", 0, 0, 0, 1)
    directory = encode_metadata(b"in", "dir", 1 << 31, 0, 0, 0, 0, 0, "", "", 0, 0, 0, 1)
    leaf = encode_tree([finish_file(start, [b"\1" * 32, b"\2" * 32])])
    leaf_id = hashlib.sha256(leaf).digest()
    root = encode_tree([finish_directory(directory, leaf_id)])
    root_id = hashlib.sha256(root).digest()
    found = {
        root_id: TreeFound(root_id, subtrees=leaf_id),
        leaf_id: TreeFound(leaf_id, contents=b"\1" * 32 + b"\2" * 32, subtrees=b"\3" * 32),
    }

    def answer(task: Task) -> list[Event]:
        work = decode_work(task.payload)
        assert isinstance(work, TreeWork)
        return [done(task, TreesFound([found[tree_id] for tree_id, _ in work.trees]))]

    blobs = Blobs({leaf_id: leaf, root_id: root}, frozenset([b"\1" * 32]))
    run = Run(answer, blobs)
    told = run.go(roots=[root_id, b"\4" * 32])
    assert f'tree {leaf_id.hex()} ("/in"): file "hollow" needs blob {"02" * 32}, which is in no index' in told
    assert any(f"tree {'03' * 32}" in line for line in told)
    assert any(f"tree {'04' * 32}" in line and f"snapshot {'05' * 32} needs it" in line for line in told)
    assert len(told) == 3
    # Where an index could not be read, the blob may be in that one.
    unknown = Run(answer, blobs, complete=False)
    assert unknown.go(roots=[root_id, b"\4" * 32]) == []
    assert unknown.walk.not_looked_at == 3


def test_trees_that_cannot_be_looked_at_are_named() -> None:
    def answer(task: Task) -> list[Event]:
        return [TaskLapsed(task.id, task.attempt, MEMBER, WORKER, "killed", taken=True)]

    run = Run(answer, Blobs({b"\1" * 32: b""}))
    (told,) = run.go(roots=[b"\1" * 32])
    assert told.startswith(f"tree {'01' * 32}")
    assert "killed" in told


def test_it_stops_on_request_with_work_left() -> None:
    run = Run(reads_well)
    run.observer.stop_requested = lambda: run.result.packs_read > 3

    def endless() -> Iterator[PackWork]:
        while True:
            yield pack_work(1)

    with pytest.raises(Interrupted):
        run.coordinator.run(run.walk, endless(), lambda: None)


def test_what_there_is_to_wait_for_is_done_once_while_the_workers_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinator_module, "_LOOK_SECONDS", 0.0)
    run = Run(reads_well)
    run.go([pack_work(number) for number in range(9)])
    (offered,) = run.settled
    assert 0 < offered < 9


def test_what_there_is_to_wait_for_is_done_at_the_end_of_a_short_check() -> None:
    idle = Run(reads_well)
    idle.go()
    assert idle.settled == [0]


def test_what_a_lost_member_held_is_offered_again_once_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a cluster's engine the member's part of the window is lost with it."""

    def answer(task: Task) -> list[Event]:
        if task.attempt:
            return reads_well(task)
        return [TaskLapsed(task.id, task.attempt, MEMBER, WORKER, "was silent", taken=False)]

    run = Run(answer)
    wanted, events, offer = run.engine.wanted, run.engine.events, run.engine.offer
    turns: list[int] = []

    def room() -> int:
        return 0 if len(turns) == 1 else wanted()

    def turn(timeout_seconds: float) -> Sequence[Event]:
        turns.append(1)
        return events(timeout_seconds)

    def offer_if_wanted(task: Task) -> None:
        assert room() > 0
        offer(task)

    monkeypatch.setattr(run.engine, "wanted", room)
    monkeypatch.setattr(run.engine, "events", turn)
    monkeypatch.setattr(run.engine, "offer", offer_if_wanted)
    assert run.go([pack_work(1)]) == []
    assert (run.result.packs_read, [task.attempt for task in run.engine.offered]) == (1, [0, 1])


def test_a_window_that_is_full_of_finished_tasks_is_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task is complete before its place in a cluster's window is known to be free."""
    run = Run(reads_well)
    wanted, events = run.engine.wanted, run.engine.events
    turns: list[int] = []

    def turn(timeout_seconds: float) -> Sequence[Event]:
        turns.append(1)
        return events(timeout_seconds)

    monkeypatch.setattr(run.engine, "wanted", lambda: 0 if len(turns) % 2 else wanted())
    monkeypatch.setattr(run.engine, "events", turn)
    assert run.go([pack_work(number) for number in range(20)]) == []
    assert run.result.packs_read == 20
