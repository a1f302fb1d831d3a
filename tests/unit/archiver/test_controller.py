"""How many scan threads run (S9)."""

from __future__ import annotations

from argosy.archiver.controller import DEEP_PER_WORKER, STARVED_PER_WORKER, ScanReading, ThreadController

WORKERS = 4
STARVING = STARVED_PER_WORKER * WORKERS - 1
DEEP = DEEP_PER_WORKER * WORKERS + 1


def reading(waiting: int = STARVING, entries: int = 1000, pending: int = 1000) -> ScanReading:
    return ScanReading(waiting, WORKERS, entries, pending)


def decide(controller: ThreadController, *rates: int) -> list[int]:
    return [controller.decide(reading(entries=rate)) for rate in rates]


def test_while_workers_starve_threads_are_added_as_long_as_they_bring_something() -> None:
    controller = ThreadController(4)
    assert decide(controller, 100, 200, 300, 400, 400) == [2, 3, 4, 4, 4]
    assert controller.threads == 4


def test_a_thread_that_brings_nothing_is_taken_back_and_the_count_rests() -> None:
    controller = ThreadController(8)
    assert decide(controller, 1000, 1100) == [2, 1]
    assert decide(controller, *[1000] * 20) == [1] * 20
    assert decide(controller, 1000) == [2]


def test_a_deep_queue_takes_threads_away_down_to_one() -> None:
    controller = ThreadController(8, start=3)
    assert [controller.decide(reading(DEEP)) for _ in range(4)] == [2, 1, 1, 1]


def test_a_deep_queue_ends_the_trial_of_a_thread() -> None:
    """What the rate does meanwhile tells nothing of the thread."""
    controller = ThreadController(8)
    assert decide(controller, 1000) == [2]
    assert controller.decide(reading(DEEP)) == 1
    assert decide(controller, 1) == [2]


def test_between_starving_and_deep_the_count_stays() -> None:
    controller = ThreadController(8, start=3)
    assert [controller.decide(reading(STARVING + 1)) for _ in range(3)] == [3, 3, 3]
    assert controller.decide(reading(DEEP - 1)) == 3


def test_no_thread_is_added_without_a_directory_for_it() -> None:
    controller = ThreadController(8, start=2)
    assert controller.decide(reading(pending=1)) == 2
    assert controller.decide(reading(pending=2)) == 3
