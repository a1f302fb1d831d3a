"""How far a check is, in words."""

from __future__ import annotations

from argosy.cli.check_progress import progress_line, progress_lines
from argosy.cli.pace import Pace
from argosy.operations.check.options import CheckProgress

NAS_1, NAS_2 = ("nas-1", 2, 3, 40, 5 << 20), ("nas-2", 0, 0, 1, 0)


def test_trees_then_packs_and_errors_are_counted() -> None:
    assert progress_line(CheckProgress(1, 0, 0, 0, 0, 0), 61.0, Pace()) == "[1:01] 1 tree"
    reading = CheckProgress(2000, 5, 20, 256, 1024, 2)
    assert progress_line(reading, 1.0, Pace()) == "[0:01] 2,000 trees, 5 of 20 packs, 25%, 2 errors"


def test_several_members_have_a_line_each_and_one_has_none() -> None:
    def lines(*members: tuple[str, int, int, int, int]) -> list[str]:
        return progress_lines(CheckProgress(1, 0, 0, 0, 0, 0, list(members)), 1.0, Pace())

    assert lines(NAS_1) == ["[0:01] 1 tree"]
    first, one, two = lines(NAS_1, NAS_2)
    assert first == "[0:01] 1 tree"
    assert one.split() == ["nas-1", "2", "workers,", "3", "batches", "40", "entries,", "5.000", "MiB"]
    assert two.split() == ["nas-2", "0", "workers,", "0", "batches", "1", "entry,", "0", "B"]
