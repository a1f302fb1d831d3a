"""--delete removes what the snapshot does not have: within the selected part, never elsewhere, never by mistake."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import UsageError
from argosy.operations.session import Access
from argosy.restorer.cuts import Cuts
from tests.e2e.restore_scene import Forge, directory_node, restore, restore_from, restore_soundly
from tests.support.backups import Scene
from tests.support.machines import Machines
from tests.support.restic import PASSWORD, require_restic
from tests.support.trees import Symlink, assert_same_tree, make_tree, snapshot_tree

SAVED: dict[str, Any] = {
    "keep": b"x",
    "dir": {"keep": b"x", "sub": {"keep.txt": b"x"}},
    "empty": {},
    "only": {"dirs": {"below": {"keep": b"x"}}},
}
SUPERFLUOUS: dict[str, Any] = {
    "keep": b"changed",
    "gone": b"x",
    "gone dir": {"a": b"x", "b.txt": b"x", "sub": {"c.txt": b"x"}},
    "dir": {"gone.txt": b"x", "sub": {"gone": b"x", "deep": {"er": {"est": b"x"}}}},
    "empty": {"gone": b"x"},
    "link": Symlink("../outside"),
    "only": {"gone": b"x", "dirs": {"gone": b"x"}},
}


@pytest.mark.parametrize("cuts", [Cuts(), Cuts(entries=1)], ids=["usual cuts", "tiny cuts"])
@pytest.mark.parametrize(
    "patterns",
    [
        {},
        {"include": ["/source/dir"]},
        {"include": ["*.txt"]},
        {"include": ["/source/dir/sub", "/source/empty"]},
        {"exclude": ["dir"]},
        {"exclude": ["gone"]},
        {"iinclude": ["GONE*"]},
        {"include": ["/source/none"]},
    ],
    ids=str,
)
def test_the_same_is_deleted_as_by_restic(
    scene: Scene, tmp_path: Path, patterns: dict[str, list[str]], cuts: Cuts
) -> None:
    make_tree(tmp_path / "source", SAVED)
    scene.backup(tmp_path / "source")
    targets = [tmp_path / "by restic", tmp_path / "by argosy"]
    for target in targets:
        make_tree(target / "source", SUPERFLUOUS)
        make_tree(target / "outside", {"stays": b"x"} if not patterns else {})
    flags = [f"--{name}={text}" for name, texts in patterns.items() for text in texts]
    theirs = scene.restic(require_restic((0, 18, 0)))
    *_, summary = theirs.json_lines("restore", "latest", "--target", targets[0], "--delete", *flags)
    options: dict[str, Any] = dict(patterns)
    result = restore_soundly(scene, targets[1], delete=True, cuts=cuts, **options)
    assert_same_tree(*targets, ignore=frozenset({"mtime_ns"}))
    assert result.deleted == summary.get("files_deleted", 0)


def test_an_excluded_entry_survives_in_a_directory_that_is_deleted(scene: Scene, tmp_path: Path) -> None:
    """restic deletes it with the directory."""
    make_tree(tmp_path / "source", {"keep": b"x"})
    scene.backup(tmp_path / "source")
    make_tree(tmp_path / "target/source", {"gone": {"a.keep": b"x", "b": b"x", "sub": {"c": b"x"}}})
    result = restore_soundly(scene, tmp_path / "target", delete=True, exclude=["*.keep"])
    assert set(snapshot_tree(tmp_path / "target/source")) == {b"keep", b"gone", b"gone/a.keep"}
    assert result.deleted == 3


def test_a_link_is_deleted_and_not_followed(scene: Scene, tmp_path: Path) -> None:
    make_tree(tmp_path / "source", {"keep": b"x"})
    scene.backup(tmp_path / "source")
    make_tree(tmp_path / "outside", {"stays": b"x", "dir": {"stays": b"x"}})
    make_tree(
        tmp_path / "target/source", {"link": Symlink("../../outside"), "dir": {"link": Symlink("../../../outside")}}
    )
    before = snapshot_tree(tmp_path / "outside")
    restore_soundly(scene, tmp_path / "target", delete=True)
    assert set(snapshot_tree(tmp_path / "target/source")) == {b"keep"}
    assert snapshot_tree(tmp_path / "outside") == before


def test_a_dry_run_deletes_nothing_and_says_what_would_go(scene: Scene, tmp_path: Path) -> None:
    make_tree(tmp_path / "source", SAVED)
    scene.backup(tmp_path / "source")
    make_tree(tmp_path / "target/source", SUPERFLUOUS)
    before = snapshot_tree(tmp_path / "target", with_root=True)
    dry, dry_heard = restore(scene, tmp_path / "target", delete=True, dry_run=True, listing=True)
    assert snapshot_tree(tmp_path / "target", with_root=True) == before
    real, heard = restore(scene, tmp_path / "target", delete=True, listing=True)
    assert (dry.deleted, dry.entries_restored, dry.entries_skipped, dry.bytes_restored) == (
        real.deleted,
        real.entries_restored,
        real.entries_skipped,
        real.bytes_restored,
    )
    assert sorted(dry_heard.items, key=str) == sorted(heard.items, key=str)


def test_nothing_is_deleted_where_the_snapshot_cannot_be_read(scene: Scene, tmp_path: Path) -> None:
    """A directory whose tree is missing looks empty; what is there stays. restic 0.18 deletes it."""
    forge = Forge(scene)
    missing = bytes(range(32))
    root = forge.tree(
        directory_node(b"broken", missing),
        directory_node(b"malformed", forge.tree(b'{"name":["x"]}')),
        directory_node(b"names", forge.tree(forge.file(b"..", b"x"), forge.file(b"good", b"x"))),
        directory_node(b"sound", forge.tree(forge.file(b"good", b"x"))),
    )
    snapshot = forge.snapshot(root)
    names = ("broken", "malformed", "names", "sound")
    make_tree(tmp_path / "target", {name: {"found": b"x"} for name in names})
    _, heard = restore(scene, tmp_path / "target", snapshot=snapshot, delete=True)
    assert heard.named == [b"/broken", b"/malformed", b"/names"]
    left = {name: sorted(os.listdir(tmp_path / "target" / name)) for name in names}
    assert left == {"broken": ["found"], "malformed": ["found"], "names": ["found", "good"], "sound": ["good"]}


def test_the_repository_and_the_cache_are_not_deleted(machines: Machines, tmp_path: Path) -> None:
    """They may lie in the target, which need not be in the snapshot. A cluster's cache is its master's."""
    target = tmp_path / "target"
    scene = Scene(target / "inside", machines).init()
    make_tree(tmp_path / "source", {"keep": b"x"})
    scene.backup(tmp_path / "source")
    make_tree(target, {"gone": b"x"})
    _, heard = restore(scene, target, delete=True)
    caches = [] if machines.is_cluster else [b"/inside/cache"]
    assert heard.named == [*caches, b"/inside/repository"]
    assert not (target / "gone").exists()
    access = Access(str(scene.repository), PASSWORD.encode, scene.home / "cache")
    _, heard = restore_from(access, tmp_path / "elsewhere", machines)
    assert heard.errors == []


def test_delete_of_everything_at_the_root_is_refused(scene: Scene) -> None:
    for target in ("/", "/..", "/usr/.."):
        with pytest.raises(UsageError, match="must be combined with an include or exclude filter"):
            restore(scene, Path(target), delete=True)
