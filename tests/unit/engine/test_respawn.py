"""When dead workers are started again, and when not."""

from __future__ import annotations

import pytest

from argosy.engine.respawn import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    ROUNDS_AFTER_A_START,
    ROUNDS_BEFORE_THE_FIRST_START,
    RespawnPolicy,
)


def test_a_worker_may_start_at_first() -> None:
    assert RespawnPolicy().may_spawn(0.0)


def test_each_death_doubles_the_pause_up_to_a_limit() -> None:
    policy = RespawnPolicy()
    pauses = []
    now = 0.0
    for _ in range(20):
        policy.died(now, at_start=False)
        pauses.append(policy.pause_seconds(now))
        assert not policy.may_spawn(now)
        now += pauses[-1] + 1.0
        assert policy.may_spawn(now)
    assert pauses[:3] == pytest.approx([FIRST_PAUSE_SECONDS * factor for factor in (1, 2, 4)])
    assert max(pauses) == pytest.approx(LONGEST_PAUSE_SECONDS)


def test_workers_that_die_together_count_once() -> None:
    policy = RespawnPolicy()
    for _ in range(10):
        policy.died(1.0, at_start=True)
    assert policy.pause_seconds(1.0) == pytest.approx(FIRST_PAUSE_SECONDS)
    assert not policy.is_hopeless()


def test_finished_work_makes_the_pause_short_again() -> None:
    policy = RespawnPolicy()
    for second in range(5):
        policy.died(10.0 * second, at_start=False)
    policy.worked()
    policy.died(100.0, at_start=False)
    assert policy.pause_seconds(100.0) == pytest.approx(FIRST_PAUSE_SECONDS)


def test_starts_that_never_worked_are_soon_hopeless() -> None:
    policy = RespawnPolicy()
    for second in range(ROUNDS_BEFORE_THE_FIRST_START):
        assert not policy.is_hopeless()
        policy.died(10.0 * second, at_start=True)
    assert policy.is_hopeless()
    assert not policy.has_started()


def test_starts_that_worked_once_get_more_time() -> None:
    policy = RespawnPolicy()
    policy.ready()
    assert policy.has_started()
    for second in range(ROUNDS_AFTER_A_START):
        assert not policy.is_hopeless()
        policy.died(10.0 * second, at_start=True)
    assert policy.is_hopeless()
    policy.ready()
    assert not policy.is_hopeless()


def test_deaths_at_work_are_never_hopeless() -> None:
    policy = RespawnPolicy()
    for second in range(50):
        policy.died(10.0 * second, at_start=False)
    assert not policy.is_hopeless()
