"""fallocate(2)."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.restorer import holes
from argosy.restorer.holes import punch_hole, reserve


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def test_a_hole_reads_as_zeros_and_takes_no_room(fd: int) -> None:
    os.write(fd, b"x" * (1 << 20))
    os.fsync(fd)
    before = os.fstat(fd)
    if not punch_hole(fd, 65536, 1 << 19):
        pytest.skip("the file system makes no holes")
    os.fsync(fd)
    assert os.pread(fd, 5, 65534) == b"xx\0\0\0"
    assert os.fstat(fd).st_size == before.st_size
    assert os.fstat(fd).st_blocks < before.st_blocks


def test_room_is_reserved_without_a_change_of_size(fd: int) -> None:
    if not reserve(fd, 1 << 20):
        pytest.skip("the file system reserves nothing")
    assert os.fstat(fd).st_size == 0
    assert os.fstat(fd).st_blocks * 512 >= 1 << 20
    assert not reserve(fd, 0)


def test_a_full_disk_is_an_error_and_a_file_system_without_it_is_none(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for code, expected in ((errno.EOPNOTSUPP, None), (errno.ENOSPC, errno.ENOSPC)):
        monkeypatch.setattr(ctypes, "get_errno", lambda code=code: code)
        monkeypatch.setattr(holes, "_library_function", lambda: lambda *_: -1)
        if expected is None:
            assert not punch_hole(fd, 0, 10)
        else:
            with pytest.raises(OSError, match="No space left") as caught:
                reserve(fd, 10)
            assert caught.value.errno == expected


def test_a_library_without_the_call_does_nothing(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holes, "_library_function", lambda: None)
    assert not punch_hole(fd, 0, 10)
