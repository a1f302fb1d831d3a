"""Writing with and without holes: the content is the same, and holes are where blocks of zeros were."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy.filesystem.sparse import HOLE_BYTES, set_size, write_at

ZEROS = bytes(HOLE_BYTES)
SOME = b"x" * HOLE_BYTES


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("data", [b"", b"abc", ZEROS, ZEROS * 3 + b"x", b"x" + ZEROS * 3, SOME + ZEROS + SOME])
@pytest.mark.parametrize("offset", [0, 1, HOLE_BYTES, HOLE_BYTES + 7])
def test_the_content_is_the_same_with_holes(fd: int, data: bytes, offset: int, sparse: bool) -> None:
    set_size(fd, offset + len(data))
    write_at(fd, data, offset, sparse=sparse)
    assert os.pread(fd, 1 << 20, 0) == bytes(offset) + data


@pytest.mark.parametrize(
    ("data", "offset", "written"),
    [
        (ZEROS * 4, 0, 0),
        (SOME + ZEROS * 2 + SOME, 0, 2 * HOLE_BYTES),
        (ZEROS * 2, 1, HOLE_BYTES),
        (bytes(HOLE_BYTES - 1), 0, HOLE_BYTES - 1),
        (b"x" + ZEROS, 0, HOLE_BYTES + 1),
    ],
)
def test_whole_blocks_of_zeros_are_left_out(fd: int, data: bytes, offset: int, written: int) -> None:
    set_size(fd, offset + len(data))
    assert write_at(fd, data, offset, sparse=True) == written


def test_a_sparse_file_takes_no_room_for_its_holes(fd: int) -> None:
    set_size(fd, 64 << 20)
    write_at(fd, bytes(32 << 20) + b"end", 0, sparse=True)
    assert os.fstat(fd).st_blocks * 512 < 1 << 20
    assert os.fstat(fd).st_size == 64 << 20


def test_setting_the_size_forgets_what_was_there(fd: int) -> None:
    os.write(fd, SOME)
    set_size(fd, 2 * HOLE_BYTES)
    assert os.pread(fd, 1 << 20, 0) == ZEROS * 2


def test_short_writes_are_continued(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real(fd, data[:1000], offset))
    data = os.urandom(10_000)
    assert write_at(fd, data, 5) == 10_000
    assert os.pread(fd, 20_000, 5) == data


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([ZEROS, SOME, b"\0", b"x", bytes(2000)]), max_size=8), st.integers(0, 9000))
def test_any_content_reads_back(fd: int, parts: list[bytes], offset: int) -> None:
    data = b"".join(parts)
    set_size(fd, offset + len(data))
    write_at(fd, data, offset, sparse=True)
    assert os.pread(fd, 1 << 20, 0) == bytes(offset) + data
