"""The rules of a backup: what is left out of a directory, and what the user is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.errors import UsageError
from argosy.filesystem.directory import list_directory, open_directory
from argosy.filesystem.exclude import (
    CACHE_TAG,
    ExcludeRules,
    Selection,
    TagRule,
    parse_size,
    parse_tag_rule,
    read_pattern_file,
)
from tests.support.trees import Fifo, File, Symlink, Tree, make_tree


def select(rules: ExcludeRules, path: Path, tree: Tree) -> tuple[Selection, set[bytes]]:
    make_tree(path, tree)
    fd = open_directory(os.fsencode(path))
    try:
        selection = rules.select(os.fsencode(path), fd, list_directory(fd))
    finally:
        os.close(fd)
    return selection, {entry.name for entry in selection.kept}


def test_without_rules_everything_is_kept(tmp_path: Path) -> None:
    selection, kept = select(ExcludeRules(), tmp_path, {"a": b"", "d": {}, b"\xff": b""})
    assert kept == {b"a", b"d", b"\xff"}
    assert (selection.excluded, selection.snapshot_directories, selection.warnings) == (0, [], [])
    assert not ExcludeRules().excluded(b"/a", is_dir=False)


def test_patterns_leave_out_what_they_match(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path)
    rules = ExcludeRules([b"*.tmp", root + b"/d"], [b"NOTES*"])
    selection, kept = select(rules, tmp_path, {"a.tmp": b"", "A.TMP": b"", "d": {}, "notes.txt": b"", "x": b""})
    assert kept == {b"A.TMP", b"x"}
    assert selection.excluded == 3
    assert rules.excluded(root + b"/d/below", is_dir=False)
    assert rules.excluded(b"/elsewhere/Notes", is_dir=True)
    assert not rules.excluded(b"/elsewhere/d", is_dir=True)


def test_literal_paths_take_no_wildcards(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path)
    rules = ExcludeRules(paths=[root + b"/a*/", root + b"/b"])
    selection, kept = select(rules, tmp_path, {"a*": {}, "ab": b"", "b": b""})
    assert kept == {b"ab"}
    assert selection.excluded == 2
    assert rules.excluded(root + b"/b/below/it", is_dir=False)
    assert not rules.excluded(root + b"/bb", is_dir=False)


def test_storage_snapshots_are_skipped_and_named_unless_asked_for(tmp_path: Path) -> None:
    tree: Tree = {
        ".snapshot": {},
        "~snapshot": {},
        ".zfs": {},
        "@eaDir": b"a file",
        ".snapshots": {},
        "x": b"",
    }
    rules = ExcludeRules()
    selection, kept = select(rules, tmp_path / "a", tree)
    assert kept == {b"@eaDir", b".snapshots", b"x"}
    assert sorted(selection.snapshot_directories) == [b".snapshot", b".zfs", b"~snapshot"]
    assert selection.excluded == 0
    assert rules.excluded(b"/x/.snapshot", is_dir=True)
    assert not rules.excluded(b"/x/.snapshot", is_dir=False)
    _, all_kept = select(ExcludeRules(snapshot_directories=frozenset()), tmp_path / "b", tree)
    assert len(all_kept) == 6


def test_large_files_are_left_out_but_no_directory(tmp_path: Path) -> None:
    tree: Tree = {"small": b"x" * 10, "large": b"x" * 11, "d": {}, "link": Symlink("x" * 11), "pipe": Fifo()}
    selection, kept = select(ExcludeRules(larger_than_bytes=10), tmp_path, tree)
    assert kept == {b"small", b"d", b"pipe"}
    assert selection.excluded == 2


def test_a_tagged_directory_keeps_its_tag_alone(tmp_path: Path) -> None:
    rules = ExcludeRules(tags=[TagRule(b".nobackup")])
    selection, kept = select(rules, tmp_path / "a", {".nobackup": Symlink("dangling"), "x": b"", "d": {}})
    assert kept == {b".nobackup"}
    assert selection.excluded == 2
    assert select(rules, tmp_path / "b", {"x": b""})[1] == {b"x"}


def test_two_tags_of_different_names_leave_nothing(tmp_path: Path) -> None:
    rules = ExcludeRules(tags=[TagRule(b"t"), TagRule(b"u")])
    assert select(rules, tmp_path, {"t": b"", "u": b"", "x": b""})[1] == set()


def test_a_tag_needs_its_header(tmp_path: Path) -> None:
    rules = ExcludeRules(tags=[CACHE_TAG])
    good = CACHE_TAG.header + b"\n# made by a test\n"
    assert select(rules, tmp_path / "a", {"CACHEDIR.TAG": good, "x": b""})[1] == {b"CACHEDIR.TAG"}
    linked: Tree = {"real": good, "CACHEDIR.TAG": Symlink("real"), "x": b""}
    assert select(rules, tmp_path / "b", linked)[1] == {b"CACHEDIR.TAG"}
    for number, content in enumerate((b"", b"Signature", good.lower())):
        selection, kept = select(rules, tmp_path / f"c{number}", {"CACHEDIR.TAG": content, "x": b""})
        assert kept == {b"CACHEDIR.TAG", b"x"}
        assert f"c{number}/CACHEDIR.TAG does not start" in selection.warnings[0]


def test_a_tag_that_cannot_be_read_is_named_and_does_not_block(tmp_path: Path) -> None:
    rules = ExcludeRules(tags=[TagRule(b"t", b"header")])
    selection, kept = select(rules, tmp_path / "a", {"t": {}, "x": b""})
    assert kept == {b"t", b"x"}
    assert "a/t cannot be read: Is a directory" in selection.warnings[0]
    assert select(rules, tmp_path / "b", {"t": Fifo(), "x": b""})[1] == {b"t", b"x"}
    selection, kept = select(rules, tmp_path / "c", {"t": Symlink("nowhere"), "x": b""})
    assert kept == {b"t", b"x"}
    assert "c/t cannot be read: No such file" in selection.warnings[0]


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        (b"name", TagRule(b"name")),
        (b"name:", TagRule(b"name")),
        (b"name:head:er", TagRule(b"name", b"head:er")),
        (b"\xff:\xfe", TagRule(b"\xff", b"\xfe")),
    ],
)
def test_a_tag_rule_is_a_name_and_perhaps_a_header(spec: bytes, rule: TagRule) -> None:
    assert parse_tag_rule(spec) == rule


@pytest.mark.parametrize("spec", [b"", b":header"])
def test_a_tag_rule_needs_a_name(spec: bytes) -> None:
    with pytest.raises(UsageError, match="--exclude-if-present"):
        parse_tag_rule(spec)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("123", 123),
        ("+5", 5),
        ("7b", 7),
        ("7B", 7),
        ("1k", 1024),
        ("1K", 1024),
        ("2m", 2 * 1024**2),
        ("2M", 2 * 1024**2),
        ("3g", 3 * 1024**3),
        ("3G", 3 * 1024**3),
        ("4t", 4 * 1024**4),
        ("4T", 4 * 1024**4),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_sizes_are_in_powers_of_1024(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text", ["", "k", "-1", "1.5M", "1 M", " 1", "1_0", "1kB", "1Ki", "1e3", "x", "1p", "8388608t", "\u0665"]
)
def test_anything_else_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match="invalid size"):
        parse_size(text)


def test_a_pattern_file_is_a_list_with_variables() -> None:
    data = b"# comment\n  *.tmp  \n\n$HOME/x\n$$y\n"
    assert read_pattern_file(data, {b"HOME": b"/h"}) == [b"*.tmp", b"/h/x", b"$y"]


@pytest.mark.parametrize(("patterns", "insensitive"), [([b"[x"], []), ([], [b"[X"])])
def test_malformed_patterns_are_refused_when_the_rules_are_made(
    patterns: list[bytes], insensitive: list[bytes]
) -> None:
    with pytest.raises(UsageError, match="invalid pattern"):
        ExcludeRules(patterns, insensitive)


def test_a_file_of_the_limit_is_kept_by_its_apparent_size(tmp_path: Path) -> None:
    _, kept = select(ExcludeRules(larger_than_bytes=1 << 20), tmp_path, {"holes": File(size_bytes=(1 << 20) + 1)})
    assert kept == set()


def test_rules_that_can_concern_nothing_in_a_directory_say_so(tmp_path: Path) -> None:
    """Then the scan shows them only the entries that they may still leave out: directories, and large files."""
    make_tree(tmp_path, {"a.txt": b"", "tag": b"", "d": {}})
    root, fd = os.fsencode(tmp_path), open_directory(os.fsencode(tmp_path))
    cases = {
        (): False,
        (b"*.tmp",): False,
        (b"*.txt",): True,
        (root,): True,
        (b"*", b"!a.txt"): True,
    }
    try:
        for patterns, concerned in cases.items():
            rules = ExcludeRules(patterns)
            assert rules.may_leave_out(root, fd, lambda: [b"a.txt", b"d", b"tag"]) == concerned, patterns
        assert ExcludeRules(tags=[TagRule(b"tag", b"?")]).may_leave_out(root, fd, list)
        assert not ExcludeRules(tags=[TagRule(b"no tag")]).may_leave_out(root, fd, list)
        assert ExcludeRules(paths=[root + b"/d"]).may_leave_out(root, fd, list)
        assert not ExcludeRules(paths=[root + b"x/d"]).may_leave_out(root, fd, list)
        assert not ExcludeRules(larger_than_bytes=1).may_leave_out(root, fd, list)
    finally:
        os.close(fd)
