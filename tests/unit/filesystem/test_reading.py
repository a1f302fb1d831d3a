"""Reading source files: whole, bounded, without a trace, and never stuck."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from argosy.filesystem import reading
from argosy.filesystem.reading import data_ranges, open_file, read_into, read_small, unchanged
from tests.support.trees import Fifo, File, Symlink, make_tree


@contextmanager
def opened(directory: Path, name: bytes) -> Iterator[int]:
    parent = os.open(directory, os.O_RDONLY)
    try:
        fd = open_file(parent, name)
    finally:
        os.close(parent)
    try:
        yield fd
    finally:
        os.close(fd)


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 3_000_000])
def test_a_small_file_is_read_whole(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    make_tree(tmp_path, {b"f \xff": content})
    with opened(tmp_path, b"f \xff") as fd:
        assert read_small(fd, os.fstat(fd).st_size) == content


def test_a_file_whose_size_holds_takes_one_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tree(tmp_path, {"f": b"12345"})
    real = os.read
    calls = []

    def read(fd: int, count: int) -> bytes:
        calls.append(count)
        return real(fd, count)

    monkeypatch.setattr(os, "read", read)
    with opened(tmp_path, b"f") as fd:
        assert read_small(fd, 5) == b"12345"
    assert len(calls) == 1


@pytest.mark.parametrize("scanned_size", [0, 1, 99, 100, 101, 5000])
def test_a_file_that_grew_or_shrank_is_read_to_its_end(tmp_path: Path, scanned_size: int) -> None:
    make_tree(tmp_path, {"f": bytes(range(100))})
    with opened(tmp_path, b"f") as fd:
        assert read_small(fd, scanned_size) == bytes(range(100))


def test_a_file_that_grows_without_end_is_not_read_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "GROWTH_LIMIT_BYTES", 3_000_000)
    make_tree(tmp_path, {"f": File(size_bytes=1 << 30)})
    with opened(tmp_path, b"f") as fd:
        assert 3_000_000 < len(read_small(fd, 10)) < 5_000_000


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": b"", "link": Symlink("f")})
    with pytest.raises(OSError, match="symbolic link") as caught, opened(tmp_path, b"link"):
        pass
    assert caught.value.errno == errno.ELOOP


def test_a_fifo_in_a_files_place_does_not_block(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": Fifo()})
    with opened(tmp_path, b"f") as fd:
        assert os.read(fd, 1) == b""


def test_reading_leaves_the_access_time(tmp_path: Path) -> None:
    """With relatime the kernel would set an access time that is older than the modification."""
    make_tree(tmp_path, {"f": b"123"})
    os.utime(tmp_path / "f", ns=(1_000, 2_000_000_000_000_000_000))
    with opened(tmp_path, b"f") as fd:
        read_small(fd, 3)
    assert os.stat(tmp_path / "f").st_atime_ns == 1_000


def test_a_file_of_another_owner_is_read_without_the_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel answers EPERM to O_NOATIME from anyone but the owner and root."""
    make_tree(tmp_path, {"f": b"123"})
    real = os.open

    def refusing(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if flags & os.O_NOATIME:
            raise PermissionError(errno.EPERM, "Operation not permitted", path)
        return real(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", refusing)
    with opened(tmp_path, b"f") as fd:
        assert read_small(fd, 3) == b"123"


def test_a_file_that_may_not_be_read_is_refused_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def refusing(path: Any, *_: Any, **__: Any) -> int:
        calls.append(path)
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(PermissionError) as caught:
        open_file(3, b"f")
    assert calls == [b"f"]
    assert caught.value.filename == b"f"


def test_a_buffer_is_filled_from_an_offset_or_to_the_end(tmp_path: Path) -> None:
    content = os.urandom(100_000)
    make_tree(tmp_path, {"f": content})
    buffer = bytearray(60_000)
    with opened(tmp_path, b"f") as fd:
        assert read_into(fd, memoryview(buffer), 10_000) == 60_000
        assert buffer == content[10_000:70_000]
        assert read_into(fd, memoryview(buffer), 90_000) == 10_000
        assert buffer[:10_000] == content[90_000:]
        assert read_into(fd, memoryview(buffer), 100_000) == 0


def test_short_reads_are_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A FUSE file system may return less than was asked for, at any place."""
    content = os.urandom(10_000)
    make_tree(tmp_path, {"f": content})
    real = os.preadv

    def short(fd: int, buffers: list[memoryview], offset: int) -> int:
        return real(fd, [buffers[0][:999]], offset)

    monkeypatch.setattr(os, "preadv", short)
    buffer = bytearray(20_000)
    with opened(tmp_path, b"f") as fd:
        assert read_into(fd, memoryview(buffer), 0) == 10_000
    assert buffer[:10_000] == content


def test_data_ranges_leave_out_holes_and_nothing_else(tmp_path: Path) -> None:
    tree = File(parts={1 << 20: b"x" * 5000, 5 << 20: b"y"}, size_bytes=8 << 20)
    make_tree(tmp_path, {"f": tree, "empty": b"", "hole": File(size_bytes=1 << 20)})
    with opened(tmp_path, b"f") as fd:
        ranges = list(data_ranges(fd, 0, 8 << 20))
        assert any(start <= 1 << 20 and start + length >= (1 << 20) + 5000 for start, length in ranges)
        assert any(start <= 5 << 20 < start + length for start, length in ranges)
        assert sum(length for _, length in ranges) < 1 << 20
        part = list(data_ranges(fd, (1 << 20) + 100, (1 << 20) + 200))
        assert part == [((1 << 20) + 100, 100)]
    for name in (b"empty", b"hole"):
        with opened(tmp_path, name) as fd:
            assert list(data_ranges(fd, 0, os.fstat(fd).st_size)) == []


def test_a_file_system_without_holes_gives_one_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tree(tmp_path, {"f": b"12345"})

    def refusing(*_: object) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "lseek", refusing)
    with opened(tmp_path, b"f") as fd:
        assert list(data_ranges(fd, 1, 5)) == [(1, 4)]


def test_a_failing_disk_is_no_hole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tree(tmp_path, {"f": b"12345"})

    def failing(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "lseek", failing)
    with opened(tmp_path, b"f") as fd, pytest.raises(OSError, match="Input/output error"):
        list(data_ranges(fd, 0, 5))


def test_a_write_between_two_stats_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    os.utime(path, ns=(5, 5))
    before = os.stat(path)
    assert unchanged(before, os.stat(path))
    path.write_bytes(b"54321")
    os.utime(path, ns=(5, 5))
    assert os.stat(path).st_size == before.st_size
    assert os.stat(path).st_mtime_ns == before.st_mtime_ns
    # Only the change time tells.
    assert not unchanged(before, os.stat(path))
