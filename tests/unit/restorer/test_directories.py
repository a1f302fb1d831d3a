"""Directories of the target: reached step by step, made on demand, never through a link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.errors import RestoreError
from argosy.restorer import directories
from argosy.restorer.directories import TargetDirectories, Unreachable, remove_in_the_way
from tests.support.trees import Symlink, make_tree, snapshot_tree


def opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


def making(target: Path, *, replace: bool = True) -> TargetDirectories:
    return TargetDirectories(opened(target), create=True, replace=replace)


def test_missing_directories_are_made_private_and_fresh(tmp_path: Path) -> None:
    make_tree(tmp_path, {"found": {}})
    target = making(tmp_path)
    assert target.get(b"new/er/est").fresh
    assert not target.get(b"found").fresh
    assert target.get(b"found/new").fresh
    assert (tmp_path / "new/er/est").stat().st_mode & 0o777 == 0o700
    assert target.get(b"new/er") is target.get(b"new/er")
    target.forget()
    assert not target.get(b"new/er/est").fresh
    target.close()


def test_nothing_is_made_where_that_is_not_wanted(tmp_path: Path) -> None:
    make_tree(tmp_path, {"found": {}})
    target = TargetDirectories(opened(tmp_path), create=False)
    target.get(b"found")
    with pytest.raises(FileNotFoundError):
        target.get(b"found/new")
    with pytest.raises(FileNotFoundError):
        TargetDirectories(None, create=False).get(b"")
    target.close()
    assert set(snapshot_tree(tmp_path)) == {b"found"}


@pytest.mark.parametrize("in_the_way", [b"a file", Symlink("../outside"), Symlink("nowhere")], ids=repr)
def test_what_is_no_directory_gives_way_if_it_may(tmp_path: Path, in_the_way: object) -> None:
    """A symbolic link is never followed, and what it points at stays."""
    make_tree(tmp_path, {"outside": {"stays": b"x"}, "target": {"a": in_the_way}})
    target = making(tmp_path / "target", replace=False)
    with pytest.raises(Unreachable, match="something else at the target") as caught:
        target.get(b"a/b/c")
    assert caught.value.path == b"a"
    target.close()
    target = making(tmp_path / "target")
    assert target.get(b"a/b").fresh
    target.close()
    assert set(snapshot_tree(tmp_path)) == {b"outside", b"outside/stays", b"target", b"target/a", b"target/a/b"}


@pytest.mark.parametrize("path", [b"..", b"a/../..", b"a//b", b"./a"])
def test_a_path_that_leads_elsewhere_is_refused(tmp_path: Path, path: bytes) -> None:
    target = making(tmp_path)
    with pytest.raises(RestoreError, match="may not be written"):
        target.get(path)
    target.close()


def test_few_descriptors_are_open_however_many_directories_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is in use stays open, though it left the set."""
    monkeypatch.setattr(directories, "OPEN_MOST", 8)
    before = len(os.listdir("/proc/self/fd"))
    target = making(tmp_path)
    used = target.get(b"used")
    for number in range(50):
        target.get(b"dir %d/sub" % number)
    target.get(b"/".join([b"deep"] * 100))
    assert len(os.listdir("/proc/self/fd")) <= before + 11
    assert os.fstat(used.fd).st_ino == (tmp_path / "used").stat().st_ino
    used.close()
    target.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_default_acl_is_noticed(tmp_path: Path) -> None:
    target = making(tmp_path)
    assert not target.get(b"a").gives_acl
    # Version 2; the owner rwx, the group and others nothing.
    entries = b"".join(
        tag.to_bytes(2, "little") + mode.to_bytes(2, "little") + b"\xff" * 4 for tag, mode in ((1, 7), (4, 0), (32, 0))
    )
    try:
        os.setxattr(tmp_path / "a", "system.posix_acl_default", b"\x02\0\0\0" + entries)
    except OSError:
        pytest.skip("the file system has no ACLs")
    target.forget()
    assert target.get(b"a").gives_acl
    target.close()


def test_what_is_in_the_way_is_removed(tmp_path: Path) -> None:
    """Directories that hold something only if all of it may go."""
    make_tree(tmp_path, {"file": b"x", "link": Symlink("file"), "empty": {}, "full": {"x": b"x"}})
    target = making(tmp_path)
    root = target.get(b"")
    for name in (b"gone", b"link", b"file", b"empty"):
        remove_in_the_way(root, name, recursive=False)
    with pytest.raises(OSError, match="not empty"):
        remove_in_the_way(root, b"full", recursive=False)
    remove_in_the_way(root, b"full", recursive=True)
    target.close()
    assert snapshot_tree(tmp_path) == {}
