"""Which member gets which task: the state machine alone."""

from __future__ import annotations

import pytest

from argosy.engine.interface import Task, WorkerState
from argosy.engine.nats.placement import Place, Placement
from argosy.engine.nats.wire import Terms
from argosy.errors import EngineError


def placement_of(*workers: int) -> Placement:
    """Members ``m1``, ``m2`` … on links 1, 2 … with so many workers each."""
    placement = Placement()
    for number, limit in enumerate(workers, 1):
        placement.attach(Place(number, f"m{number}", "host", 1, limit))
    return placement


def offered(placement: Placement, *ids: int) -> None:
    for task_id in ids:
        placement.offer(Task(task_id, 1, b""))


def drawn(placement: Placement, link: int) -> int:
    found = placement.draw(link)
    assert found is not None
    return found[0].id


def test_the_window_is_two_tasks_a_worker_of_all_members() -> None:
    placement = placement_of(1, 2)
    offered(placement, *range(6))
    assert placement.wanted() == 0
    with pytest.raises(EngineError, match="wants none"):
        offered(placement, 7)


def test_without_members_the_window_is_that_of_one_worker() -> None:
    """An autoscaler that starts members must see that something waits."""
    placement = Placement()
    offered(placement, 0, 1)
    assert placement.wanted() == 0
    placement.attach(Place(1, "m1", "host", 1, 2))
    assert placement.wanted() == 2
    assert drawn(placement, 1) == 0


def test_the_lowest_waiting_task_is_handed_over_first() -> None:
    placement = placement_of(2, 2)
    offered(placement, 9, 3, 7)
    assert [drawn(placement, 1), drawn(placement, 2), drawn(placement, 1)] == [3, 7, 9]
    assert placement.draw(1) is None


def test_a_member_may_get_the_lowest_that_suits_it() -> None:
    placement = placement_of(1, 1)
    offered(placement, 1, 2, 3)
    assert placement.draw(1, lambda task: task.id > 1) == (Task(2, 1, b""), False)
    assert placement.draw(1, lambda _: False) is None
    assert [drawn(placement, 2), drawn(placement, 2)] == [1, 3]


def test_a_task_goes_to_the_member_that_it_avoids_only_where_there_is_no_other() -> None:
    placement = placement_of(1, 1)
    placement.offer(Task(1, 1, b"", avoid=("m1",)))
    assert placement.draw(1) is None
    placement.places[2].terms = Terms(weight=0.5)
    assert drawn(placement, 1) == 1


def test_a_task_that_avoids_all_members_goes_to_any() -> None:
    placement = placement_of(1, 1, 1)
    placement.offer(Task(1, 1, b"", avoid=("m1", "m2")))
    assert placement.draw(2) is None
    placement.detach(3)
    assert drawn(placement, 2) == 1


def test_what_no_worker_has_begun_waits_at_its_member() -> None:
    placement = placement_of(1)
    offered(placement, 1, 2)
    assert [drawn(placement, 1), drawn(placement, 1)] == [1, 2]
    placement.crew(1, [(1, 77)])
    placement.taken(1, 1, 1, 1)
    place = placement.places[1]
    assert (place.workers(), place.waiting()) == ((WorkerState(1, 77, (1,)),), (2,))


def test_a_task_leaves_the_window_when_its_work_has_returned_and_is_held_on() -> None:
    placement = placement_of(1)
    offered(placement, 0, 1)
    drawn(placement, 1)
    placement.places[1].left_window = 1
    assert placement.wanted() == 1
    with pytest.raises(EngineError, match="still in the engine"):
        offered(placement, 0)
    placement.settle(1, 0, 1)
    offered(placement, 0)


def test_a_task_that_still_waits_cannot_be_offered_again() -> None:
    placement = placement_of(1)
    offered(placement, 5)
    with pytest.raises(EngineError, match="task 5"):
        offered(placement, 5)


