"""The right to write ends by itself, and news of refreshes extends it."""

from __future__ import annotations

import time

import pytest

from argosy.errors import LeaseLost
from argosy.repository.lease import LEASE_SECONDS, WriteLease, boot_seconds


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_lease_ends_22_5_minutes_after_a_refresh() -> None:
    clock = Clock()
    lease = WriteLease(LEASE_SECONDS, clock)
    clock.now += 22.4 * 60
    lease.check()
    assert lease.remaining_seconds() == pytest.approx(6)
    clock.now += 0.2 * 60
    assert lease.remaining_seconds() == 0
    with pytest.raises(LeaseLost):
        lease.check()


def test_news_of_a_refresh_extends_it_and_old_news_does_not_shorten_it() -> None:
    clock = Clock()
    lease = WriteLease(10, clock)
    clock.now += 5
    lease.extend(10)
    lease.extend(1)
    assert lease.remaining_seconds() == 10


def test_a_revoked_lease_is_not_extended() -> None:
    lease = WriteLease(10, Clock())
    lease.revoke()
    lease.extend(10)
    with pytest.raises(LeaseLost):
        lease.check()


def test_a_lease_not_yet_given_allows_nothing() -> None:
    with pytest.raises(LeaseLost):
        WriteLease().check()


def test_its_clock_counts_the_time_of_suspension() -> None:
    assert boot_seconds() == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=1)
