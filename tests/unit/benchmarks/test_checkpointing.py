"""Argosy with its commits timed is Argosy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.programs import Place, Program
from benchmarks.scale import _CHECKPOINTING


def test_a_backup_runs_and_its_commits_are_counted(tmp_path: Path) -> None:
    figures, source = tmp_path / "figures.json", tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("content")
    place = Place(Program("argosy", (sys.executable, "-P", str(_CHECKPOINTING), str(figures))), tmp_path / "place")
    place.init()
    place.back_up(source, verify=True)
    spent = json.loads(figures.read_text())
    assert spent["commits"] > 0
    assert spent["wall_seconds"] >= spent["cpu_seconds"] > 0


def test_its_exit_code_is_the_programs(tmp_path: Path) -> None:
    command = [sys.executable, "-P", str(_CHECKPOINTING), str(tmp_path / "figures.json"), "no-such-verb"]
    assert subprocess.run(command, capture_output=True, check=False, env={"PYTHONPATH": "src"}).returncode not in (0, 3)
