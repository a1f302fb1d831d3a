"""A worker changes a target only while it hears of its master."""

from __future__ import annotations

import threading
from collections.abc import Callable

from argosy.restorer.lease import TargetLease

PATIENCE_SECONDS = 60.0


class Clock:
    """Time that stands still, and pauses that make it go on. Each look at it can be waited for."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses = 0
        self.meanwhile: Callable[[], None] = lambda: None
        self._looks = threading.Semaphore(0)

    def __call__(self) -> float:
        self._looks.release()
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses += 1
        self.now += seconds
        self.meanwhile()

    def until_looked_at(self, times: int) -> None:
        """So often since the last wait."""
        for _ in range(times):
            assert self._looks.acquire(timeout=PATIENCE_SECONDS)


def held(lease: TargetLease) -> threading.Event:
    """Set once ``hold`` has returned, in another thread."""
    returned = threading.Event()

    def hold() -> None:
        lease.hold()
        returned.set()

    threading.Thread(target=hold, daemon=True).start()
    return returned


def test_without_other_machines_there_is_nothing_to_wait_for() -> None:
    TargetLease(0.0).hold()


def test_a_worker_begins_when_it_first_hears_of_the_master() -> None:
    clock = Clock()
    lease = TargetLease(5.0, clock, clock.pause)
    returned = held(lease)
    assert not returned.is_set()
    lease.renew()
    assert returned.wait(PATIENCE_SECONDS)
    assert clock.pauses == 0


def test_within_its_lease_it_does_not_wait() -> None:
    clock = Clock()
    lease = TargetLease(5.0, clock, clock.pause)
    lease.renew()
    clock.now = 4.9
    lease.hold()
    assert clock.pauses == 0


def lapsed(clock: Clock, seconds: float) -> tuple[TargetLease, threading.Event]:
    """A lease that is over, and that a thread waits for."""
    lease = TargetLease(seconds, clock, clock.pause)
    lease.renew()
    clock.now = 100.0
    returned = held(lease)
    # By renew, by hold, and by the wait, which holds its lock till it sleeps.
    clock.until_looked_at(3)
    return lease, returned


def test_past_it_a_worker_waits_to_be_heard_of_and_then_doubts() -> None:
    """One that was struck off meanwhile is ended by then."""
    clock = Clock()
    lease, returned = lapsed(clock, 5.0)
    lease.renew()
    assert returned.wait(PATIENCE_SECONDS)
    assert clock.pauses == 1


def test_a_notice_that_lay_in_a_buffer_frees_nobody() -> None:
    """Nothing is heard behind it: the lease is over again before the doubt is."""
    clock = Clock()
    lease, returned = lapsed(clock, 2.0)
    lease.renew()
    # By renew, by the wait that it ends, after the doubt, and by the next wait.
    clock.until_looked_at(4)
    assert clock.pauses == 1
    assert not returned.is_set()
    clock.meanwhile = lease.renew
    lease.renew()
    assert returned.wait(PATIENCE_SECONDS)
