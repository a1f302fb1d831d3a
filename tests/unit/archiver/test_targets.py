"""From the paths that a user names to the top of the snapshot's tree."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.archiver.targets import (
    Target,
    TopNode,
    is_directory,
    lstat_top,
    plan_top,
    resolve_targets,
    stat_above,
)
from argosy.errors import SourceGone, UsageError


def shape(node: TopNode) -> object:
    """Paths of targets, and below other directories what is in them."""
    if node.is_target:
        return node.path
    return {name: shape(child) for name, child in sorted(node.children.items())}


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (b"/a/b", Target(b"/a/b", (b"a", b"b"))),
        (b"/a//b/../c/", Target(b"/a/c", (b"a", b"c"))),
        (b"/", Target(b"/", ())),
        (b"x/y", Target(b"/work/x/y", (b"x", b"y"))),
        (b"./x", Target(b"/work/x", (b"x",))),
        (b"../x", Target(b"/x", (b"x",))),
        (b".", Target(b"/work", ())),
        (b"..", Target(b"/", ())),
        (b"\xff", Target(b"/work/\xff", (b"\xff",))),
    ],
)
def test_a_path_is_read_where_it_is_and_shown_as_it_was_given(path: bytes, target: Target) -> None:
    assert resolve_targets([path], b"/work") == [target]


def test_a_source_may_be_shown_elsewhere() -> None:
    shown = resolve_targets([b".snapshot/X"], b"/mnt/nas", shown_as=b"/mnt//nas/")
    assert shown == [Target(b"/mnt/nas/.snapshot/X", (b"mnt", b"nas"))]
    top = plan_top(shown)
    assert shape(top) == {b"mnt": {b"nas": b"/mnt/nas/.snapshot/X"}}


@pytest.mark.parametrize(("paths", "shown_as"), [([b"/a", b"/b"], b"/c"), ([], b"/c"), ([b"/a"], b"relative")])
def test_showing_elsewhere_takes_one_source_and_an_absolute_path(paths: list[bytes], shown_as: bytes) -> None:
    with pytest.raises(UsageError):
        resolve_targets(paths, b"/work", shown_as=shown_as)


def test_a_dot_among_others_stands_for_its_entries(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
    here = os.fsencode(tmp_path)
    targets = resolve_targets([b".", b"/elsewhere"], here)
    assert targets == [
        Target(here + b"/a", (b"a",)),
        Target(here + b"/b", (b"b",)),
        Target(b"/elsewhere", (b"elsewhere",)),
    ]
    with pytest.raises(SourceGone, match="missing"):
        resolve_targets([b".", b"/elsewhere"], here + b"/missing")


def test_targets_share_the_directories_above_them() -> None:
    top = plan_top([Target(b"/a/b/c", (b"a", b"b", b"c")), Target(b"/a/d", (b"a", b"d"))])
    assert shape(top) == {b"a": {b"b": {b"c": b"/a/b/c"}, b"d": b"/a/d"}}
    assert top.children[b"a"].path == b"/a"
    assert top.children[b"a"].children[b"b"].path == b"/a/b"


@pytest.mark.parametrize("swapped", [False, True])
def test_a_target_below_another_is_part_of_it(swapped: bool) -> None:
    targets = [Target(b"/a", (b"a",)), Target(b"/a/b", (b"a", b"b")), Target(b"/a", (b"a",))]
    assert shape(plan_top(targets[::-1] if swapped else targets)) == {b"a": b"/a"}


def test_the_root_of_all_takes_everything_in() -> None:
    assert shape(plan_top([Target(b"/a", (b"a",)), Target(b"/", ())])) == b"/"


def test_two_sources_in_one_place_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"/one/x and /two/x"):
        plan_top([Target(b"/one/x", (b"x",)), Target(b"/two/x", (b"x",))])


def test_a_path_is_seen_as_it_is_and_what_is_above_as_it_leads(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to("directory")
    link = os.fsencode(tmp_path / "link")
    assert not is_directory(link)
    assert is_directory(os.fsencode(tmp_path / "directory"))
    assert stat_above(link).st_ino == (tmp_path / "directory").stat().st_ino
    assert lstat_top(link).st_ino == (tmp_path / "link").lstat().st_ino
    with pytest.raises(SourceGone, match="missing"):
        lstat_top(os.fsencode(tmp_path / "missing"))
