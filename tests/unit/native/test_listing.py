"""The kernel's listing of a directory and its comparison with a tree; what it must not decide it hands back."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.archiver.nodes import NodeEncoder
from argosy.filesystem.directory import list_directory
from argosy.native.listing import NativeListing, Verdict
from argosy.restic_format.node import finish_file, owner_keys
from argosy.restic_format.printable import printable_ranges
from argosy.restic_format.tree import encode_tree
from tests.support.native import built_kernel

ENCODER = NodeEncoder(with_atime=False, device_id_always=True)
USER, GROUP = "someone", "somegroup"
NAMES = [b"a", b"b", b"c c", "ü€𝄞".encode(), b"z" * 255]
TIMES_NS = [0, 1, 999_999_999, 10**9, 951_782_400_100_000_000, 1_709_164_800_000_000_120, 4_102_444_799_999_999_999]


@pytest.fixture
def listing() -> Iterator[NativeListing]:
    made = built_kernel().listing(lambda uid, gid: owner_keys(uid, gid, USER, GROUP).encode(), printable_ranges)
    yield made
    made.close()


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    for name in NAMES:
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_bytes(name)
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def nodes_of(fd: int) -> list[bytes]:
    return [
        finish_file(ENCODER.prefix(name, stat, USER, GROUP, stat.st_dev, stat.st_ino), [bytes(32), bytes(32)])
        for name, stat in sorted(list_directory(fd))
    ]


def compared(listing: NativeListing, fd: int, nodes: Sequence[bytes]) -> Verdict | None:
    assert listing.read(fd, 1000) is not None
    return listing.compare(encode_tree(nodes), os.fstat(fd).st_dev, device_id_always=True)


def test_names_are_listed_in_order_as_often_as_wanted(listing: NativeListing, directory: int) -> None:
    for _ in range(2):
        assert listing.read(directory, 5) == 5
        assert listing.names() == sorted(NAMES)


def test_an_empty_directory(listing: NativeListing, tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert (listing.read(fd, 5), listing.names()) == (0, [])
        assert compared(listing, fd, []) == Verdict(0, 0, 0, [], [])
        assert compared(listing, fd, [finish_file(b'{"name":"x","type":"file"', [])]) == Verdict(0, 0, 0, [], [b"x"])
    finally:
        os.close(fd)


def test_a_directory_with_more_entries_is_left_to_python(listing: NativeListing, directory: int) -> None:
    assert listing.read(directory, 4) is None


def test_what_is_no_directory_is_an_error(listing: NativeListing, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with open(tmp_path / "file", "rb") as file, pytest.raises(NotADirectoryError):
        listing.read(file.fileno(), 5)


def test_an_unchanged_directory_is_only_counted(listing: NativeListing, directory: int) -> None:
    verdict = compared(listing, directory, nodes_of(directory))
    assert verdict == Verdict(5, sum(map(len, NAMES)), 0, [], [])


def test_what_changed_is_to_be_looked_at_where_its_node_stands(listing: NativeListing, directory: int) -> None:
    nodes = nodes_of(directory)
    os.utime(b"b", ns=(5, 5), dir_fd=directory)
    os.unlink(b"c c", dir_fd=directory)
    os.close(os.open(b"new", os.O_WRONLY | os.O_CREAT, dir_fd=directory))
    verdict = compared(listing, directory, nodes)
    assert verdict is not None
    start = len(b'{"nodes":[') + len(nodes[0]) + 1
    assert verdict.looks == [(b"b", (start, start + len(nodes[1]))), (b"new", None)]
    assert verdict.dropped == [b"c c"]
    assert verdict.standing_files == 3


def test_large_files_and_those_of_another_device_are_to_be_looked_at(listing: NativeListing, directory: int) -> None:
    tree, device = encode_tree(nodes_of(directory)), os.fstat(directory).st_dev
    listing.read(directory, 5)
    large = listing.compare(tree, device, larger_than_bytes=254, device_id_always=True)
    assert large is not None
    assert [name for name, _ in large.looks] == [NAMES[-1]]
    foreign = listing.compare(tree, device + 1, device_id_always=True)
    assert foreign is not None
    assert [name for name, _ in foreign.looks] == sorted(NAMES)


@pytest.mark.parametrize("name", [b"\n", b'"', b"\\", b"<", b"&", b"\x7f", b"\xff", b"\xc3", "\u00ad".encode()])
def test_a_name_that_is_escaped_is_left_to_python(listing: NativeListing, directory: int, name: bytes) -> None:
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT, dir_fd=directory))
    assert compared(listing, directory, nodes_of(directory)) is None


@given(st.integers(0, 400), st.binary(max_size=3))
def test_a_tree_of_another_shape_is_left_to_python(at: int, piece: bytes) -> None:
    """Each byte of a node counts: whatever else stands there, the node does not stand, or nothing is decided."""
    made = built_kernel().listing(lambda uid, gid: owner_keys(uid, gid, USER, GROUP).encode(), printable_ranges)
    fd = os.open("/proc/self/ns", os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert made.read(fd, 1000) is not None
        tree = encode_tree([finish_file(b'{"name":"nothing","type":"file","mode":420', [bytes(32)])])
        at = min(at, len(tree))
        verdict = made.compare(tree[:at] + piece + tree[at + len(piece) :], 0, device_id_always=True)
        assert verdict is None or verdict.standing_files == 0
    finally:
        os.close(fd)
        made.close()


@pytest.mark.parametrize("time_ns", TIMES_NS)
def test_times_are_written_as_python_writes_them(listing: NativeListing, directory: int, time_ns: int) -> None:
    os.utime(b"a", ns=(time_ns, time_ns), dir_fd=directory)
    verdict = compared(listing, directory, nodes_of(directory))
    assert verdict is not None
    assert verdict.standing_files == 5


@pytest.mark.parametrize("time_ns", [-1, -(10**18)])
def test_times_before_1970_are_looked_at(listing: NativeListing, directory: int, time_ns: int) -> None:
    os.utime(b"a", ns=(time_ns, time_ns), dir_fd=directory)
    verdict = compared(listing, directory, nodes_of(directory))
    assert verdict is not None
    assert [name for name, _ in verdict.looks] == [b"a"]
