"""`argosy tag` changes tags as restic 0.18 does, and nothing else of a snapshot."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Argosy
from tests.support.compared import make_key_cheap
from tests.support.restic import ResticRepository, require_restic

CHANGES_WITH_EACH_SAVE = ("id", "short_id", "original")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Argosy:
    """Snapshots of two hosts, with tags and without."""
    home = tmp_path_factory.mktemp("made")
    made = Argosy(home)
    (home / "file").write_bytes(b"content")
    made.run("init")
    make_key_cheap(str(made.repository))
    made.run("backup", "--host", "alpha", "--tag", "a,b", "--time", "2020-01-01 10:00:00", "file")
    made.run("backup", "--host", "alpha", "--time", "2021-01-01 10:00:00", "file")
    made.run("backup", "--host", "beta", "--tag", "b", "--time", "2022-01-01 10:00:00", "file")
    return made


@pytest.fixture
def argosy(made: Argosy, tmp_path: Path) -> Argosy:
    """A copy for each test."""
    shutil.copytree(made.repository, tmp_path / "repository")
    return Argosy(tmp_path)


def restic_copy(made: Argosy, home: Path) -> ResticRepository:
    """Another copy, for restic."""
    shutil.copytree(made.repository, home / "restics")
    return require_restic((0, 18, 0)).at(home / "restics", home)


def snapshots(argosy: Argosy) -> list[Any]:
    found: list[Any] = argosy.documents("snapshots")[0]
    return found


@pytest.mark.parametrize(
    "flags",
    [
        ("--set", "x,y"),
        ("--set", "x", "--set", "y", "--host", "alpha"),
        ("--add", "c"),
        ("--add", "b,c", "--tag", "b"),
        ("--remove", "b"),
        ("--remove", "b", "--add", "c", "latest"),
        ("--remove", "nothing has it"),
    ],
    ids=" ".join,
)
def test_tags_are_restics(made: Argosy, argosy: Argosy, tmp_path: Path, flags: tuple[str, ...]) -> None:
    restic = restic_copy(made, tmp_path)
    argosy.run("tag", *flags)
    restic.run("tag", *flags)
    (theirs,) = restic.json_lines("snapshots")
    for one in (ours := snapshots(argosy)) + theirs:
        for key in CHANGES_WITH_EACH_SAVE:
            one.pop(key, None)
    assert ours == theirs


def test_a_changed_snapshot_remembers_its_first_id(argosy: Argosy) -> None:
    first = snapshots(argosy)[0]["id"]
    changed, summary = argosy.documents("tag", "--add", "new", first)
    assert summary == {"message_type": "summary", "changed_snapshots": 1}
    assert changed["message_type"] == "changed"
    assert changed["old_snapshot_id"] == first
    again = argosy.documents("tag", "--set", "", changed["new_snapshot_id"])[0]
    found = snapshots(argosy)[0]
    assert (found["id"], found["original"], found.get("tags")) == (again["new_snapshot_id"], first, None)
    assert len(snapshots(argosy)) == 3
    argosy.run("check")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), "no tag was given"),
        (("--set", "a", "--add", "b"), "--set excludes"),
        (("--add", "a", "0123456789"), "does not exist"),
        (("--add", "a", "--no-lock"), "needs its lock"),
    ],
)
def test_what_is_refused_changes_nothing(argosy: Argosy, flags: tuple[str, ...], words: str) -> None:
    before = snapshots(argosy)
    assert words in argosy.says("tag", *flags, expect=1)
    assert snapshots(argosy) == before
