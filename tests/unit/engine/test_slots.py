"""Which worker gets which task, decided without a process."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from argosy.engine.interface import Task
from argosy.engine.slots import Flush, Instruction, Lapse, Recall, Send, Slots, Spawn
from argosy.errors import EngineError


def task(task_id: int, attempt: int = 1) -> Task:
    return Task(task_id, attempt, b"")


def with_ready_workers(count: int) -> Slots:
    """Slots whose workers 1 … ``count`` are ready and have nothing to do."""
    slots = Slots(count)
    for number in range(count):
        slots.offer(task(1000 + number))
    slots.plan(may_spawn=True)
    for number in range(1, count + 1):
        slots.ready(number)
    for instruction in slots.plan(may_spawn=True):
        assert isinstance(instruction, Send)
        slots.taken(instruction.worker, instruction.task.id, 1)
        assert slots.settle(instruction.worker, instruction.task.id, 1)
        slots.returned(instruction.worker, instruction.task.id, 1)
    return slots


def offer(slots: Slots, *task_ids: int) -> list[Instruction]:
    """Offer all, then plan."""
    for task_id in task_ids:
        slots.offer(task(task_id))
    return slots.plan(may_spawn=True)


def test_workers_start_for_the_tasks_that_are_there() -> None:
    slots = Slots(4)
    assert slots.plan(may_spawn=True) == []
    assert offer(slots, 0, 1) == [Spawn(1), Spawn(2)]
    assert slots.plan(may_spawn=True) == []
    assert offer(slots, 2, 3, 4) == [Spawn(3), Spawn(4)]


def test_no_worker_starts_while_one_is_idle() -> None:
    slots = Slots(2)
    offer(slots, 0)
    slots.ready(1)
    assert slots.plan(may_spawn=True) == [Send(1, task(0))]
    slots.returned(1, 0, 1)
    assert offer(slots, 1) == [Send(1, task(1))]


def test_no_worker_starts_in_a_pause() -> None:
    slots = Slots(2)
    slots.offer(task(0))
    assert slots.plan(may_spawn=False) == []
    assert slots.plan(may_spawn=True) == [Spawn(1)]


def test_the_lowest_id_goes_first() -> None:
    slots = Slots(1)
    slots.offer(task(9))
    slots.offer(task(3))
    slots.plan(may_spawn=True)
    slots.ready(1)
    assert slots.plan(may_spawn=True) == [Send(1, task(3)), Send(1, task(9))]


def test_first_slots_are_filled_before_second_ones() -> None:
    slots = with_ready_workers(2)
    assert offer(slots, 0, 1, 2, 3) == [
        Send(1, task(0)),
        Send(2, task(1)),
        Send(1, task(2)),
        Send(2, task(3)),
    ]


def test_the_lowest_ids_are_kept_for_workers_that_start() -> None:
    slots = Slots(2)
    offer(slots, 0)
    slots.ready(1)
    assert slots.plan(may_spawn=True) == [Send(1, task(0))]
    assert offer(slots, 1, 2) == [Send(1, task(2)), Spawn(2)]
    slots.ready(2)
    assert slots.plan(may_spawn=True) == [Send(2, task(1))]


def test_the_window_counts_work_that_has_not_returned() -> None:
    slots = Slots(2)
    assert slots.wanted() == 4
    offer(slots, 0, 1, 2, 3)
    assert slots.wanted() == 0
    with pytest.raises(EngineError, match="wants none"):
        slots.offer(task(4))
    slots.ready(1)
    slots.plan(may_spawn=True)
    slots.taken(1, 0, 1)
    assert slots.settle(1, 0, 1)
    assert slots.wanted() == 0
    slots.returned(1, 0, 1)
    assert slots.wanted() == 1


def test_a_task_is_held_until_it_is_settled() -> None:
    slots = with_ready_workers(1)
    offer(slots, 0, 1)
    slots.taken(1, 0, 1)
    slots.returned(1, 0, 1)
    assert slots.holding(1) == (0, 1)
    assert slots.is_held(1, 0, 1)
    assert not slots.is_held(1, 0, 2)
    assert not slots.settle(1, 0, 2)
    assert slots.settle(1, 0, 1)
    assert not slots.settle(1, 0, 1)
    assert slots.holding(1) == (1,)


def test_all_that_a_dead_worker_holds_lapses_and_its_slots_are_free() -> None:
    slots = with_ready_workers(1)
    offer(slots, 0, 1)
    slots.taken(1, 0, 1)
    slots.returned(1, 0, 1)
    offer(slots, 2)
    assert slots.gone(1) == [Lapse(0, 1, taken=True), Lapse(1, 1, taken=False), Lapse(2, 1, taken=False)]
    assert slots.wanted() == 2
    assert slots.ready_count() == 0
    assert slots.plan(may_spawn=True) == []


def test_a_worker_that_dies_at_start_holds_nothing() -> None:
    slots = Slots(1)
    offer(slots, 0)
    assert slots.gone(1) == []
    assert slots.plan(may_spawn=True) == [Spawn(2)]


def test_a_settled_task_may_be_offered_again_before_its_work_returned() -> None:
    slots = with_ready_workers(1)
    offer(slots, 0)
    slots.taken(1, 0, 1)
    assert slots.settle(1, 0, 1)
    slots.offer(task(0, attempt=2))
    assert slots.plan(may_spawn=True) == [Send(1, task(0, attempt=2))]
    slots.returned(1, 0, 1)
    slots.taken(1, 0, 2)
    assert slots.is_held(1, 0, 2)


@pytest.mark.parametrize("is_ready", [False, True])
def test_a_task_in_the_engine_is_refused(is_ready: bool) -> None:
    slots = Slots(2)
    offer(slots, 0)
    if is_ready:
        slots.ready(1)
        slots.plan(may_spawn=True)
    with pytest.raises(EngineError, match="task 0"):
        slots.offer(task(0, attempt=2))


def test_a_word_on_a_task_that_was_not_given_is_an_error() -> None:
    slots = with_ready_workers(1)
    with pytest.raises(EngineError, match="task 5"):
        slots.taken(1, 5, 1)
    with pytest.raises(EngineError, match="task 5"):
        slots.returned(1, 5, 1)
    with pytest.raises(EngineError, match="task 5"):
        slots.given_back(1, 5, 1)


class TestRecall:
    def test_the_lowest_waiting_task_is_recalled_for_an_idle_worker(self) -> None:
        slots = with_ready_workers(3)
        offer(slots, 0, 1, 2, 3, 4)
        slots.returned(3, 2, 1)
        assert slots.plan_recalls() == [Recall(1, 3, 1)]
        assert slots.plan_recalls() == []
        slots.given_back(1, 3, 1)
        assert slots.plan(may_spawn=True) == [Send(3, task(3))]
        assert slots.holding(1) == (0,)

    def test_nothing_is_recalled_while_something_is_pending(self) -> None:
        slots = with_ready_workers(2)
        offer(slots, 0, 1, 2)
        slots.returned(2, 1, 1)
        slots.offer(task(3))
        assert slots.plan_recalls() == []

    def test_a_recall_that_came_too_late_leaves_room_for_the_next(self) -> None:
        slots = with_ready_workers(3)
        offer(slots, 0, 1, 2, 3, 4)
        slots.returned(3, 2, 1)
        assert slots.plan_recalls() == [Recall(1, 3, 1)]
        slots.taken(1, 0, 1)
        slots.returned(1, 0, 1)
        slots.taken(1, 3, 1)
        assert slots.plan_recalls() == [Recall(2, 4, 1)]


class TestFlush:
    def test_every_ready_worker_is_flushed(self) -> None:
        slots = with_ready_workers(2)
        assert slots.flush() == [Flush(1), Flush(2)]

    def test_a_task_that_waits_for_a_worker_is_flushed_behind(self) -> None:
        slots = Slots(1)
        offer(slots, 0)
        assert slots.flush() == []
        slots.ready(1)
        assert slots.plan(may_spawn=True) == [Send(1, task(0)), Flush(1)]

    def test_a_recalled_task_is_flushed_behind_at_its_new_worker(self) -> None:
        slots = with_ready_workers(2)
        offer(slots, 0, 1, 2)
        slots.flush()
        slots.returned(2, 1, 1)
        slots.plan_recalls()
        slots.given_back(1, 2, 1)
        assert slots.plan(may_spawn=True) == [Send(2, task(2)), Flush(2)]

    def test_tasks_offered_later_are_not(self) -> None:
        slots = with_ready_workers(1)
        slots.flush()
        assert offer(slots, 0) == [Send(1, task(0))]


class SlotsModel(RuleBasedStateMachine):
    """Random lives of tasks and workers; every task is in one place and ends once."""

    def __init__(self) -> None:
        super().__init__()
        self.slots = Slots(3)
        self.next_id = 0
        self.open: set[int] = set()
        self.queues: dict[int, list[int]] = {}
        self.working: dict[int, int] = {}
        self.starting: set[int] = set()
        self.recalls: list[Recall] = []

    @precondition(lambda self: self.slots.wanted() > 0)
    @rule()
    def offer(self) -> None:
        self.slots.offer(task(self.next_id))
        self.open.add(self.next_id)
        self.next_id += 1

    @rule()
    def plan(self) -> None:
        for instruction in self.slots.plan(may_spawn=True):
            match instruction:
                case Spawn(worker):
                    self.starting.add(worker)
                case Send(worker, sent):
                    self.queues[worker].append(sent.id)
                case _:
                    raise AssertionError(instruction)

    @rule()
    def recall(self) -> None:
        for instruction in self.slots.plan_recalls():
            assert isinstance(instruction, Recall)
            self.recalls.append(instruction)

    @precondition(lambda self: self.starting)
    @rule(data=st.data())
    def ready(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.starting)))
        self.starting.remove(worker)
        self.queues[worker] = []
        self.slots.ready(worker)

    @precondition(lambda self: any(self.queues.values()))
    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from([number for number, queue in self.queues.items() if queue]))
        if worker not in self.working:
            self.working[worker] = self.queues[worker].pop(0)
            self.slots.taken(worker, self.working[worker], 1)

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def finish_work(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.working)))
        self.slots.returned(worker, self.working.pop(worker), 1)

    @precondition(lambda self: self.recalls)
    @rule()
    def answer_recall(self) -> None:
        recall = self.recalls.pop(0)
        if recall.task_id in self.queues.get(recall.worker, []):
            self.queues[recall.worker].remove(recall.task_id)
            self.slots.given_back(recall.worker, recall.task_id, 1)

    @precondition(lambda self: self.queues)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.queues)))
        begun = [task_id for task_id in self.slots.holding(worker) if task_id not in self.queues[worker]]
        if begun:
            assert self.slots.settle(worker, begun[0], 1)
            self.open.remove(begun[0])

    @precondition(lambda self: self.queues)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.queues)))
        queue = self.queues.pop(worker)
        self.working.pop(worker, None)
        lapses = self.slots.gone(worker)
        assert [lapse.task_id for lapse in lapses if not lapse.taken] == sorted(queue)
        for lapse in lapses:
            self.open.remove(lapse.task_id)

    @invariant()
    def every_task_is_in_one_place(self) -> None:
        held = [task_id for worker in self.queues for task_id in self.slots.holding(worker)]
        assert len(held) == len(set(held))
        assert set(held) <= self.open
        in_slots = sum(map(len, self.queues.values())) + len(self.working)
        pending = len(self.open) - len(held)
        assert self.slots.wanted() == 6 - in_slots - pending
        assert 0 <= self.slots.wanted() <= 6
        assert len(self.queues) + len(self.starting) <= 3
        assert all(len(queue) <= 2 for queue in self.queues.values())


TestSlotsModel = SlotsModel.TestCase
TestSlotsModel.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


class TestWithdrawal:
    """Taking a task out of one member, for another."""

    def test_a_pending_task_leaves_at_once(self) -> None:
        slots = Slots(1)
        slots.offer(Task(0, 1, b""))
        assert slots.withdraw(0, 1) == []
        assert slots.take_withdrawn() == [(0, 1)]
        assert slots.take_withdrawn() == []
        assert slots.wanted() == 2
        assert slots.plan(may_spawn=True) == []

    def test_one_that_waits_at_a_worker_leaves_when_it_is_given_back(self) -> None:
        slots = Slots(1)
        for number in range(2):
            slots.offer(Task(number, 1, b""))
        slots.plan(may_spawn=True)
        slots.ready(1)
        slots.plan(may_spawn=True)
        slots.plan(may_spawn=True)
        slots.taken(1, 0, 1)
        assert slots.withdraw(1, 1) == [Recall(1, 1, 1)]
        slots.given_back(1, 1, 1)
        assert slots.take_withdrawn() == [(1, 1)]
        assert slots.holding(1) == (0,)
        assert slots.plan(may_spawn=True) == []

    def test_one_that_has_begun_stays(self) -> None:
        slots = Slots(1)
        slots.offer(Task(0, 1, b""))
        slots.plan(may_spawn=True)
        slots.ready(1)
        slots.plan(may_spawn=True)
        slots.taken(1, 0, 1)
        assert slots.withdraw(0, 1) == []
        assert slots.withdraw(77, 1) == []
        slots.returned(1, 0, 1)
        assert slots.settle(1, 0, 1)
        assert slots.take_withdrawn() == []
