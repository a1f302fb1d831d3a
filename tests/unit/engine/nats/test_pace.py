"""How much of its time a member works, on a clock of the test's."""

from __future__ import annotations

import pytest

from argosy.engine.nats.pace import Pace


@pytest.mark.parametrize("weight", [0.1, 0.5, 0.9])
def test_a_member_works_its_share_of_the_time(weight: float) -> None:
    """Asked once a second, it works on what it took for five; in the long run that is its share."""
    pace, worked, ends = Pace(weight), 0, 0
    for now in range(10_000):
        if pace.may_take_more(now, float(now - 1 < ends)) and now >= ends:
            ends = now + 5
        worked += now < ends
    assert worked / 10_000 == pytest.approx(weight, abs=0.05)


def test_a_long_rest_is_not_saved_up() -> None:
    pace = Pace(0.5)
    assert pace.may_take_more(0, 0.0)
    assert pace.may_take_more(1_000_000, 0.0)
    assert not pace.may_take_more(1_000_003, 1.0)
    assert pace.may_take_more(1_000_005, 0.0)


def test_a_member_of_the_whole_weight_never_rests() -> None:
    pace = Pace(1.0)
    assert all(pace.may_take_more(now, 1.0) for now in range(0, 10_000, 1_000))
