"""The simulated queue: nothing is lost, nothing is done twice but what a slow member holds up."""

from __future__ import annotations

import pytest

from benchmarks.queue_simulation import Costs, Fleet, Load, simulate

COSTS = Costs(
    file_seconds=0.01,
    byte_seconds=1e-8,
    scan_entry_seconds=1e-6,
    master_entry_seconds=1e-6,
    master_batch_seconds=1e-4,
    latency_seconds=1e-3,
)
LOAD = Load(batches=24, files=50, file_bytes=40_000)
BATCH_SECONDS = LOAD.files * (COSTS.file_seconds + LOAD.file_bytes * COSTS.byte_seconds)
TOTAL_SECONDS = LOAD.batches * BATCH_SECONDS


@pytest.mark.parametrize(
    "fleet", [Fleet(1, 1), Fleet(1, 3), Fleet(5, 2), Fleet(12, 4), Fleet(5, 2, slow=1, slow_factor=50)]
)
def test_each_file_counts_once(fleet: Fleet) -> None:
    outcome = simulate(fleet, LOAD, COSTS)
    assert outcome.files == LOAD.batches * LOAD.files
    assert outcome.bytes == outcome.files * LOAD.file_bytes


def test_one_worker_takes_as_long_as_all_batches_together() -> None:
    outcome = simulate(Fleet(1, 1), LOAD, COSTS)
    assert outcome.worker_busy_seconds == pytest.approx(TOTAL_SECONDS)
    assert TOTAL_SECONDS <= outcome.seconds <= TOTAL_SECONDS * 1.01


def test_nothing_is_begun_twice_where_all_are_quick() -> None:
    """And the workers of many members spend together what one would."""
    outcome = simulate(Fleet(6, 2), LOAD, COSTS)
    assert set(outcome.done.values()) == {1}
    assert (outcome.runs_again, outcome.dropped) == (0, 0)
    assert outcome.worker_busy_seconds == pytest.approx(TOTAL_SECONDS)
    assert TOTAL_SECONDS / 12 <= outcome.seconds <= TOTAL_SECONDS / 12 + 2 * BATCH_SECONDS


def test_what_a_slow_member_holds_up_is_run_again_and_counts_once() -> None:
    """The job ends long before the slow member does; what it sends afterwards finds its batch gone."""
    slow = simulate(Fleet(6, 1, slow=1, slow_factor=1_000), LOAD, COSTS)
    assert slow.runs_again >= 1
    assert max(slow.done.values()) >= 2
    assert slow.files == LOAD.batches * LOAD.files
    assert slow.seconds < 1_000 * BATCH_SECONDS / 10


def test_a_slow_master_is_the_bound() -> None:
    """What it spends on batches alone makes the job as long as that."""
    costs = Costs(COSTS.file_seconds, COSTS.byte_seconds, 0, 0, master_batch_seconds=1.0, latency_seconds=0)
    outcome = simulate(Fleet(24, 1), LOAD, costs)
    assert outcome.master_busy_seconds >= LOAD.batches * costs.master_batch_seconds
    assert outcome.seconds >= outcome.master_busy_seconds * 0.9
