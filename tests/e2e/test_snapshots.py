"""`argosy snapshots` prints what restic 0.18 prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import Argosy
from tests.support.compared import Compared, lines
from tests.support.damage import flip


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--compact",),
        ("--latest", "1"),
        ("--host", "beta"),
        ("--host", "alpha", "--host", "beta"),
        ("--tag", "b"),
        ("--tag", "a,b"),
        ("--tag", ""),
        ("--tag", "a,b", "--tag", "with space"),
        ("--host", "nobody"),
        ("latest",),
        ("latest", "--host", "alpha"),
    ],
    ids=" ".join,
)
def test_tables_and_documents_are_restics(compared: Compared, flags: tuple[str, ...]) -> None:
    compared.assert_same_output("snapshots", *flags)
    compared.assert_same_output("snapshots", *flags, "--json")


def test_a_path_selects(compared: Compared) -> None:
    compared.assert_same_output("snapshots", "--path", str(compared.source))
    compared.assert_same_output("snapshots", "--path", str(compared.source / "sub"), "--json")
    assert len(compared.argosy.documents("snapshots", "--path", str(compared.source))[0]) == 2


@pytest.mark.parametrize("by", ["host", "paths", "tags", "host,paths", "host,tags,paths", "tag,hosts"])
def test_groups_are_restics_in_an_order_that_is_always_the_same(compared: Compared, by: str) -> None:
    """restic's own order changes from run to run."""
    flags = ("snapshots", "--group-by", by)
    (ours,), (theirs,) = (lines(run(*flags, "--json").stdout) for run in (compared.argosy.run, compared.model.run))
    assert sorted(ours, key=repr) == sorted(theirs, key=repr)
    text = compared.argosy.run(*flags).stdout
    assert sorted(text.splitlines()) == sorted(compared.model.run(*flags).stdout.splitlines())
    assert text == compared.argosy.run(*flags).stdout


def test_the_start_of_an_id_is_enough(compared: Compared) -> None:
    first = compared.snapshot_ids()[0]
    (found,) = compared.argosy.documents("snapshots", first[:10])[0]
    assert (found["id"], found["short_id"]) == (first, first[:8])


def test_the_variable_names_the_host(compared: Compared) -> None:
    ours = Argosy(compared.argosy.home, environment={"RESTIC_HOST": "beta"})
    assert len(ours.documents("snapshots")[0]) == 2
    assert len(ours.documents("snapshots", "--host", "alpha")[0]) == 2


def test_a_snapshot_that_is_not_there_is_an_error(compared: Compared) -> None:
    assert "does not exist" in compared.argosy.says("snapshots", "0123456789", expect=1)
    assert "cannot be grouped" in compared.argosy.says("snapshots", "--group-by", "size", expect=1)
    assert "path within a snapshot" in compared.argosy.says("snapshots", "latest:/sub", expect=1)


def test_a_damaged_snapshot_does_not_hide_the_others(tmp_path: Path) -> None:
    """restic warns and ends with 0; here the exit code tells it."""
    argosy = Argosy(tmp_path)
    (tmp_path / "file").write_bytes(b"content")
    argosy.run("backup", "--init", "file")
    argosy.run("backup", "--tag", "second", "file")
    victim, other = (snapshot["id"] for snapshot in argosy.documents("snapshots")[0])
    flip(argosy.repository / "snapshots" / victim, 20)
    said = argosy.says("snapshots", expect=1)
    assert other[:8] in said
    assert f"snapshot {victim}" in said
    (found,) = argosy.documents("snapshots", expect=1)[0]
    assert found["id"] == other


def test_an_empty_repository_has_nothing_to_list(tmp_path: Path) -> None:
    argosy = Argosy(tmp_path)
    argosy.run("init")
    assert argosy.says("snapshots") == ""
    assert argosy.documents("snapshots") == [[]]
