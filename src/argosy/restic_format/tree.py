r"""Trees: the nodes of one directory, ``{"nodes":[…,…]}\n``, in strictly increasing order of their raw names.

The newline belongs to the tree: it is hashed. restic's check does not notice a wrong order, but its lookups
rely on it, so it is verified whenever a tree is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from argosy import native
from argosy.restic_format.damage import damaged
from argosy.restic_format.documents import decode_document
from argosy.restic_format.node import Node, decode_node

PREFIX = b'{"nodes":['
SUFFIX = b"]}\n"
SEPARATOR = b","
NODE_START = rb'\{"name":"(?:[^"\\]|\\.)*","type":"'
"""Pattern of how restic and Argosy begin a node. The quotation marks in it can't be within a string, where they are
escaped; extended attributes, which have a name as well, have no type."""

# restic's limit of a blob.
MAX_TREE_BYTES = 2**32 - 1


class _TreeJson(msgspec.Struct, gc=False):
    nodes: list[Node] | None


class _RawTreeJson(msgspec.Struct, gc=False):
    nodes: list[msgspec.Raw] | None


class TreeNames(NamedTuple):
    """The ids of the subtrees and of the files' data blobs that a tree names, joined, in no order that means anything.

    One that is named twice may stand there twice.
    """

    subtrees: bytes
    contents: bytes


# A larger tree is decoded node by node, since its nodes together take ten times its bytes.
DECODED_WHOLE_BYTES = 4 * 1024 * 1024

_DECODER = msgspec.json.Decoder(_TreeJson)
_RAW_DECODER = msgspec.json.Decoder(_RawTreeJson)


def encode_tree(nodes: Iterable[bytes | msgspec.Raw]) -> bytes:
    """The tree of these encoded nodes, given in order of their raw names."""
    return b"".join((PREFIX, SEPARATOR.join(nodes), SUFFIX))


def decode_tree(data: bytes, what: str) -> list[Node]:
    """The nodes of a tree. Damaged (naming ``what``) unless names are single components in strict order."""
    nodes = decode_document(_DECODER, data, what, "a tree").nodes or []
    previous = b""
    for node in nodes:
        previous = _checked_name(node, previous, what)
    return nodes


def iter_tree(data: bytes, what: str) -> Iterator[Node]:
    """As ``decode_tree``, one node at a time: for huge trees, with memory for the bytes and little more.

    Damage is found when its node is reached.
    """
    previous = b""
    for raw in raw_nodes(data, what):
        node = decode_node(raw, what)
        previous = _checked_name(node, previous, what)
        yield node


def decode_parts(parts: Iterable[bytes], what: str) -> Iterator[Node]:
    """The nodes of a tree that comes in parts, each a tree (``tree_parts.cut_tree``); memory for one part's.

    Damage is found when its part is reached.
    """
    previous = b""
    for part in parts:
        nodes = decode_document(_DECODER, part, what, "a tree").nodes or []
        for node in nodes:
            previous = _checked_name(node, previous, what)
        yield from nodes


def part_entries(parts: Iterable[bytes], what: str) -> Iterator[tuple[msgspec.Raw, Node]]:
    """As ``decode_parts``, each node with its JSON bytes, a view into its part."""
    previous = b""
    for part in parts:
        for raw, node in zip(
            raw_nodes(part, what), decode_document(_DECODER, part, what, "a tree").nodes or (), strict=True
        ):
            previous = _checked_name(node, previous, what)
            yield raw, node


def part_names(parts: Iterable[bytes], what: str) -> Iterator[TreeNames]:
    """What a tree names that comes in parts, part by part. Damaged as ``tree_names``, once the part is reached."""
    previous = b""
    for part in parts:
        names = tree_names(part, what)
        if edges := edge_nodes(part, what):
            _checked_name(edges[0], previous, what)
            previous = edges[-1].name_bytes()
        yield names


def edge_nodes(data: bytes, what: str) -> list[Node]:
    """The first and the last node of a tree, or none of an empty one."""
    raws = raw_nodes(data, what)
    return [decode_node(raw, what) for raw in (raws[0], raws[-1])] if raws else []


def tree_nodes(data: bytes, what: str) -> Iterable[Node]:
    """The nodes, in whichever of the two ways fits the tree's size."""
    return decode_tree(data, what) if len(data) <= DECODED_WHOLE_BYTES else iter_tree(data, what)


def sound_tree_names(data: bytes) -> TreeNames | None:
    """What a tree names, if the native kernel finds that all in it is as restic writes it; None: it does not say so."""
    kernel = native.kernel()
    if kernel is None:
        return None
    from argosy.native.documents import tree_names

    found = tree_names(kernel.library, data)
    return None if found is None else TreeNames(*found)


def tree_names(data: bytes, what: str) -> TreeNames:
    """What a tree names. Damaged (naming ``what``) if it cannot be decoded."""
    found = sound_tree_names(data)
    if found is not None:
        return found
    contents, subtrees = [], []
    for node in tree_nodes(data, what):
        if node.type == "file":
            contents += node.content_ids()
        subtree = node.subtree_id() if node.type == "dir" else None
        if subtree is not None:
            subtrees.append(subtree)
    return TreeNames(b"".join(subtrees), b"".join(contents))


def raw_nodes(data: bytes, what: str) -> list[msgspec.Raw]:
    """The JSON bytes of each node: views into ``data``, not checked further."""
    return decode_document(_RAW_DECODER, data, what, "a tree").nodes or []


def is_entry_name(name: bytes) -> bool:
    """Whether a raw name is that of one entry of a directory."""
    return bool(name) and b"/" not in name and b"\0" not in name and name not in (b".", b"..")


def _checked_name(node: Node, previous: bytes, what: str) -> bytes:
    name = node.name_bytes()
    if name <= previous:
        if not name:
            raise damaged(what, "it has a node without a name")
        raise damaged(what, f"node {name!r} stands after {previous!r}: out of order, or twice")
    if not is_entry_name(name):
        raise damaged(what, f"node {name!r} is not the name of one file")
    return name
