"""Restored metadata: in the right order, on the right entry, and told where the kernel refuses."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import RestoreError
from argosy.filesystem.apply_metadata import Metadata, removable_xattr, set_metadata_at, set_metadata_fd
from argosy.filesystem.metadata import read_xattrs_at
from tests.support.trees import Device, Fifo, File, Symlink, make_tree, require_root

ME = (os.geteuid(), os.getegid())


def metadata(mode: int = 0o640, owner: tuple[int, int] = ME, **changes: Any) -> Metadata:
    return Metadata(mode, *owner, **{"atime_ns": 1_000_000_001, "mtime_ns": 2_000_000_002, **changes})


@pytest.fixture
def target(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "target"
    path.mkdir()
    fd = os.open(path, os.O_RDONLY)
    yield fd
    os.close(fd)


def set_both_ways(path: Path, wanted: Metadata) -> None:
    """By descriptor on one run, by name on the other: both must do the same."""
    fd = os.open(path, os.O_RDONLY)
    parent = os.open(path.parent, os.O_RDONLY)
    try:
        assert set_metadata_fd(fd, wanted) == []
        by_descriptor = os.fstat(fd)
        assert set_metadata_at(parent, os.fsencode(path.name), wanted) == []
        assert os.fstat(fd) == by_descriptor
    finally:
        os.close(fd)
        os.close(parent)


@pytest.mark.parametrize("mode", [0o000, 0o400, 0o644, 0o4755, 0o2755, 0o1777, 0o7777])
def test_a_file_gets_mode_times_and_attributes(tmp_path: Path, mode: int) -> None:
    make_tree(tmp_path, {"f": b""})
    set_both_ways(tmp_path / "f", metadata(mode, xattrs=(("user.b", b"2"), ("user.a", b"\0\xff"))))
    found = os.lstat(tmp_path / "f")
    assert stat.S_IMODE(found.st_mode) == mode
    assert (found.st_atime_ns, found.st_mtime_ns) == (1_000_000_001, 2_000_000_002)
    (tmp_path / "f").chmod(0o600)
    assert os.getxattr(tmp_path / "f", "user.a") == b"\0\xff"


def test_a_directory_gets_them_too(tmp_path: Path) -> None:
    make_tree(tmp_path, {"d": {"f": b""}})
    set_both_ways(tmp_path / "d", metadata(0o1770, mtime_ns=-5, xattrs=(("user.a", b"1"),)))
    found = os.lstat(tmp_path / "d")
    assert stat.S_IMODE(found.st_mode) == 0o1770
    assert found.st_mtime_ns == -5


def test_root_gives_files_away_and_keeps_their_set_id_bits(tmp_path: Path) -> None:
    """Changing the owner clears these bits: they must be set afterwards."""
    require_root()
    make_tree(tmp_path, {"f": b""})
    set_both_ways(tmp_path / "f", metadata(0o6755, (12, 34)))
    found = os.lstat(tmp_path / "f")
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12, 34, 0o6755)


def test_file_capabilities_survive_the_change_of_owner(tmp_path: Path) -> None:
    require_root()
    make_tree(tmp_path, {"f": b""})
    # Version 2, effective, cap_net_raw permitted (linux/capability.h).
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    set_both_ways(tmp_path / "f", metadata(0o755, (12, 34), xattrs=(("security.capability", capability),)))
    assert os.getxattr(tmp_path / "f", "security.capability") == capability


@pytest.mark.parametrize("link_target", ["f", "nowhere"])
def test_a_links_own_metadata_is_set_and_never_its_targets(tmp_path: Path, target: int, link_target: str) -> None:
    make_tree(tmp_path / "target", {"f": File(mode=0o600, mtime_ns=7), "l": Symlink(link_target)})
    before = os.lstat(tmp_path / "target/f")
    assert set_metadata_at(target, b"l", metadata(0o777)) == []
    found = os.lstat(tmp_path / "target/l")
    assert stat.S_ISLNK(found.st_mode)
    assert (found.st_atime_ns, found.st_mtime_ns) == (1_000_000_001, 2_000_000_002)
    assert os.lstat(tmp_path / "target/f") == before


def test_root_sets_a_links_owner_and_attributes(tmp_path: Path, target: int) -> None:
    require_root()
    make_tree(tmp_path / "target", {"f": File(mode=0o600), "l": Symlink("f")})
    wanted = metadata(0o777, (12, 34), xattrs=(("trusted.a", b"1"),))
    assert set_metadata_at(target, b"l", wanted) == []
    found = os.lstat(tmp_path / "target/l")
    assert (found.st_uid, found.st_gid) == (12, 34)
    assert read_xattrs_at(target, b"l") == (("trusted.a", b"1"),)
    assert os.lstat(tmp_path / "target/f").st_uid == 0
    assert os.listxattr(tmp_path / "target/f") == []


def test_a_fifo_is_set_without_opening_it(tmp_path: Path, target: int) -> None:
    make_tree(tmp_path / "target", {"p": Fifo()})
    assert set_metadata_at(target, b"p", metadata(0o622)) == []
    assert stat.S_IMODE(os.lstat(tmp_path / "target/p").st_mode) == 0o622


def test_a_device_is_set_without_opening_it(tmp_path: Path, target: int) -> None:
    require_root()
    # No driver has this number: opening it would fail.
    make_tree(tmp_path / "target", {"d": Device("dev", 250, 250)})
    assert set_metadata_at(target, b"d", metadata(0o660, (12, 34))) == []
    found = os.lstat(tmp_path / "target/d")
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_mtime_ns) == (0o660, 12, 2_000_000_002)


def test_access_control_lists_survive_the_mode(tmp_path: Path, program: Callable[[str], str]) -> None:
    make_tree(tmp_path, {"f": b"", "g": b""})
    subprocess.run([program("setfacl"), "-m", "u:12345:rwx,g::-,m::rw", tmp_path / "f"], check=True)
    mode = stat.S_IMODE(os.lstat(tmp_path / "f").st_mode)
    attributes = tuple((name, os.getxattr(tmp_path / "f", name)) for name in os.listxattr(tmp_path / "f"))
    set_both_ways(tmp_path / "g", metadata(mode, xattrs=attributes))
    assert os.listxattr(tmp_path / "g") == ["system.posix_acl_access"]
    assert os.getxattr(tmp_path / "g", "system.posix_acl_access") == attributes[0][1]
    assert stat.S_IMODE(os.lstat(tmp_path / "g").st_mode) == mode


def test_attributes_that_the_snapshot_lacks_are_removed(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": File(xattrs={"user.old": b"1", "user.kept": b"2"})})
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    wanted = metadata(xattrs=(("user.new", b"3"),))
    assert set_metadata_fd(fd, wanted, removable=lambda name: name != "user.kept") == []
    assert sorted(os.listxattr(fd)) == ["user.kept", "user.new"]
    assert set_metadata_fd(fd, wanted) == []
    assert os.listxattr(fd) == ["user.new"]
    os.close(fd)


def test_labels_of_security_modules_are_left_alone() -> None:
    assert not removable_xattr("security.selinux")
    assert not removable_xattr("security.ima")
    assert removable_xattr("security.capability")
    assert removable_xattr("system.posix_acl_access")
    assert removable_xattr("user.x")


def test_a_refused_owner_is_told_and_leaves_no_set_id_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that belonged to root must not become one that runs as whoever restores it."""

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refused)
    make_tree(tmp_path, {"f": b""})
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    problems = set_metadata_fd(fd, metadata(0o6755, (0, 0)))
    os.close(fd)
    assert [(problem.what, problem.error.errno) for problem in problems] == [("owner", errno.EPERM)]
    found = os.lstat(tmp_path / "f")
    assert stat.S_IMODE(found.st_mode) == 0o755
    assert found.st_mtime_ns == 2_000_000_002