def test_a_lost_member_gives_up_what_it_held_lowest_first() -> None:
    placement = placement_of(2)
    offered(placement, 4, 2, 3)
    for _ in range(3):
        drawn(placement, 1)
    placement.taken(1, 3, 1, 1)
    place, lapsed = placement.detach(1)
    assert place.name == "m1"
    assert [(held.task.id, held.worker) for held in lapsed] == [(2, 0), (3, 1), (4, 0)]


def test_worker_numbers_are_never_used_twice_by_a_member() -> None:
    placement = placement_of(1)
    placement.crew(1, [(1, 100), (2, 101)])
    placement.detach(1)
    placement.attach(Place(9, "m1", "host", 1, 1))
    placement.crew(9, [(1, 102)])
    assert placement.places[9].workers() == (WorkerState(3, 102, ()),)


def test_a_member_cannot_speak_of_what_it_does_not_hold() -> None:
    placement = placement_of(1, 1)
    offered(placement, 0)
    drawn(placement, 1)
    for link, attempt in ((2, 1), (1, 2)):
        with pytest.raises(EngineError, match="does not hold"):
            placement.settle(link, 0, attempt)


def test_a_flush_follows_what_is_not_yet_taken() -> None:
    placement = placement_of(1)
    offered(placement, 0, 1)
    placement.flush()
    found = placement.draw(1)
    assert found is not None
    assert found[1]
    # Given back, it is followed again wherever it goes; taken, no more.
    placement.given_back(1, 0, 1)
    again = placement.draw(1)
    assert again == (Task(0, 1, b""), True)
    placement.taken(1, 0, 1, 1)
    placement.settle(1, 0, 1)
    placement.places[1].left_window = 2
    offered(placement, 0)
    assert placement.draw(1) == (Task(0, 1, b""), False)


class TestWithdrawal:
    def test_a_member_with_nothing_to_do_gets_what_waits_elsewhere(self) -> None:
        placement = placement_of(1, 1)
        offered(placement, 0, 1)
        drawn(placement, 1)
        drawn(placement, 1)
        placement.taken(1, 0, 1, 1)
        assert placement.withdrawals() == [(1, Task(1, 1, b""))]
        # Once is enough.
        assert placement.withdrawals() == []
        placement.given_back(1, 1, 1)
        placement.places[1].left_window = 1
        assert drawn(placement, 2) == 1
        assert placement.withdrawals() == []

    def test_nothing_is_withdrawn_while_tasks_wait_or_all_are_busy(self) -> None:
        placement = placement_of(1, 1)
        offered(placement, 0, 1, 2)
        drawn(placement, 1)
        drawn(placement, 1)
        assert placement.withdrawals() == []
        drawn(placement, 2)
        assert placement.withdrawals() == []

    @pytest.mark.parametrize("terms", [Terms(weight=0.5), Terms(only=[b"/mnt"])])
    def test_nothing_is_withdrawn_for_a_member_that_may_leave_it(self, terms: Terms) -> None:
        placement = placement_of(1)
        placement.attach(Place(2, "m2", "host", 1, 1, terms))
        offered(placement, 0, 1)
        drawn(placement, 1)
        drawn(placement, 1)
        assert placement.withdrawals() == []

    def test_a_member_keeps_what_its_own_workers_can_begin(self) -> None:
        placement = placement_of(2, 1)
        offered(placement, 0, 1)
        drawn(placement, 1)
        drawn(placement, 1)
        assert placement.withdrawals() == []

    def test_a_task_whose_work_has_begun_meanwhile_stays(self) -> None:
        placement = placement_of(1, 1)
        offered(placement, 0, 1)
        drawn(placement, 1)
        drawn(placement, 1)
        placement.taken(1, 0, 1, 1)
        placement.withdrawals()
        placement.taken(1, 1, 1, 1)
        assert not placement.places[1].held[1].withdrawn
