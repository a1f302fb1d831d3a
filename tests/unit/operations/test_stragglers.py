"""Which batches are run a second time: on clocks and batches of the test's."""

from __future__ import annotations

from argosy.operations.backup.stragglers import LEAST_SECONDS, TIMES_AS_LONG, Stragglers
from argosy.state.queue import Batch

MIB = 1 << 20


def batch(seq: int, size_bytes: int = 10 * MIB) -> Batch:
    return Batch(seq, 0, size_bytes)


def experienced(seconds: float = 10.0, stored_bytes: int = 10 * MIB) -> Stragglers:
    """One batch was completed: 10 MiB in 10 seconds."""
    found = Stragglers()
    found.taken(1, 100.0)
    found.completed(batch(1), stored_bytes, 100.0 + seconds)
    return found


def test_a_batch_is_late_once_it_takes_several_times_as_long_as_others() -> None:
    stragglers = experienced()
    late, small, unknown = batch(2), batch(3, MIB), batch(4)
    stragglers.taken(2, 200.0)
    stragglers.taken(3, 200.0)
    running = [late, small, unknown]
    assert stragglers.late(running, 200.0 + TIMES_AS_LONG + LEAST_SECONDS) == []
    assert stragglers.late(running, 201.0 + TIMES_AS_LONG + LEAST_SECONDS) == [small]
    assert stragglers.late(running, 201.0 + TIMES_AS_LONG * 10 + LEAST_SECONDS) == [late, small]


def test_it_knows_what_a_worker_does_in_a_second() -> None:
    assert Stragglers().weight_a_second == 0.0
    assert experienced(seconds=10.0, stored_bytes=20 * MIB).weight_a_second == 2 * MIB


def test_nothing_is_late_while_no_batch_is_complete() -> None:
    stragglers = Stragglers()
    stragglers.taken(1, 0.0)
    assert stragglers.late([batch(1)], 1e9) == []


def test_content_that_was_there_already_makes_no_batch_late() -> None:
    """One that stored a hundredth of what it read tells that links are slow, not that they are quick."""
    stragglers = experienced(seconds=1.0, stored_bytes=MIB // 10)
    stragglers.taken(2, 200.0)
    assert stragglers.late([batch(2)], 200.0 + TIMES_AS_LONG * 100 + LEAST_SECONDS - 1) == []


def test_time_counts_from_where_a_worker_began_or_should_have() -> None:
    stragglers, waiting = experienced(), batch(2)
    stragglers.handed_out(2, 200.0)
    stragglers.handed_out(2, 300.0)
    assert stragglers.late([waiting], 300.0) == [waiting]
    stragglers.taken(2, 300.0)
    assert stragglers.late([waiting], 301.0) == []
    stragglers.given_back(2)
    assert stragglers.late([waiting], 1e9) == []


def test_a_batch_that_was_run_twice_tells_nothing_of_others() -> None:
    stragglers, again = experienced(), batch(2)
    again.earlier = 1
    stragglers.taken(2, 400.0)
    stragglers.completed(again, 1, 1e6)
    stragglers.taken(3, 1e6)
    assert stragglers.late([batch(3)], 1e6 + TIMES_AS_LONG * 10 + LEAST_SECONDS + 1) == [batch(3)]
