"""Times as text."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from argosy.errors import Damaged
from argosy.restic_format import times
from argosy.restic_format.times import format_time, parse_time

SECOND = 10**9
DAY = 86_400 * SECOND


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (120 * SECOND + 500_000_000, "1970-01-01T00:02:00.5Z"),
        (1_600_000_000 * SECOND + 120, "2020-09-13T12:26:40.00000012Z"),
        (1_709_164_800 * SECOND, "2024-02-29T00:00:00Z"),
        (4_102_444_799 * SECOND, "2099-12-31T23:59:59Z"),
        (-62_135_596_800 * SECOND, "0001-01-01T00:00:00Z"),
        (-62_167_219_200 * SECOND, "0000-01-01T00:00:00Z"),
        (253_402_300_799 * SECOND, "9999-12-31T23:59:59Z"),
    ],
)
def test_a_time_is_written_in_utc_without_trailing_zeros(ns: int, text: str) -> None:
    assert format_time(ns) == text
    assert parse_time(text, "x") == ns
    assert parse_time(text, "x") == ns  # now with its day known


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (253_402_300_800 * SECOND, "9999-01-01T00:00:00Z"),
        (-62_167_219_201 * SECOND, "0000-12-31T23:59:59Z"),
        (253_402_300_800 * SECOND + 59 * DAY, "9999-03-01T00:00:00Z"),
        (2**63 // SECOND * SECOND * 1000, "9999-"),
    ],
)
def test_a_year_that_json_cannot_hold_becomes_the_nearest(ns: int, text: str) -> None:
    """As restic does (fixTime); 10000 is a leap year, 9999 is not."""
    assert format_time(ns).startswith(text)


def test_every_day_of_the_calendar_agrees_with_datetime() -> None:
    for day in range(-300_000, 300_000, 13):
        expected = datetime.fromtimestamp(0, UTC).toordinal() + day
        assert format_time(day * DAY)[:10] == datetime.fromordinal(expected).date().isoformat()


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T18:30:00-05:30", 0),
        ("1970-01-01T00:00:00+00:00", 0),
        ("1970-01-01T00:00:00.10Z", 100_000_000),
        ("1970-01-01T02:00:00.123456789+02:00", 123_456_789),
    ],
)
def test_other_offsets_and_trailing_zeros_are_read(text: str, ns: int) -> None:
    assert parse_time(text, "x") == ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1970-01-01",
        "1970-01-01T00:00:00",
        "1970-01-01 00:00:00Z",
        "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00.1",
        "1970-01-01T00:00:00.1_0Z",
        "1970-01-01T00:00:00.0000000001Z",
        "1970-01-01T00:00:00,5Z",
        "1970-01-01T24:00:00Z",
        "1970-01-01T00:60:00Z",
        "1970-01-01T00:00:60Z",
        "1970-13-01T00:00:00Z",
        "1970-00-01T00:00:00Z",
        "1970-02-30T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "1970-01-01T00:00:00ZZ",
        "١٩٧٠-01-01T00:00:00Z",
        "19700-01-01T00:00:00Z",
    ],
)
def test_what_is_no_time_is_damage(text: str) -> None:
    parse_time("1970-01-01T00:00:00Z", "x")  # the day is known from here on
    with pytest.raises(Damaged, match="snapshot 12"):
        parse_time(text, "snapshot 12")


def test_the_memory_of_days_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(times, "_MAX_CACHED_DAYS", 10)
    for day in range(50):
        assert parse_time(format_time(day * DAY), "x") == day * DAY
    assert len(times._dates) <= 10
    assert len(times._days) <= 10
