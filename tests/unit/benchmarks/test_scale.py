"""The parts of the scale benchmark, with Argosy itself and very little to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.points import load_points
from benchmarks.scale import Figure, main


def measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: str) -> list[tuple[str, int]]:
    """Run some parts; the curves and sizes of the points that they have left, which is all they leave at work."""
    work, points = tmp_path / "work", tmp_path / "points.json"
    work.mkdir()
    words = ["--parts", parts, "--scale", "0.0002", "--points", str(points)]
    monkeypatch.setattr("sys.argv", ["scale", *words, "--directory", str(work), "--sources", str(tmp_path)])
    assert main() == 0
    assert list(work.iterdir()) == []
    return [(point.curve, point.size) for point in load_points(points)]


def test_a_large_file_and_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ("directory, restore", 400) in measure(tmp_path, monkeypatch, "large,directory")
    printed = capsys.readouterr().out
    assert "one file of 0.0016 GB: rate" in printed
    assert "a directory of 400 files, restore: master's memory" in printed


def test_entries_whose_trees_stay_where_they_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ("entries, first backup", 2_000) in measure(tmp_path, monkeypatch, "entries")
    assert "2,000 entries, second backup: wall seconds an entry, by 1,000's" in capsys.readouterr().out
    assert len(list((tmp_path / "entries-2000").rglob("f*"))) == 2_000


def test_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    measure(tmp_path, monkeypatch, "checkpoints")
    assert "checkpoints' share of a second backup" in capsys.readouterr().out


def test_a_goal_is_judged_by_its_side() -> None:
    assert "≤ 1.15 met" in Figure("time", 1.1, "", "", 1.15).line()
    assert "≤ 1.15 MISSED" in Figure("time", 1.2, "", "", 1.15).line()
    assert "≥ 0.9 met" in Figure("rate", 0.95, "", "", 0.9, at_least=True).line()
    assert Figure("bytes", 65, "", "").line().split("|")[3].strip() == "-"
