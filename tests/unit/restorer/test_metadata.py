"""Metadata: no needless calls, the right order, and what is refused is counted or named."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from argosy.restic_format.mode import mode_to_go
from argosy.restic_format.node import ExtendedAttribute, Node
from argosy.restic_format.times import format_time
from argosy.restorer import metadata
from argosy.restorer.directories import OpenDirectory
from argosy.restorer.metadata import MetadataSetter, times_of

OWN = (os.geteuid(), os.getegid())


def node(**fields: Any) -> Node:
    given: dict[str, Any] = {"mode": 0o640, "mtime_ns": 5, "uid": OWN[0], "gid": OWN[1], **fields}
    when = format_time(given.pop("mtime_ns"))
    mode = mode_to_go(0o100000 | given.pop("mode"))
    return Node("file", "file", mode, when, when, when, **given)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[OpenDirectory]:
    opened = OpenDirectory(os.open(tmp_path, os.O_RDONLY))
    yield opened
    opened.close()


@pytest.fixture
def reported() -> list[tuple[bytes, str]]:
    return []


@pytest.fixture
def setter(reported: list[tuple[bytes, str]]) -> MetadataSetter:
    return MetadataSetter((), (), lambda path, reason: reported.append((path, reason)), is_root=False)


def new_file(tmp_path: Path, mode: int = 0o600) -> int:
    return os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT, mode)


def test_a_file_is_made_with_its_mode_once_the_owner_is_known(setter: MetadataSetter, directory: OpenDirectory) -> None:
    assert setter.mode_for_new(directory, node()) == 0o600
    directory.owner = OWN
    assert setter.mode_for_new(directory, node()) == 0o640


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": 0o4755},
        {"mode": 0o2755},
        {"mode": 0o444},
        {"uid": OWN[0] + 1},
        {"gid": OWN[1] + 1},
        {"extended_attributes": [ExtendedAttribute("user.a")]},
    ],
    ids=str,
)
def test_a_file_is_made_private_if_more_than_times_is_to_be_set(
    setter: MetadataSetter, directory: OpenDirectory, fields: dict[str, Any]
) -> None:
    directory.owner = OWN
    assert setter.mode_for_new(directory, node(**fields)) == 0o600


def test_the_first_file_shows_whom_new_files_belong_to(
    setter: MetadataSetter, directory: OpenDirectory, tmp_path: Path
) -> None:
    fd = new_file(tmp_path)
    setter.finish_new(fd, directory, node(), b"/file")
    found = os.fstat(fd)
    os.close(fd)
    assert (found.st_mode & 0o7777, found.st_mtime_ns, found.st_atime_ns) == (0o640, 5, 5)
    assert directory.owner == (found.st_uid, found.st_gid)


def test_refusals_are_counted_for_an_ordinary_user_and_named_for_root(
    setter: MetadataSetter, reported: list[tuple[bytes, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """restic ignores the former without a word."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    fd = new_file(tmp_path)
    given = node(mode=0o4755, uid=OWN[0] + 1, extended_attributes=[ExtendedAttribute("security.x", "")])
    with monkeypatch.context() as refusing:
        for name in ("chown", "fchown", "setxattr"):
            refusing.setattr(os, name, refuse)
        setter.finish_existing(fd, os.fstat(fd), given, b"/file")
        assert reported == []
        assert setter.notes == {metadata.NOTE_OWNER: 1, metadata.NOTE_ATTRIBUTES_DENIED: 1}
        # No program runs with the rights of whoever restored it.
        assert os.fstat(fd).st_mode & 0o7777 == 0o755
        root = MetadataSetter((), (), lambda path, reason: reported.append((path, reason)), is_root=True)
        root.set_fd(fd, given, b"/file")
    os.close(fd)
    assert [reason.partition(" could")[0] for _, reason in reported] == ["its owner", "the attribute security.x"]


def test_a_file_system_without_attributes_is_noted(
    setter: MetadataSetter, reported: list[tuple[bytes, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object, **__: object) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    fd = new_file(tmp_path)
    monkeypatch.setattr(os, "setxattr", unsupported)
    setter.set_fd(fd, node(extended_attributes=[ExtendedAttribute("user.a", "")]), b"/file")
    os.close(fd)
    assert reported == []
    assert setter.notes == {metadata.NOTE_ATTRIBUTES_UNKNOWN: 1}


@pytest.mark.parametrize(
    ("exclude", "include", "left"),
    [((), (), ["user.a", "user.b"]), ((b"*.a",), (), ["user.b"]), ((), (b"user.a",), ["user.a"])],
)
def test_attributes_are_chosen_by_name(
    tmp_path: Path, exclude: tuple[bytes, ...], include: tuple[bytes, ...], left: list[str]
) -> None:
    """One that is not chosen is neither set nor removed."""
    fd = new_file(tmp_path)
    os.setxattr(fd, "user.old", b"x")
    attributes = [ExtendedAttribute("user.a", "MQ=="), ExtendedAttribute("user.b", "Mg==")]
    setter = MetadataSetter(exclude, include, lambda _path, _reason: None)
    setter.set_fd(fd, node(extended_attributes=attributes), b"/file")
    found = sorted(os.listxattr(fd))
    os.close(fd)
    assert [name for name in found if name != "user.old"] == left
    assert ("user.old" in found) == bool(include)


def test_access_times_are_restored_where_the_snapshot_has_them() -> None:
    given = node(mtime_ns=5)
    assert times_of(given) == (5, 5)
    given.atime = format_time(7)
    assert times_of(given) == (7, 5)
