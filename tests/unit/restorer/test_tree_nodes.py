"""Trees that are hostile until proved otherwise."""

from __future__ import annotations

import pytest

from argosy.errors import Damaged
from argosy.restic_format.names import encode_name
from argosy.restic_format.tree import encode_tree
from argosy.restic_format.tree_parts import cut_tree
from argosy.restorer.tree_nodes import decode_glances, decode_nodes, join_nodes, pieces, usable_name


def node(name: bytes, extra: bytes = b"") -> bytes:
    return b'{"name":"%b","type":"file","mode":420%b}' % (encode_name(name), extra)


@pytest.mark.parametrize("name", [b"plain", b"\xff\x80", "ü☃".encode(), b'q"\\\n', b"...", b". ", b"-"], ids=repr)
def test_any_single_component_is_usable(name: bytes) -> None:
    (glance,) = decode_glances(encode_tree([node(name)]), "tree")
    assert usable_name(glance.name) == name


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", "/", "a\\x00b", "\\x2e\\x2e", "a\\x2fb", "\\q"], ids=repr)
def test_no_other_name_is_usable(text: str) -> None:
    """Also not in a spelling that unquotes to one."""
    assert usable_name(text) is None


def test_a_small_tree_stays_whole_and_a_large_one_is_taken_apart() -> None:
    nodes = [node(b"%06d" % number, b',"x":"%b"' % (b"x" * 500)) for number in range(2500)]
    small, large = encode_tree(nodes[:10]), encode_tree(nodes)
    assert list(pieces((small,), 3, "tree")) == [(small, True)]
    for tree in [(large,), tuple(cut_tree((large,), 10_000))]:
        found = list(pieces(tree, 1000, "tree"))
        parts = [decode_glances(piece, "tree") for piece, _ in found]
        assert [len(part) for part in parts] == [1000, 1000, 500]
        assert [glance.name for part in parts for glance in part] == [f"{number:06d}" for number in range(2500)]
        assert not any(is_whole for _, is_whole in found)


def test_a_malformed_node_costs_itself() -> None:
    good, bad = node(b"good"), node(b"bad", b',"uid":"x"')
    nodes, malformed = decode_nodes(join_nodes([bad, good]))
    assert [found.name for found in nodes] == ["good"]
    assert malformed[0][0] == b"bad"
    assert "not a node" in malformed[0][1]
    assert decode_nodes(encode_tree([])) == ([], [])


@pytest.mark.parametrize("data", [b"", b"[]", b'{"nodes":[{"name":5}]}', b'{"nodes":[', b"\xff"])
def test_what_is_no_tree_is_damaged(data: bytes) -> None:
    with pytest.raises(Damaged, match="tree 12: it is not a tree"):
        decode_glances(data, "tree 12")
