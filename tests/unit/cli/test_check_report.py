"""The report of a check: unfinished while the check runs, whole at its end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from argosy.cli.check_report import CheckReport
from argosy.errors import UsageError
from argosy.operations.check.options import Part, Problem


def test_a_report_is_unfinished_until_the_check_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("of yesterday")
    report = CheckReport(path, "/srv/\udcff")
    begun = json.loads(path.read_text())
    assert (begun["finished"], begun["repository"]) == (False, "/srv/\udcff")
    report.add_problem(Problem(Part.PACK, "pack 12", "it is cut short"))
    report.add_hint("a stale lock")
    report.end({"num_errors": 1})
    ended = json.loads(path.read_text())
    assert ended["finished"]
    assert ended["summary"] == {"num_errors": 1}
    assert [(problem["part"], problem["what"]) for problem in ended["problems"]] == [("pack", "pack 12")]
    assert ended["problems"][0]["advice"]
    assert ended["hints"] == ["a stale lock"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_named_before_the_check_begins(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="missing"):
        CheckReport(tmp_path / "missing" / "report.json", "/srv")
