"""The points of the cost curves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.points import Point, exponent, load_points, save_points

POINT = Point("entries", 10, 2.0, 1.0, 0.5, 10, 20, "tmpfs", 0.1)


def test_points_are_kept_and_a_new_one_of_the_same_size_replaces_the_old(tmp_path: Path) -> None:
    path = tmp_path / "points.json"
    assert load_points(path) == []
    save_points(path, [POINT, replace(POINT, size=5)])
    newer = replace(POINT, cpu_seconds=9.0)
    save_points(path, [newer])
    assert load_points(path) == [replace(POINT, size=5), newer]


def test_the_exponent_is_that_of_the_power() -> None:
    assert exponent([(10, 3), (100, 300), (1_000, 30_000)]) == pytest.approx(2)
    assert exponent([(10, 7), (1_000, 7)]) == pytest.approx(0)
    with pytest.raises(ValueError, match="two sizes"):
        exponent([(10, 7), (10, 8)])
