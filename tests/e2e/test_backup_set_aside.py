"""Files that kill whoever reads them: they are named, and the backup has all else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.filesystem.exclude import ExcludeRules
from tests.e2e.engines import Why
from tests.e2e.test_backup_changing_source import MIB, SEGMENTS, content, disturbed, listed
from tests.support.backups import Outcome, Scene, assert_sound
from tests.support.restic import require_restic
from tests.support.trees import HardLink, make_tree

ALWAYS = ["kill", 999]


def assert_set_aside(scene: Scene, source: Path, outcome: Outcome, *victims: str) -> None:
    """Exit code 3, these files named to the user and in the job's log, and the tree of a source without them."""
    named = sorted(str(source / victim) for victim in victims)
    assert (outcome.returncode, outcome["unread"]) == (3, len(victims))
    assert sorted(path for path, _ in outcome["unread_entries"]) == named
    assert all("SIGKILL" in reason for _, reason in outcome["unread_entries"])
    assert all(any(f"set aside: {path}: " in text for text in outcome["log"]) for path in named)
    assert_sound(scene, require_restic())
    rules = ExcludeRules([os.fsencode("/" + path.lstrip("/")) for path in named])
    assert outcome.tree_id == scene.backup(source, force=True, rules=rules).tree_id.hex()


def flat(source: Path, files: int) -> Path:
    make_tree(source, {f"f{number:03d}": b"%d" % number * 9 for number in range(files)})
    return source


def test_one_file_of_hundreds_costs_this_file_alone(scene: Scene, tmp_path: Path) -> None:
    """The batch is halved until the file is alone; all others are restored."""
    source = flat(tmp_path / "source", 500)
    outcome = disturbed(scene, source, {"f123": ALWAYS})
    scene.restic(require_restic()).run("restore", "latest", "--target", str(tmp_path / "restored"))
    restored = {path.name: path.read_bytes() for path in (tmp_path / "restored").rglob("f*")}
    assert restored == {path.name: path.read_bytes() for path in source.iterdir() if path.name != "f123"}
    assert_set_aside(scene, source, outcome, "f123")


def test_two_files_of_one_batch_and_whole_directories(scene: Scene, tmp_path: Path) -> None:
    """A directory whose tree a worker was to build is joined by the master, once it is cut."""
    source = tmp_path / "source"
    leaf = {"1": b"one", "2": b"two", "3": b"three"}
    make_tree(source, {"a": leaf, "b": {**leaf, "bad": b"x"}, "c": {"worse": b"y"}, "d": {}, "e": leaf, "f": b"f"})
    outcome = disturbed(scene, source, {"bad": ALWAYS, "worse": ALWAYS})
    assert_set_aside(scene, source, outcome, "b/bad", "c/worse")
    assert "/source/c" in listed(scene)


def test_the_other_names_of_a_hard_link_are_read(scene: Scene, tmp_path: Path) -> None:
    """Where its first name cannot be read, the second is tried for itself."""
    source = tmp_path / "source"
    make_tree(source, {"d1": {"first": b"content", "x": b"x"}, "d2": {"second": HardLink("d1/first")}})
    outcome = disturbed(scene, source, {"first": ALWAYS}, scan_threads=1)
    assert (outcome.returncode, outcome["unread"]) == (3, 1)
    assert content(scene, "/source/d2/second") == b"content"
    assert "/source/d1/first" not in listed(scene)


def test_a_big_file_is_set_aside_and_named_once(scene: Scene, tmp_path: Path) -> None:
    """A segment cannot be cut."""
    source = tmp_path / "source"
    make_tree(source, {"a": b"a", "big": os.urandom(2 * MIB + 1), "z": b"z"})
    outcome = disturbed(scene, source, {"big": ALWAYS}, limits=SEGMENTS)
    assert_set_aside(scene, source, outcome, "big")


def test_a_file_that_the_parent_has_is_left_out_too(scene: Scene, tmp_path: Path) -> None:
    """As any file that cannot be read: an older version does not stand in for it."""
    source = flat(tmp_path / "source", 5)
    scene.backup(source)
    (source / "f002").write_bytes(b"another content")
    outcome = disturbed(scene, source, {"f002": ALWAYS})
    assert_set_aside(scene, source, outcome, "f002")


@pytest.mark.one_engine(Why.THIS_PROCESS)
@pytest.mark.parametrize("nth", [2, 4])
def test_a_master_that_dies_between_the_halvings_goes_on(scene: Scene, tmp_path: Path, nth: int) -> None:
    """What was cut stays cut, nothing comes twice or is missing."""
    source = flat(tmp_path / "source", 8)
    crashed = disturbed(scene, source, {"f005": ALWAYS}, crash="before a batch is split or set aside", nth=nth)
    assert crashed.returncode == -9
    outcome = disturbed(scene, source, {"f005": ALWAYS})
    assert outcome["resumed"]
    assert_set_aside(scene, source, outcome, "f005")
