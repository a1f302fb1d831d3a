"""Deleting what the snapshot does not have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from argosy.restorer import deleting
from argosy.restorer.deleting import Deleter
from argosy.restorer.directories import OpenDirectory
from argosy.restorer.selection import Selection, SelectionSpec
from tests.support.trees import Symlink, make_tree, snapshot_tree

TREE = {"keep": b"x", "dir": {"a": b"x", "sub": {"b.keep": b"x", "c": b"x"}}, "link": Symlink("keep")}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[OpenDirectory]:
    make_tree(tmp_path, TREE)
    opened = OpenDirectory(os.open(tmp_path, os.O_RDONLY))
    yield opened
    opened.close()


def deleter(spec: dict[str, Any] | None = None, *, protected: Any = (), dry_run: bool = False) -> Deleter:
    return Deleter(Selection(SelectionSpec(**(spec or {}))), protected, dry_run=dry_run)


def test_everything_but_the_names_to_keep_goes_children_first(place: OpenDirectory, tmp_path: Path) -> None:
    dry = deleter(dry_run=True).clean(place, b"at", [b"keep"])
    assert set(snapshot_tree(tmp_path)) == set(snapshot_tree(tmp_path))
    deleted = deleter().clean(place, b"at", [b"keep"])
    assert deleted.paths == [
        b"/at/dir/a",
        b"/at/dir/sub/b.keep",
        b"/at/dir/sub/c",
        b"/at/dir/sub",
        b"/at/dir",
        b"/at/link",
    ]
    assert (dry.paths, dry.errors, deleted.errors) == (deleted.paths, [], [])
    assert set(snapshot_tree(tmp_path)) == {b"keep"}


def test_what_is_not_selected_stays_with_its_directories(place: OpenDirectory, tmp_path: Path) -> None:
    deleted = deleter({"exclude": [b"*.keep"]}).clean(place, b"", [b"keep", b"link"])
    assert deleted.paths == [b"/dir/a", b"/dir/sub/c"]
    assert set(snapshot_tree(tmp_path)) == {b"keep", b"link", b"dir", b"dir/sub", b"dir/sub/b.keep"}
    assert deleted.errors == []


def test_protected_directories_stay(place: OpenDirectory, tmp_path: Path) -> None:
    found = (tmp_path / "dir/sub").stat()
    deleted = deleter(protected=[(found.st_dev, found.st_ino)]).clean(place, b"", [])
    assert [path for path, _ in deleted.errors] == [b"/dir/sub"]
    assert set(snapshot_tree(tmp_path)) == {b"dir", b"dir/sub", b"dir/sub/b.keep", b"dir/sub/c"}


def test_what_lies_too_deep_is_left_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each level takes a descriptor."""
    monkeypatch.setattr(deleting, "_DEEPEST", 2)
    make_tree(tmp_path, {"1": {"2": {"3": {"4": {}}}, "file": b"x"}})
    opened = OpenDirectory(os.open(tmp_path, os.O_RDONLY))
    deleted = deleter().clean(opened, b"", [])
    opened.close()
    assert deleted.paths == [b"/1/file"]
    assert [path for path, _ in deleted.errors] == [b"/1/2/3"]


def test_one_that_cannot_be_deleted_is_named_and_the_rest_goes(
    place: OpenDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = os.unlink

    def refuse(name: bytes, *, dir_fd: int) -> None:
        if name == b"a":
            raise PermissionError(1, "Operation not permitted")
        unlink(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuse)
    deleted = deleter().clean(place, b"", [])
    assert deleted.errors == [(b"/dir/a", "it could not be deleted: Operation not permitted")]
    assert set(snapshot_tree(tmp_path)) == {b"dir", b"dir/a"}
