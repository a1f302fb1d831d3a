"""Listing directories: raw names, one lstat each, bounded memory, no link followed."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import StateError, StateFull
from argosy.filesystem.directory import (
    Entry,
    UnreadableEntry,
    iter_directory_sorted,
    list_directory,
    open_below,
    open_child,
    open_directory,
)
from tests.support.trees import Symlink, Tree, make_tree

AWKWARD = [bytes([byte]) + b"x" for byte in range(1, 256) if byte != ord("/")]
AWKWARD += [
    b"\n",
    b" ",
    b"-rf",
    b"*",
    b"\\",
    b"...",
    b".hidden",
    b"n" * 255,
    "é".encode(),
    b"\xc3(",
    b"\xff\xfe",
]


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = open_directory(os.fsencode(path))
    try:
        yield fd
    finally:
        os.close(fd)


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_every_byte_of_a_name_comes_back(tmp_path: Path) -> None:
    make_tree(tmp_path / "d", dict.fromkeys(AWKWARD, b""))
    with opened(tmp_path / "d") as fd:
        assert sorted(entry.name for entry in list_directory(fd)) == sorted(AWKWARD)


def test_an_entry_carries_its_lstat_also_of_a_link(tmp_path: Path) -> None:
    make_tree(tmp_path / "d", {"file": b"12345", "link": Symlink("file"), "dangling": Symlink("nowhere")})
    with opened(tmp_path / "d") as fd:
        for name, stat in list_directory(fd):
            assert stat == os.lstat(tmp_path / "d" / os.fsdecode(name))


def test_an_empty_directory_has_no_entries(tmp_path: Path) -> None:
    with opened(tmp_path) as fd:
        assert list_directory(fd) == []
        assert list(iter_directory_sorted(fd, tmp_path)) == []


def failing_lstat(monkeypatch: pytest.MonkeyPatch, name: bytes, number: int) -> None:
    real = os.lstat

    def lstat(path: Any, **options: Any) -> os.stat_result:
        if path == name:
            raise OSError(number, os.strerror(number), path)
        return real(path, **options)

    monkeypatch.setattr(os, "lstat", lstat)


def test_a_name_that_vanishes_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tree(tmp_path / "d", {"a": b"", "b": b""})
    failing_lstat(monkeypatch, b"a", errno.ENOENT)
    with opened(tmp_path / "d") as fd:
        assert [entry.name for entry in list_directory(fd)] == [b"b"]


def test_a_name_whose_lstat_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tree(tmp_path / "d", {"a": b"", "b": b""})
    failing_lstat(monkeypatch, b"a", errno.EIO)
    unreadable: list[UnreadableEntry] = []
    with opened(tmp_path / "d") as fd:
        assert [entry.name for entry in list_directory(fd, unreadable)] == [b"b"]
        assert [(found.name, found.error.errno) for found in unreadable] == [(b"a", errno.EIO)]
        with pytest.raises(OSError, match="Input/output error"):
            list_directory(fd)


def test_a_name_that_readdir_returns_twice_appears_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file removed and made again during the listing may be seen under both of its places."""
    make_tree(tmp_path / "d", {"a": b"", "b": b""})
    real = os.scandir

    class Doubled(list[Any]):
        def __enter__(self) -> Iterator[Any]:
            return iter(self)

        def __exit__(self, *_: object) -> None:
            pass

    def scandir(path: Any) -> Doubled:
        with real(path) as listing:
            items = list(listing)
        return Doubled(items + items)

    monkeypatch.setattr(os, "scandir", scandir)
    with opened(tmp_path / "d") as fd:
        assert sorted(entry.name for entry in list_directory(fd)) == [b"a", b"b"]
        spilled = iter_directory_sorted(fd, tmp_path, threshold=2)
        assert [entry.name for entry in spilled] == [b"a", b"b"]


def test_the_listing_may_be_taken_again(tmp_path: Path) -> None:
    make_tree(tmp_path / "d", {"a": b""})
    with opened(tmp_path / "d") as fd:
        assert list_directory(fd) == list_directory(fd) != []


@pytest.mark.parametrize("threshold", [1, 7, 99, 100, 101, 1000])
def test_sorted_entries_are_the_same_whether_spilled_or_not(tmp_path: Path, threshold: int) -> None:
    names = [b"%03d" % (number * 37 % 100) for number in range(98)] + [b"\xff\xfe", b"\n"]
    make_tree(tmp_path / "d", dict.fromkeys(names, b"12"))
    spill = tmp_path / "spill"
    spill.mkdir()
    with opened(tmp_path / "d") as fd:
        entries = list(iter_directory_sorted(fd, spill, threshold))
        assert entries == sorted(list_directory(fd))
        assert [fields(e) for e in entries] == [fields(e) for e in sorted(list_directory(fd))]
    assert all(isinstance(entry, Entry) for entry in entries)
    assert list(spill.iterdir()) == []


