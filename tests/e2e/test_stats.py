"""`argosy stats` counts and prints what restic 0.18 counts and prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import Argosy
from tests.support.compared import Compared
from tests.support.damage import flip

MODES = ("restore-size", "files-by-contents", "blobs-per-file", "raw-data")


@pytest.mark.parametrize("mode", MODES)
def test_of_all_snapshots(compared: Compared, mode: str) -> None:
    compared.assert_same_output("stats", "--mode", mode)
    compared.assert_same_output("stats", "--mode", mode, "--json")


@pytest.mark.parametrize("mode", MODES)
def test_of_some_snapshots(compared: Compared, mode: str) -> None:
    first, second, *_ = compared.snapshot_ids()
    for chosen in ((first,), (first, second, first), ("latest",), ("--host", "beta"), ("--tag", "a,b")):
        compared.assert_same_output("stats", "--mode", mode, *chosen)
        compared.assert_same_output("stats", "--mode", mode, *chosen, "--json")


def test_a_damaged_snapshot_is_told_and_the_others_are_counted(tmp_path: Path) -> None:
    argosy = Argosy(tmp_path)
    (tmp_path / "file").write_bytes(b"content")
    argosy.run("backup", "--init", "file")
    argosy.run("backup", "--tag", "second", "file")
    victim = argosy.documents("snapshots")[0][0]["id"]
    flip(argosy.repository / "snapshots" / victim, 20)
    (counted,) = argosy.documents("stats", expect=1)
    assert counted["snapshots_count"] == 1


def test_an_unknown_mode_is_refused(compared: Compared) -> None:
    assert "'--mode'" in compared.argosy.says("stats", "--mode", "weight", expect=1)
