"""Extended attributes in the kernel's order, owner names, node types."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from argosy.filesystem.metadata import (
    OwnerNames,
    UnreadableXattr,
    Xattrs,
    node_type,
    read_xattrs_at,
    read_xattrs_fd,
)
from tests.support.trees import Device, Fifo, File, Socket, Symlink, make_tree, require_root


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


def read_both_ways(directory: Path, name: str) -> Xattrs:
    with opened(directory) as parent, opened(directory / name) as fd:
        found = read_xattrs_fd(fd)
        assert read_xattrs_at(parent, os.fsencode(name)) == found
        return found


def test_a_file_without_attributes_has_none(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": b""})
    assert read_both_ways(tmp_path, "f") == ()


def test_attributes_keep_the_kernels_order_and_any_value(tmp_path: Path) -> None:
    values = {"user.z": b"", "user.a": b"\0\xff", "user.m": b"x" * 1000, "user.é": b"1"}
    make_tree(tmp_path, {"f": File(xattrs=values), "d": {}})
    found = read_both_ways(tmp_path, "f")
    assert dict(found) == values
    assert [name for name, _ in found] == os.listxattr(tmp_path / "f")


def test_a_name_that_is_no_utf8_is_stored_as_restic_does(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": b""})
    os.setxattr(os.fsencode(tmp_path / "f"), b"user.\xff\xfe", b"1")
    assert read_both_ways(tmp_path, "f") == (("user.\ufffd\ufffd", b"1"),)


def test_a_links_attributes_are_its_own(tmp_path: Path) -> None:
    require_root()
    make_tree(tmp_path, {"f": File(xattrs={"user.f": b"1"}), "l": Symlink("f", xattrs={"trusted.l": b"2"})})
    with opened(tmp_path) as parent:
        assert read_xattrs_at(parent, b"l") == (("trusted.l", b"2"),)


def test_a_fifo_is_read_without_opening_it(tmp_path: Path) -> None:
    make_tree(tmp_path, {"p": Fifo(), "s": Socket()})
    with opened(tmp_path) as parent:
        assert read_xattrs_at(parent, b"p") == read_xattrs_at(parent, b"s") == ()


def test_access_control_lists_are_attributes(tmp_path: Path, program: Callable[[str], str]) -> None:
    make_tree(tmp_path, {"f": b"", "d": {}})
    setfacl = program("setfacl")
    subprocess.run([setfacl, "-m", "u:12345:r", tmp_path / "f"], check=True)
    subprocess.run([setfacl, "-d", "-m", "u:12345:rwx", tmp_path / "d"], check=True)
    assert [name for name, _ in read_both_ways(tmp_path, "f")] == ["system.posix_acl_access"]
    assert [name for name, _ in read_both_ways(tmp_path, "d")] == ["system.posix_acl_default"]


def failing(number: int) -> Callable[..., Any]:
    def call(*_: object, **__: object) -> Any:
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENODATA])
def test_a_file_system_without_attributes_gives_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """CIFS answers ENODATA where others say ENOTSUP."""
    make_tree(tmp_path, {"f": b""})
    monkeypatch.setattr(os, "listxattr", failing(number))
    assert read_both_ways(tmp_path, "f") == ()


def test_a_list_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tree(tmp_path, {"f": b""})
    monkeypatch.setattr(os, "listxattr", failing(errno.EPERM))
    unreadable: list[UnreadableXattr] = []
    with opened(tmp_path) as parent, opened(tmp_path / "f") as fd:
        assert read_xattrs_fd(fd, unreadable) == read_xattrs_at(parent, b"f", unreadable) == ()
        assert [(found.attribute, found.error.errno) for found in unreadable] == [("", errno.EPERM)] * 2
        with pytest.raises(PermissionError):
            read_xattrs_fd(fd)


def test_an_attribute_that_cannot_be_read_is_named_and_the_rest_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tree(tmp_path, {"f": File(xattrs={"user.a": b"1", "user.b": b"2", "user.gone": b"3"})})
    real = os.getxattr

    def getxattr(place: Any, name: str, **options: Any) -> bytes:
        if name == "user.a":
            raise OSError(errno.EIO, "Input/output error")
        if name == "user.gone":
            raise OSError(errno.ENODATA, "No data available")
        return real(place, name, **options)

    monkeypatch.setattr(os, "getxattr", getxattr)
    unreadable: list[UnreadableXattr] = []
    with opened(tmp_path / "f") as fd:
        assert read_xattrs_fd(fd, unreadable) == (("user.b", b"2"),)
        assert [found.attribute for found in unreadable] == ["user.a"]
        with pytest.raises(OSError, match="Input/output error"):
            read_xattrs_fd(fd)


def test_every_type_has_restics_name(tmp_path: Path) -> None:
    make_tree(tmp_path, {"file": b"", "dir": {}, "symlink": Symlink("x"), "fifo": Fifo(), "socket": Socket()})
    for name in ("file", "dir", "symlink", "fifo", "socket"):
        assert node_type(os.lstat(tmp_path / name).st_mode) == name


def test_devices_have_restics_names(tmp_path: Path) -> None:
    require_root()
    make_tree(tmp_path, {"dev": Device("dev"), "chardev": Device("chardev")})
    for name in ("dev", "chardev"):
        assert node_type(os.lstat(tmp_path / name).st_mode) == name


def test_a_mode_without_a_type_is_refused() -> None:
    with pytest.raises(ValueError, match="no node type"):
        node_type(0o644)


def test_owners_have_names_and_unknown_ones_none() -> None:
    names = OwnerNames()
    assert (names.user(0), names.group(0)) == ("root", "root")
    assert (names.user(3_999_999_999), names.group(3_999_999_999)) == ("", "")
    assert (names.user(4_294_967_295), names.group(4_294_967_295)) == ("", "")


def test_an_owner_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def unknown(number: int) -> Any:
        asked.append(number)
        raise KeyError(number)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr("grp.getgrgid", unknown)
    names = OwnerNames()
    for _ in range(3):
        assert names.user(7) == names.group(8) == ""
    assert asked == [7, 8]
