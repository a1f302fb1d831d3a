"""The pictures of the cost curves, which a browser has to be able to draw."""

from __future__ import annotations

import itertools
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.curves import PICTURES, add_members, load_members, main
from benchmarks.drawing import Series, draw
from benchmarks.points import Point, save_points

SVG = "{http://www.w3.org/2000/svg}"


def test_ten_times_as_much_is_as_far_everywhere() -> None:
    """Both axes are logarithmic, and a larger cost stands higher."""
    picture = ElementTree.fromstring(
        draw("a < b", "entries", "seconds", [Series("one", [(1, 1), (10, 10), (100, 100)])])
    )
    places = [(float(circle.attrib["cx"]), float(circle.attrib["cy"])) for circle in picture.iter(f"{SVG}circle")]
    steps = [(right[0] - left[0], right[1] - left[1]) for left, right in itertools.pairwise(places)]
    assert steps[0] == pytest.approx(steps[1], abs=0.2)
    assert steps[0][0] > 0 > steps[0][1]
    assert next(text.text for text in picture.iter(f"{SVG}text")) == "a < b"


def test_each_picture_whose_points_are_there_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    curve = next(iter(PICTURES[0].curves))
    save_points(tmp_path / "points.json", [Point(curve, 10**n, 1.0, 10.0**n, 1.0, 5, 5, "tmpfs", 0.0) for n in (2, 4)])
    add_members(tmp_path / "members.json", Series("links", [(1, 1), (4, 4)]))
    add_members(tmp_path / "members.json", Series("links", [(1, 1), (2, 2)]))
    assert load_members(tmp_path / "members.json") == [Series("links", [(1, 1), (2, 2)])]
    monkeypatch.setattr("sys.argv", ["curves", "--directory", str(tmp_path)])
    assert main() == 0
    assert "CPU seconds | 100 | 10,000 | 1.00 | 1.00 |" in capsys.readouterr().out
    assert {path.name for path in tmp_path.glob("*.svg")} == {"entries-cpu.svg", "entries-memory.svg", "members.svg"}
