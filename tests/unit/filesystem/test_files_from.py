"""Lists of what to back up: patterns expanded, paths taken verbatim, paths with zero bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.errors import UsageError
from argosy.filesystem.files_from import expand_glob, paths_from_patterns, paths_raw, paths_verbatim
from tests.support.trees import Directory, Symlink, make_tree

TREE = {
    "a": {"one.txt": b"", "two.txt": b"", "three": b"", ".hidden.txt": b""},
    "b": {"one.txt": b"", b"caf\xff.txt": b"", "deep": {"one.txt": b""}},
    "c*": {"[x]": b""},
    "file": b"",
    "dangling": Symlink("nowhere"),
    "link": Symlink("a"),
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_tree(tmp_path, TREE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (b"file", [b"file"]),
        (b"./file", [b"./file"]),
        (b"a/", [b"a/"]),
        (b"dangling", [b"dangling"]),
        (b"missing", []),
        (b"a/*.txt", [b"a/.hidden.txt", b"a/one.txt", b"a/two.txt"]),
        (b"./a/t*", [b"a/three", b"a/two.txt"]),
        (b"*/one.txt", [b"a/one.txt", b"b/one.txt", b"link/one.txt"]),
        (b"[ab]/one.*", [b"a/one.txt", b"b/one.txt"]),
        (b"*/*/one.txt", [b"b/deep/one.txt"]),
        (b"b/caf?.txt", [b"b/caf\xff.txt"]),
        (b"c\\*/\\[x]", [b"c*/[x]"]),
        (b"file/*", []),
        (b"missing/*", []),
        (b"**/one.txt", [b"a/one.txt", b"b/one.txt", b"link/one.txt"]),
        (b"d*", [b"dangling"]),
        (b"?", [b"a", b"b"]),
        (b"*/", []),
    ],
)
@pytest.mark.usefixtures("place")
def test_patterns_are_expanded_as_gos_glob_does(pattern: bytes, found: list[bytes]) -> None:
    assert expand_glob(pattern) == found


def test_absolute_patterns_give_absolute_paths(place: Path) -> None:
    root = os.fsencode(place)
    assert expand_glob(root + b"/?/one.txt") == [root + b"/a/one.txt", root + b"/b/one.txt"]
    assert b"/proc" in expand_glob(b"/pro*")


@pytest.mark.usefixtures("place")
def test_a_directory_that_may_not_be_read_holds_no_match() -> None:
    make_tree(Path("shut"), {"inner": Directory({"f": b""}, mode=0)})
    if os.geteuid() != 0:  # root may read it all the same
        assert expand_glob(b"shut/inner/*") == []
    assert expand_glob(b"shut/*") == [b"shut/inner"]
    Path("shut/inner").chmod(0o700)


@pytest.mark.parametrize("pattern", [b"[", b"a/[", b"[/x", b"*/x\\"])
def test_a_malformed_pattern_is_named(pattern: bytes) -> None:
    with pytest.raises(UsageError, match="invalid pattern"):
        expand_glob(pattern)


@pytest.mark.usefixtures("place")
def test_a_list_of_patterns_keeps_its_order_and_names_what_matches_nothing() -> None:
    unmatched: list[bytes] = []
    data = b"# list\n\n  b/one.txt \nnothing*\nmissing\na/o*\n"
    assert paths_from_patterns(data, unmatched) == [b"b/one.txt", b"a/one.txt"]
    assert unmatched == [b"nothing*", b"missing"]


def test_verbatim_lines_keep_spaces_and_number_signs() -> None:
    assert paths_verbatim(b"# a\n b \n\nc*\r\n\xff") == [b"# a", b" b ", b"c*", b"\xff"]


def test_raw_paths_may_hold_anything_but_a_zero_byte() -> None:
    assert paths_raw(b"") == []
    assert paths_raw(b"a\nb\0 \xff\0") == [b"a\nb", b" \xff"]


@pytest.mark.parametrize("data", [b"a", b"a\0b", b"a\0\0b\0", b"\0"])
def test_raw_paths_that_are_empty_or_unfinished_are_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match="--files-from-raw"):
        paths_raw(data)
