"""The declared trees that other tests compare by: what they must be able to make and to tell apart."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.trees import (
    Device,
    Directory,
    Fifo,
    File,
    HardLink,
    Socket,
    Symlink,
    Tree,
    assert_same_tree,
    make_tree,
    require_root,
    snapshot_tree,
)

TREE: Tree = {
    "plain": b"content",
    b"not utf-8 \xff": b"",
    "dir": Directory({"inner": File(b"x", mtime_ns=1_000_000_001)}, mode=0o750, mtime_ns=2_000_000_002),
    "shut": Directory({"inner": b""}, mode=0o500),
    "file": File(b"x", mode=0o4755, xattrs={"user.a": b"1"}),
    "holes": File(parts={1 << 20: b"data"}, size_bytes=1 << 21),
    "link": Symlink(b"../anywhere \xfe", mtime_ns=3),
    "again": HardLink("dir/inner"),
    "pipe": Fifo(mode=0o640),
    "socket": Socket(),
}


def test_a_tree_made_twice_is_the_same_twice(tmp_path: Path) -> None:
    timed: Tree = {
        "dir": Directory({"f": File(b"x", mtime_ns=5), "l": HardLink("dir/f")}, mtime_ns=6),
        "link": Symlink("x", mtime_ns=7),
        "holes": File(size_bytes=1 << 20, mtime_ns=8),
    }
    make_tree(tmp_path / "a", timed)
    make_tree(tmp_path / "b", timed)
    assert_same_tree(tmp_path / "a", tmp_path / "b", holes=True)


def test_a_tree_holds_what_was_declared(tmp_path: Path) -> None:
    make_tree(tmp_path / "a", TREE)
    found = snapshot_tree(tmp_path / "a")
    assert {path: state.kind for path, state in found.items()} == {
        b"plain": "-",
        b"not utf-8 \xff": "-",
        b"dir": "d",
        b"dir/inner": "-",
        b"shut": "d",
        b"shut/inner": "-",
        b"file": "-",
        b"holes": "-",
        b"link": "l",
        b"again": "-",
        b"pipe": "p",
        b"socket": "s",
    }
    assert found[b"dir"].mode == 0o750
    assert found[b"dir"].mtime_ns == 2_000_000_002
    assert found[b"dir/inner"].links == (b"again", b"dir/inner")
    assert found[b"file"].mode == 0o4755
    assert found[b"file"].xattrs == (("user.a", b"1"),)
    assert found[b"link"].target == b"../anywhere \xfe"
    assert found[b"holes"].size_bytes == 1 << 21
    assert found[b"holes"].holes


def test_root_may_declare_devices_and_owners(tmp_path: Path) -> None:
    require_root()
    make_tree(tmp_path / "a", {"null": Device("chardev", 1, 3, owner=(12, 34)), "disk": Device("dev", 7, 9)})
    found = snapshot_tree(tmp_path / "a")
    assert (found[b"null"].kind, found[b"null"].device, found[b"null"].owner) == (
        "c",
        os.makedev(1, 3),
        (12, 34),
    )
    assert (found[b"disk"].kind, found[b"disk"].device) == ("b", os.makedev(7, 9))


def _write(root: Path) -> None:
    (root / "plain").write_bytes(b"contenT")


def _remove(root: Path) -> None:
    (root / "pipe").unlink()


def _add(root: Path) -> None:
    (root / "more").write_bytes(b"")


def _chmod(root: Path) -> None:
    (root / "file").chmod(0o755)


def _touch(root: Path) -> None:
    os.utime(root / "dir", ns=(0, 2_000_000_003))


def _retarget(root: Path) -> None:
    (root / "link").unlink()
    (root / "link").symlink_to("elsewhere")
    os.utime(root / "link", ns=(3, 3), follow_symlinks=False)


def _unlink_pair(root: Path) -> None:
    (root / "again").unlink()
    (root / "again").write_bytes(b"x")
    os.utime(root / "again", ns=(1_000_000_001, 1_000_000_001))


def _change_xattr(root: Path) -> None:
    os.setxattr(root / "file", "user.a", b"2")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_write, "b'plain': sha256"),
        (_remove, "only in .*: b'pipe'"),
        (_add, "only in .*: b'more'"),
        (_chmod, "b'file': mode"),
        (_touch, "b'dir': mtime_ns"),
        (_retarget, "b'link': target"),
        (_unlink_pair, "b'again': links"),
        (_change_xattr, "b'file': xattrs"),
    ],
)
def test_every_difference_is_told(tmp_path: Path, change: Callable[[Path], None], told: str) -> None:
    for name in ("a", "b"):
        make_tree(tmp_path / name, TREE)
    ignored = frozenset({"mtime_ns"}) - ({"mtime_ns"} if change is _touch else set())
    assert_same_tree(tmp_path / "a", tmp_path / "b", ignore=frozenset({"mtime_ns"}))
    change(tmp_path / "b")
    with pytest.raises(pytest.fail.Exception, match=told):
        assert_same_tree(tmp_path / "a", tmp_path / "b", ignore=ignored)


def test_holes_count_only_where_asked(tmp_path: Path) -> None:
    make_tree(tmp_path / "a", {"f": File(size_bytes=1 << 20, mtime_ns=1)})
    make_tree(tmp_path / "b", {"f": File(bytes(1 << 20), mtime_ns=1)})
    assert_same_tree(tmp_path / "a", tmp_path / "b")
    with pytest.raises(pytest.fail.Exception, match="holes"):
        assert_same_tree(tmp_path / "a", tmp_path / "b", holes=True)


def test_trees_may_be_deeper_than_the_longest_path(tmp_path: Path) -> None:
    tree: Tree = {"leaf": b"deep"}
    for _ in range(25):
        tree = {"d" * 200: tree}
    make_tree(tmp_path / "a", tree)
    deepest = max(snapshot_tree(tmp_path / "a"), key=len)
    assert deepest.endswith(b"/leaf")
    assert len(deepest) > 4096
