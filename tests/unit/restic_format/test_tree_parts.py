"""Cutting a tree's document: the same nodes, whatever is in them and however the document comes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from argosy.errors import Damaged
from argosy.restic_format.node import NodeFields, encode_fields, finish_file
from argosy.restic_format.tree import decode_parts, decode_tree, encode_tree, raw_nodes
from argosy.restic_format.tree_parts import cut_tree

_AWKWARD = [
    b"%05d" % number + suffix
    for number, suffix in enumerate(
        [b'"', b'"},{"name":"x","type":"file"', b"\\", b'\\"', b"\xff\x80", b"]}\n", b"},{", b'\n{"name":"'] * 40
    )
]


def _tree(names: list[bytes]) -> bytes:
    xattrs = [("user.a", b"1"), ("user.b", b'},{"name":"y","type":"file"')]
    fields = [
        NodeFields(name, "file", 420, 1, 1, 1, 1, 1, size=1, links=1, xattrs=xattrs if at % 3 == 0 else ())
        for at, name in enumerate(names)
    ]
    return encode_tree(finish_file(encode_fields(each), [bytes(32)]) for each in fields)


@pytest.mark.parametrize("piece_bytes", [1, 7, 1000, 10**6])
@pytest.mark.parametrize("part_bytes", [1, 500, 5000, 10**6])
def test_the_parts_hold_the_nodes(piece_bytes: int, part_bytes: int) -> None:
    tree = _tree(_AWKWARD)
    parts = list(cut_tree(_pieces(tree, piece_bytes), part_bytes))
    assert [bytes(raw) for part in parts for raw in raw_nodes(part, "part")] == [
        bytes(raw) for raw in raw_nodes(tree, "tree")
    ]
    assert list(decode_parts(parts, "tree")) == decode_tree(tree, "tree")
    assert (len(parts) > 1) == (part_bytes < len(tree))
    assert max(map(len, parts)) < part_bytes + 2000


@pytest.mark.parametrize(
    "tree",
    [
        b'{"nodes":[]}\n',
        b'{"nodes":null}',
        b'{ "nodes": [{"name":"a","type":"file"},{"name":"b","type":"file"}]}',
        b'{"nodes":[{"name":"a","x":[{"y":1},{"name":"b","type":"file"}],"type":"file"}]}',
        b'{"nodes":[{"type":"file","name":"a"},{"type":"file","name":"b"}]}',
        b"",
    ],
)
def test_what_is_written_otherwise_is_not_cut(tree: bytes) -> None:
    assert list(cut_tree(_pieces(tree, 5), 10)) == [tree]


def test_order_is_judged_across_parts() -> None:
    parts = list(cut_tree((_tree([b"%03d" % number for number in [*range(50), 10]]),), 1000))
    assert len(parts) > 3
    with pytest.raises(Damaged, match="tree 12: node b'010' stands after b'049'"):
        list(decode_parts(parts, "tree 12"))


def test_a_document_that_ends_early_is_damaged() -> None:
    tree = _tree([b"%03d" % number for number in range(50)])
    with pytest.raises(Damaged, match="tree 12"):
        list(decode_parts(cut_tree((tree[:-200],), 1000), "tree 12"))


def test_memory_goes_by_the_part() -> None:
    piece = _tree([b"%09d" % number for number in range(1000)])
    nodes = piece[len(b'{"nodes":[') : -len(b"]}\n")]

    def document() -> Iterator[bytes]:
        yield b'{"nodes":['
        for number in range(50):
            yield b"," * (number > 0)
            yield nodes
        yield b"]}\n"

    tracemalloc.start()
    count = sum(len(raw_nodes(part, "part")) for part in cut_tree(document(), 10_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 50_000
    assert peak < 4 * len(nodes)


def _pieces(data: bytes, size_bytes: int) -> Iterator[bytes]:
    for start in range(0, len(data), size_bytes):
        yield data[start : start + size_bytes]