def test_an_ordinary_user_cannot_give_files_away(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may give files away")
    make_tree(tmp_path, {"f": b""})
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    problems = set_metadata_fd(fd, metadata(0o4755, (0, 0)))
    os.close(fd)
    assert [problem.what for problem in problems] == ["owner"]


def test_what_is_refused_is_named_and_the_rest_done(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": b""})
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    wanted = metadata(xattrs=(("nonsense.a", b"1"), ("user.b", b"2")))
    problems = set_metadata_fd(fd, wanted)
    os.close(fd)
    assert [(problem.what, problem.error.errno) for problem in problems] == [("nonsense.a", errno.ENOTSUP)]
    assert os.listxattr(tmp_path / "f") == ["user.b"]
    assert os.lstat(tmp_path / "f").st_mtime_ns == 2_000_000_002


@pytest.mark.parametrize("call", ["chmod", "utime", "setxattr", "removexattr"])
def test_every_refusal_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    make_tree(tmp_path, {"f": File(xattrs={"user.old": b"1"})})
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    monkeypatch.setattr(os, call, refused)
    problems = set_metadata_fd(fd, metadata(xattrs=(("user.new", b"2"),)))
    os.close(fd)
    told = {"chmod": "mode", "utime": "times", "setxattr": "user.new", "removexattr": "user.old"}
    assert [problem.what for problem in problems] == [told[call]]


@pytest.mark.parametrize("name", [b"", b"..", b"a/b", b"a\0"])
def test_a_name_that_is_no_component_is_refused(target: int, name: bytes) -> None:
    with pytest.raises(RestoreError, match="may not be written"):
        set_metadata_at(target, name, metadata())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"owner": (1 << 40, 0)}, "owner"),
        ({"mode": 1 << 70}, "mode"),
        ({"mtime_ns": 1 << 100}, "times"),
        ({"xattrs": (("user.a\0b", b"1"),)}, "user.a\0b"),
        ({"xattrs": (("user.\ud800", b"1"),)}, "user.\ud800"),
    ],
)
def test_values_that_no_system_call_takes_are_told(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    """A repository may hold anything."""
    make_tree(tmp_path, {"f": b""})
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    problems = set_metadata_fd(fd, metadata(**changes))
    os.close(fd)
    assert [(problem.what, problem.error.errno) for problem in problems] == [(told, errno.EINVAL)]


def test_an_entry_that_is_missing_is_named_by_its_path(target: int) -> None:
    with pytest.raises(FileNotFoundError, match="target/missing"):
        set_metadata_at(target, b"missing", metadata())
