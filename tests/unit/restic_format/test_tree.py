"""Trees."""

from __future__ import annotations

import tracemalloc

import pytest

from argosy.errors import Damaged
from argosy.restic_format.node import NodeFields, encode_fields, finish_file, finish_other
from argosy.restic_format.tree import decode_tree, encode_tree, iter_tree, raw_nodes


def _node(name: bytes) -> bytes:
    return finish_other(encode_fields(NodeFields(name, "fifo", 0o600, 0, 0, 0, 0, 0)))


def test_a_tree_is_its_nodes_and_a_newline() -> None:
    assert encode_tree([]) == b'{"nodes":[]}\n'
    assert encode_tree([b"1", b"2"]) == b'{"nodes":[1,2]}\n'


def test_nodes_come_back_in_order() -> None:
    names = sorted([b"a", b"B", b"a.b", b"a/b".replace(b"/", b"0"), b"\xff", "ü".encode(), b"\n"])
    tree = encode_tree(_node(name) for name in names)
    assert [node.name_bytes() for node in decode_tree(tree, "tree")] == names
    assert list(iter_tree(tree, "tree")) == decode_tree(tree, "tree")
    assert encode_tree(bytes(raw) for raw in raw_nodes(tree, "tree")) == tree


@pytest.mark.parametrize("data", [b'{"nodes":[]}\n', b'{"nodes":null}'])
def test_an_empty_tree_is_read(data: bytes) -> None:
    assert decode_tree(data, "tree") == []
    assert raw_nodes(data, "tree") == []


@pytest.mark.parametrize(
    "names",
    [
        [b"b", b"a"],
        [b"a", b"a"],
        ["ü".encode(), b"\xc3"],
        [b""],
        [b"."],
        [b".."],
        [b"a/b"],
        [b"/"],
        [b"a\0"],
        [b"a", b"c", b"b"],
    ],
)
def test_names_out_of_order_or_unusable_are_damage(names: list[bytes]) -> None:
    """A restore must never leave its target, and lookups by name rely on the order."""
    tree = encode_tree(_node(name) for name in names)
    for read in (decode_tree, lambda data, what: list(iter_tree(data, what))):
        with pytest.raises(Damaged, match="tree 12"):
            read(tree, "tree 12")


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"nodes":[1]}', b'{"nodes":[{"name":"a"}', b'{"nodes":{}}'])
def test_what_is_no_tree_is_damage(data: bytes) -> None:
    for read in (decode_tree, lambda data, what: list(iter_tree(data, what))):
        with pytest.raises(Damaged, match="tree 12"):
            read(data, "tree 12")


def test_a_huge_tree_is_walked_in_little_more_than_its_own_bytes() -> None:
    """A directory may have millions of entries; 365 bytes of JSON must not become kilobytes of objects."""
    fields = [NodeFields(b"%07d" % number, "file", 420, 1, 1, 1, 1, 1, links=1) for number in range(20_000)]
    tree = encode_tree(finish_file(encode_fields(each), [bytes(32)] * 2) for each in fields)
    tracemalloc.start()
    count = sum(1 for _ in iter_tree(tree, "tree"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 0.5 * len(tree)
