"""`argosy forget` removes what no rule keeps and nothing else; what is refused changes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.command import Argosy
from tests.support.compared import make_key_cheap
from tests.support.damage import flip
from tests.support.restic import require_restic

MOMENTS = ("2020-01-01 10:00:00", "2021-01-01 10:00:00", "2021-01-02 10:00:00")


@pytest.fixture
def argosy(made: Argosy, tmp_path: Path) -> Argosy:
    """A copy for each test."""
    shutil.copytree(made.repository, tmp_path / "repository")
    return Argosy(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Argosy:
    """Three snapshots of one host, one of another."""
    home = tmp_path_factory.mktemp("made")
    made = Argosy(home)
    (home / "file").write_bytes(b"content")
    made.run("init")
    make_key_cheap(str(made.repository))
    for moment in MOMENTS:
        made.run("backup", "--host", "alpha", "--tag", "t", "--time", moment, "file")
    made.run("backup", "--host", "beta", "file")
    return made


def ids(argosy: Argosy) -> list[str]:
    return [snapshot["id"] for snapshot in argosy.documents("snapshots")[0]]


def test_a_dry_run_says_what_a_run_does(argosy: Argosy) -> None:
    before = ids(argosy)
    said = argosy.says("forget", "--keep-yearly", "1", "--dry-run")
    assert ids(argosy) == before
    assert "would remove 2 snapshots" in said
    said = argosy.says("forget", "--keep-yearly", "1")
    assert f"removed 2 snapshots: {before[1][:8]} {before[0][:8]}" in said
    assert "yearly snapshot" in said
    assert ids(argosy) == before[2:]
    assert argosy.run("list", "locks").stdout == b""
    require_restic().at(argosy.repository, argosy.home).run("check")


def test_named_snapshots_go_whatever_the_rules(argosy: Argosy) -> None:
    before = ids(argosy)
    argosy.run("forget", before[0][:12], "latest", "--keep-last", "9")
    assert ids(argosy) == before[1:3]
    assert argosy.run("forget", before[1], "--json").stdout == b""
    assert ids(argosy) == before[2:3]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), "no rule was given"),
        (("--keep-last", "0"), "no rule was given"),
        (("--unsafe-allow-remove-all",), "without a filter"),
        (("--keep-tag", "nothing has it"), "refusing to delete the last snapshot of host alpha"),
        (("--keep-tag", "t"), "refusing to delete the last snapshot of host beta"),
        (("--keep-tag", "u", "--unsafe-allow-remove-all", "--host", "alpha"), "refusing to delete"),
        (("0123456789",), "does not exist"),
        (("latest", "0123456789"), "does not exist"),
        (("--keep-last", "-1"), "unlimited"),
        (("--keep-within", "3x"), "no span of the calendar"),
        (("--keep-last", "1", "--no-lock"), "forget needs its lock"),
        (("--keep-last", "1", "--group-by", "size"), "cannot be grouped"),
    ],
)
def test_what_is_refused_changes_nothing(argosy: Argosy, flags: tuple[str, ...], words: str) -> None:
    before = ids(argosy)
    assert words in argosy.says("forget", *flags, expect=1)
    assert ids(argosy) == before


def test_all_of_a_filter_goes_if_that_is_asked_for(argosy: Argosy) -> None:
    before = ids(argosy)
    argosy.run("forget", "--unsafe-allow-remove-all", "--host", "alpha")
    assert ids(argosy) == before[3:]


def test_who_else_holds_a_lock_is_said(argosy: Argosy) -> None:
    before = ids(argosy)
    with require_restic().at(argosy.repository, argosy.home).locked() as pid:
        assert f"PID {pid}" in argosy.says("forget", "--keep-last", "1", expect=11)
        assert "would remove 2" in argosy.says("forget", "--keep-last", "1", "--dry-run", "--no-lock")
    assert set(before) <= set(ids(argosy))


def test_a_damaged_snapshot_is_named_and_the_others_are_thinned_out(argosy: Argosy) -> None:
    before = ids(argosy)
    flip(argosy.repository / "snapshots" / before[2], 20)
    said = argosy.says("forget", "--keep-last", "1", expect=1)
    assert f"snapshot {before[2]}" in said
    assert {path.name for path in (argosy.repository / "snapshots").iterdir()} == set(before[1:])
