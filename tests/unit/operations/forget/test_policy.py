"""What stays and why, on snapshots that are only described; tests/golden/test_forget_policies.py asks restic."""

from __future__ import annotations

import pytest

from argosy.errors import UsageError
from argosy.operations.forget.moments import Span, earlier, moment_of, parse_span
from argosy.operations.forget.policy import UNLIMITED, Decision, Policy, Unit, apply_policy
from argosy.repository.snapshots import StoredSnapshot
from argosy.restic_format.snapshot import Snapshot
from argosy.restic_format.times import format_time, parse_time

NOW = parse_time("2024-07-01T00:00:00Z", "now")


def taken(*times: str, tags: tuple[str, ...] = ()) -> list[StoredSnapshot]:
    return [StoredSnapshot(time.encode().ljust(32), Snapshot(time, bytes(32), ["/"], tags=tags)) for time in times]


def kept(decision: Decision) -> dict[str, list[str]]:
    return {stored.snapshot.time: list(decision.reasons[stored.id]) for stored in decision.keep}


def test_nothing_is_kept_without_a_rule() -> None:
    assert not Policy()
    assert str(Policy()) == "remove"
    assert not Policy(counts={Unit.LAST: 0}, each_within={Unit.DAILY: Span()})
    assert apply_policy(taken("2024-01-01T00:00:00Z"), Policy(), NOW).keep == []


def test_the_newest_of_each_day_stays_and_the_oldest_of_all_while_there_is_room() -> None:
    snapshots = taken("2024-01-01T01:00:00Z", "2024-01-01T02:00:00Z", "2024-01-02T01:00:00Z", "2024-01-02T09:00:00Z")
    decision = apply_policy(snapshots, Policy(counts={Unit.DAILY: 3}), NOW)
    assert kept(decision) == {
        "2024-01-02T09:00:00Z": ["daily snapshot"],
        "2024-01-01T02:00:00Z": ["daily snapshot"],
        "2024-01-01T01:00:00Z": ["oldest daily snapshot"],
    }
    assert [stored.snapshot.time for stored in decision.remove] == ["2024-01-02T01:00:00Z"]
    assert len(apply_policy(snapshots, Policy(counts={Unit.DAILY: 2}), NOW).keep) == 2


def test_days_are_those_of_the_offset_in_the_snapshot() -> None:
    snapshots = taken("2024-01-01T23:30:00-05:00", "2024-01-02T05:00:00Z")  # half an hour apart
    assert len(apply_policy(snapshots, Policy(counts={Unit.DAILY: UNLIMITED}), NOW).keep) == 2


def test_spans_reach_back_from_the_newest_that_is_not_in_the_future() -> None:
    snapshots = taken("2024-01-01T00:00:00Z", "2024-01-01T00:00:01Z", "2024-01-31T00:00:00Z", "2030-01-01T00:00:00Z")
    decision = apply_policy(snapshots, Policy(within=Span(days=30)), NOW)
    assert [stored.snapshot.time for stored in decision.remove] == ["2024-01-01T00:00:00Z"]
    only_future = taken("2030-01-01T00:00:00Z", "2020-01-01T00:00:00Z")[:1]
    assert len(apply_policy(only_future, Policy(within=Span(hours=1)), NOW).keep) == 1


def test_rules_are_named_as_restic_names_them() -> None:
    policy = Policy(
        counts={Unit.LAST: 2, Unit.DAILY: UNLIMITED},
        within=Span(1, 2, 3, 4),
        each_within={Unit.WEEKLY: Span(months=6)},
        tags=[["a", "b"], ["c"]],
    )
    assert str(policy) == (
        "keep 2 latest, all daily snapshots, weekly snapshots within 6m and all snapshots with tags [[a, b], [c]]"
        " and all snapshots within 1y2m3d4h of the newest"
    )


@pytest.mark.parametrize(
    ("time", "span", "expected"),
    [
        ("2024-03-31T12:00:00Z", "1m", "2024-03-02T12:00:00Z"),  # 31 February runs over
        ("2023-03-31T12:00:00Z", "1m", "2023-03-03T12:00:00Z"),
        ("2024-02-29T00:00:00.5Z", "1y", "2023-03-01T00:00:00.5Z"),
        ("2024-01-15T00:00:00Z", "13m", "2022-12-15T00:00:00Z"),
        ("2024-01-01T00:00:00Z", "1d1h", "2023-12-30T23:00:00Z"),
        ("2024-01-01T00:30:00+02:30", "1d", "2023-12-30T22:00:00Z"),
    ],
)
def test_spans_are_reckoned_by_the_calendar(time: str, span: str, expected: str) -> None:
    instant = earlier(moment_of(time), parse_span(span))
    assert instant is not None
    assert format_time(instant) == expected


def test_a_span_may_reach_back_before_all_dates() -> None:
    assert earlier(moment_of("2024-01-01T00:00:00Z"), parse_span("4000y")) is None
    assert moment_of("0000-01-01T00:00:00Z").wall.year == 1


@pytest.mark.parametrize("text", ["", "3", "d", "3x", "-3d", "1.5d", "3 d", "1y 2m"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_span(text)
    assert str(parse_span("1y02m0d7h")) == "1y2m7h"