def fields(entry: Entry) -> dict[str, Any]:
    """All fields: stat results compare by their first ten only, whose times are whole seconds."""
    return {name: getattr(entry.stat, name) for name in dir(entry.stat) if name.startswith("st_")}


def test_spilling_far_more_than_a_block_keeps_every_entry(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    for number in range(2000):
        os.link(directory / "0", directory / str(number)) if number else (directory / "0").touch()
    with opened(directory) as fd:
        names = [entry.name for entry in iter_directory_sorted(fd, tmp_path, 500)]
    assert names == sorted(b"%d" % number for number in range(2000))


def test_closing_early_leaves_no_descriptor_open(tmp_path: Path) -> None:
    make_tree(tmp_path / "d", {str(number): b"" for number in range(20)})
    with opened(tmp_path / "d") as fd:
        before = open_descriptors()
        entries = iter_directory_sorted(fd, tmp_path, 5)
        assert next(entries).name == b"0"
        entries.close()  # type: ignore[attr-defined]  # a generator behind the Iterator
        assert open_descriptors() == before


def test_a_spill_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    make_tree(tmp_path / "d", {"a": b"", "b": b""})
    with opened(tmp_path / "d") as fd, pytest.raises(StateError, match="missing"):
        list(iter_directory_sorted(fd, tmp_path / "missing", 1))


def test_a_full_spill_directory_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> io.BufferedWriter:
        return open("/dev/full", "wb")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    make_tree(tmp_path / "d", {"a": b"", "b": b""})
    with opened(tmp_path / "d") as fd, pytest.raises(StateFull, match="No space left") as caught:
        list(iter_directory_sorted(fd, tmp_path, 1))
    assert "--state-dir" in caught.value.hint


def test_a_path_longer_than_the_kernel_takes_opens(tmp_path: Path) -> None:
    tree: Tree = {"leaf": b""}
    for _ in range(45):
        tree = {b"d" * 200: tree}
    make_tree(tmp_path / "top", tree)
    path = os.fsencode(tmp_path / "top") + (b"/" + b"d" * 200) * 45
    assert len(path) > 2 * 4096
    for spelled in (path, path + b"/", path.replace(b"/top/", b"/top///")):
        fd = open_directory(spelled)
        try:
            assert [entry.name for entry in list_directory(fd)] == [b"leaf"]
        finally:
            os.close(fd)


def test_a_long_path_that_does_not_exist_leaves_no_descriptor_open(tmp_path: Path) -> None:
    make_tree(tmp_path / "top", {})
    before = open_descriptors()
    with pytest.raises(FileNotFoundError):
        open_directory(os.fsencode(tmp_path / "top") + (b"/" + b"d" * 200) * 45)
    with pytest.raises(OSError, match="File name too long"):
        open_directory(b"/" + b"d" * 5000)
    assert open_descriptors() == before


def test_links_are_followed_on_the_way_but_not_at_the_end(tmp_path: Path) -> None:
    make_tree(tmp_path / "d", {"real": {"inner": {"file": b""}}, "link": Symlink("real")})
    fd = open_directory(os.fsencode(tmp_path / "d/link/inner"))
    os.close(fd)
    for path in ("d/link", "d/link/", "d/real/inner/file"):
        with pytest.raises(NotADirectoryError):
            open_directory(os.fsencode(tmp_path / path))


def test_a_child_opens_unless_it_is_a_link_or_a_file(tmp_path: Path) -> None:
    make_tree(tmp_path / "d", {"real": {"file": b""}, "link": Symlink("real")})
    with opened(tmp_path / "d") as fd:
        child = open_child(fd, b"real")
        assert [entry.name for entry in list_directory(child)] == [b"file"]
        os.close(child)
        with pytest.raises(NotADirectoryError):
            open_child(fd, b"link")


def test_a_path_below_a_root_takes_no_link_anywhere(tmp_path: Path) -> None:
    make_tree(tmp_path / "d", {"a": {"b": {"c": {}}}, "link": Symlink("a"), "out": Symlink("..")})
    with opened(tmp_path / "d") as fd:
        before = open_descriptors()
        for path in (b"", b"a", b"a/b/c", b"a//b/c/"):
            found = open_below(fd, path)
            assert os.path.samestat(os.fstat(found), os.stat(tmp_path / "d" / os.fsdecode(path)))
            os.close(found)
        for path in (b"link", b"link/b", b"out", b"a/../../x"):
            with pytest.raises((NotADirectoryError, ValueError)):
                open_below(fd, path)
        with pytest.raises(FileNotFoundError):
            open_below(fd, b"a/b/missing/x")
        assert open_descriptors() == before
