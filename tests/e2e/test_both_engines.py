"""A backup, a check and a restore, one after the other: on either engine always, also in the short form of the run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.operations.check.options import CheckObserver, CheckOptions
from argosy.operations.check.subset import READ_ALL
from argosy.restorer.overwrite import Overwrite
from tests.e2e.restore_scene import Forge, damage_blob, restore, restore_soundly
from tests.e2e.test_backup_kinds import OF_ROOT, TREE
from tests.support.backups import Scene, assert_sound
from tests.support.restic import require_restic
from tests.support.trees import assert_same_tree, make_tree

pytestmark = pytest.mark.always_on_both


def checked(scene: Scene) -> int:
    """The exit code of a check that reads all data."""
    return scene.machines.check(scene.access(), CheckOptions(READ_ALL), CheckObserver()).exit_code


def test_every_kind_of_entry_goes_in_and_comes_back(scene: Scene, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    make_tree(source, {name: entry for name, entry in TREE.items() if name != "hard pipe"})
    if os.geteuid() == 0:
        make_tree(source, OF_ROOT)
    result = scene.backup(source)
    assert (result.exit_code, result.unread) == (0, 0)
    assert_sound(scene, require_restic())
    assert checked(scene) == 0
    restore_soundly(scene, target, verify=True)
    assert_same_tree(source, target / "source", with_root=True)


def test_only_what_changed_is_read_and_stored_again(scene: Scene, tmp_path: Path) -> None:
    source = tmp_path / "source"
    make_tree(source, {f"d{number}": {f"f{file}": b"%d" % file * 2000 for file in range(30)} for number in range(10)})
    first = scene.backup(source)
    again = scene.backup(source)
    assert again.tree_id == first.tree_id
    assert (again.counters.get("files_unmodified"), again.counters.get("data_blobs", 0)) == (300, 0)
    (source / "d3" / "f7").write_bytes(b"changed")
    changed = scene.backup(source)
    assert (changed.counters["files_changed"], changed.counters["data_blobs"]) == (1, 1)
    # Both engines give the same tree.
    assert Scene(tmp_path / "alone").init_like(scene).backup(source).tree_id == changed.tree_id


def test_a_target_that_is_not_empty_is_treated_as_asked(scene: Scene, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    make_tree(source, {"kept": b"of the snapshot", "other": b"x", "dir": {"in": b"y"}})
    scene.backup(source)
    make_tree(target / "source", {"kept": b"of the target", "stray": b"", "dir": {"stray": {"in": b""}}})
    left = restore_soundly(scene, target, overwrite=Overwrite.NEVER)
    assert (target / "source" / "kept").read_bytes() == b"of the target"
    assert left.entries_skipped == 1
    assert restore_soundly(scene, target, delete=True, include=["/source/dir"]).deleted == 2
    assert (target / "source" / "stray").exists()
    restore_soundly(scene, target, delete=True)
    assert_same_tree(source, target / "source")


def test_damage_is_named_and_the_rest_comes_back(scene: Scene, tmp_path: Path) -> None:
    forge = Forge(scene)
    lost = forge.blob(b"lost content")
    files = [forge.file(b"a", b"sound"), forge.file(b"b", b"lost content"), forge.file(b"c", b"sound, too")]
    forge.snapshot(forge.tree(*files))
    damage_blob(scene, lost)
    assert checked(scene) == 1
    result, heard = restore(scene, tmp_path / "target")
    assert (result.exit_code, heard.named) == (1, [b"/b"])
    assert sorted(path.name for path in (tmp_path / "target").iterdir()) == ["a", "c"]
