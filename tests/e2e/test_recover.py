"""`argosy recover` finds the directories that restic 0.18 finds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.command import Argosy
from tests.support.compared import make_key_cheap
from tests.support.restic import require_restic


@pytest.fixture
def argosy(tmp_path: Path) -> Argosy:
    """Two snapshots, of which the second is removed: its root and one directory are in no other."""
    argosy = Argosy(tmp_path)
    argosy.run("init")
    make_key_cheap(str(argosy.repository))
    for name in ("kept", "also"):
        (tmp_path / "source" / name).mkdir(parents=True)
        (tmp_path / "source" / name / "file").write_bytes(name.encode())
        argosy.run("backup", "source")
    argosy.run("forget", argosy.documents("snapshots")[0][-1]["id"])
    return argosy


def test_what_nothing_names_is_saved_as_restic_saves_it(argosy: Argosy, tmp_path: Path) -> None:
    theirs = require_restic((0, 18, 0)).at(shutil.copytree(argosy.repository, tmp_path / "theirs"), tmp_path)
    (found,) = [d for d in argosy.documents("recover") if d["message_type"] == "recovered"]
    theirs.run("recover")
    ours = require_restic((0, 18, 0)).at(argosy.repository, tmp_path)
    listed = []
    for repository in (ours, theirs):
        (snapshots,) = repository.json_lines("snapshots", "--tag", "recovered")
        assert [snapshot["paths"] for snapshot in snapshots] == [["/recover"]]
        nodes = repository.json_lines("ls", "latest", "--tag", "recovered")[1:]
        listed.append([(node["path"], node["type"]) for node in nodes])
    assert listed[0] == listed[1]
    assert (f"/{found['trees'][0][:8]}/source/also/file", "file") in listed[0]
    ours.check()


def test_there_is_nothing_to_recover_a_second_time(argosy: Argosy) -> None:
    assert "found 1 directory" in argosy.says("recover")
    assert "no snapshot to make" in argosy.says("recover")
    assert len(argosy.documents("snapshots")[0]) == 2
