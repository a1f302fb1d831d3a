"""`argosy rewrite` makes the snapshots that restic 0.18 makes: the same trees, sums, tags and first ids."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Argosy
from tests.support.compared import make_key_cheap, make_source
from tests.support.damage import flip_blob, ground_of
from tests.support.restic import ResticRepository, require_restic

CHANGES_WITH_EACH_SAVE = ("id", "short_id")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Argosy:
    """A snapshot of restic's, and one of ours that has a summary."""
    home = tmp_path_factory.mktemp("made")
    made = Argosy(home)
    source = home / "source"
    make_source(source)
    writer = require_restic().at(made.repository, home)
    writer.init()
    make_key_cheap(str(made.repository))
    writer.run("backup", "--host", "alpha", "--tag", "a", source)
    made.run("backup", "--host", "beta", source / "sub")
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


def without_own_ids(snapshots: list[Any]) -> list[Any]:
    """Snapshots in an order that does not depend on their ids."""
    kept = [{key: value for key, value in s.items() if key not in CHANGES_WITH_EACH_SAVE} for s in snapshots]
    return sorted(kept, key=lambda s: (s["hostname"], s.get("original", ""), str(s.get("tags"))))


@pytest.mark.parametrize(
    "flags",
    [
        ("--exclude", "*.md"),
        ("--exclude", "*.md", "--forget"),
        ("--iexclude", "PLAIN*", "--exclude", "deepest", "--exclude", "!x"),
        ("--exclude", "/nowhere", "--host", "beta"),
        ("--exclude", "*"),
        ("--snapshot-summary",),
        ("--new-host", "gamma", "--new-time", "2020-01-02 03:04:05"),
        ("--new-host", "gamma", "--exclude", "sub", "--forget", "latest"),
    ],
    ids=" ".join,
)
def test_the_result_is_restics(made: Argosy, argosy: Argosy, tmp_path: Path, flags: tuple[str, ...]) -> None:
    restic = restic_copy(made, tmp_path)
    argosy.run("rewrite", *flags)
    restic.run("rewrite", *flags)
    (theirs,) = restic.json_lines("snapshots")
    assert without_own_ids(argosy.documents("snapshots")[0]) == without_own_ids(theirs)
    require_restic((0, 18, 0)).at(argosy.repository, tmp_path).check()


def test_a_dry_run_changes_nothing_and_needs_no_lock(argosy: Argosy) -> None:
    before = files(argosy)
    *changed, summary = argosy.documents("rewrite", "--exclude", "*.md", "--forget", "--dry-run", "--no-lock")
    assert files(argosy) == before
    assert summary == {"message_type": "summary", "changed_snapshots": 2, "dry_run": True}
    assert [document["message_type"] for document in changed] == ["changed", "removed"] * 2
    assert changed[0]["new_snapshot_id"] is None


def test_wrong_use_changes_nothing(argosy: Argosy) -> None:
    before = files(argosy)
    assert "nothing to do" in argosy.says("rewrite", expect=1)
    assert "needs its lock" in argosy.says("rewrite", "--new-host", "x", "--no-lock", expect=1)
    assert files(argosy) == before


def test_a_tree_that_cannot_be_read_stops_it_and_the_snapshot_stays(argosy: Argosy) -> None:
    flip_blob(ground_of(argosy), bytes.fromhex(argosy.documents("snapshots")[0][-1]["tree"]))
    before = sorted(path.name for path in (argosy.repository / "snapshots").iterdir())
    assert "cannot be read" in argosy.says("rewrite", "--exclude", "*.md", "--forget", "latest", expect=1)
    assert sorted(path.name for path in (argosy.repository / "snapshots").iterdir()) == before


def files(argosy: Argosy) -> list[Path]:
    return sorted(path for path in argosy.repository.rglob("*") if path.is_file() and path.parent.name != "locks")
