"""Ratios pair by pair, and what a row makes of them."""

from __future__ import annotations

import pytest

from benchmarks.process import Usage
from benchmarks.programs import Measured
from benchmarks.ratios import Spread, pair_ratios
from benchmarks.report import HEADINGS, cells, markdown_table, text_table
from benchmarks.rows import Row


def measured(wall: float, *, cpu: float = 1.0, peak: int = 100_000_000, size: int = 0) -> Measured:
    return Measured(Usage(wall, cpu, peak), size)


def first_backup() -> Row:
    return Row(
        "a",
        "small files",
        verify=False,
        argosy=[measured(2.0, size=103), measured(4.0, size=103), measured(1.0, size=103)],
        restic=[measured(5.0, size=100), measured(8.0, size=100), measured(3.0, size=100)],
        sampled=[measured(9.0, peak=300_000_000), measured(9.0)],
        ceiling_seconds=[1.0, 1.0, 1.0],
    )


def test_a_spread_is_the_median_the_least_and_the_greatest() -> None:
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert Spread.of([1.0, 2.0]).median == 1.5
    with pytest.raises(ValueError, match="no figures"):
        Spread.of([])


def test_ratios_are_of_pairs_and_not_of_medians() -> None:
    """10/1, 1/2, 9/3: the median of the ratios is 3, the ratio of the medians would be 4.5."""
    assert pair_ratios([10.0, 1.0, 9.0], [1.0, 2.0, 3.0]) == Spread(3.0, 0.5, 10.0)
    with pytest.raises(ValueError, match="argument"):
        pair_ratios([1.0, 2.0], [1.0])


def test_a_row_judges_each_of_its_goals_and_meets_one_that_it_just_reaches() -> None:
    row = first_backup()
    assert row.speed == Spread(2.5, 2.0, 3.0)
    assert row.ceiling_share == Spread(0.5, 0.25, 1.0)
    assert {verdict.measure: (verdict.figure, verdict.met) for verdict in row.verdicts()} == {
        "speed": (2.5, True),
        "memory ratio": (3.0, True),
        "size": (1.03, True),
    }


def test_a_row_misses_a_goal_by_the_median() -> None:
    row = first_backup()
    row.argosy[0] = measured(2.5, size=104)
    row.argosy[2] = measured(1.0, size=104)
    met = {verdict.measure: verdict.met for verdict in row.verdicts()}
    assert met == {"speed": False, "memory ratio": True, "size": False}


def test_memory_and_start_up_have_limits_of_their_own() -> None:
    sampled = [measured(1.0, peak=600_000_001), measured(1.0)]
    memory = Row("g", "empty files", argosy=sampled[:1], restic=sampled[1:], sampled=sampled)
    start = Row("start version", "start-up", argosy=[measured(0.1)], restic=[measured(0.1)])
    assert [(verdict.measure, verdict.met) for verdict in memory.verdicts()] == [("memory", False)]
    assert [(verdict.measure, verdict.met) for verdict in start.verdicts()] == [("wall", True)]


def test_the_tables_show_each_row_with_its_goals() -> None:
    row = first_backup()
    line = cells(row)
    assert line[:5] == ["a: small files", "no", "2.00 / 5.00", "2.50 (2.00-3.00)", "≥ 2.20 met"]
    assert line[-2:] == ["1.03 ≤ 1.03 met", "0.50 (0.25-1.00)"]
    markdown = markdown_table([row]).splitlines()
    assert {text.count("|") for text in markdown} == {len(HEADINGS) + 1}
    assert all(cell in text_table([row]) for cell in line)


def test_a_document_holds_every_run() -> None:
    document = first_backup().as_document()
    assert [run["wall_seconds"] for run in document["restic"]] == [5.0, 8.0, 3.0]
    assert document["ratios"]["speed"] == {"median": 2.5, "least": 2.0, "greatest": 3.0}
    assert document["goals"][0] == {"measure": "speed", "limit": 2.2, "figure": 2.5, "at_least": True, "met": True}
