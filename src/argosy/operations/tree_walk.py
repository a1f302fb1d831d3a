"""Walks the trees of a snapshot, one node after the other, in order of path; memory for the directories entered."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from argosy.errors import Damaged
from argosy.repository.blobs import BlobReader
from argosy.restic_format.damage import damaged
from argosy.restic_format.node import Node
from argosy.restic_format.tree import decode_parts, decode_tree, iter_tree

# A larger tree is decoded node by node, since its nodes together take ten times its bytes.
DECODED_WHOLE_BYTES = 4 * 1024 * 1024

Enter = Callable[[bytes, Node], bool]
Unreadable = Callable[[bytes, Damaged], None]


class Visit(msgspec.Struct):
    """A node that the walk comes to, or (``left``) the end of a directory. ``path`` starts with a slash."""

    path: bytes
    node: Node
    left: bool = False


def walk_tree(
    reader: BlobReader,
    tree_id: bytes,
    path: bytes = b"/",
    *,
    enter: Enter = lambda _path, _node: True,
    unreadable: Unreadable | None = None,
) -> Iterator[Visit]:
    """Every node below a tree that stands at ``path``: a directory, what is in it, and the directory once more.

    ``enter`` says of each directory whether to go into it. One that cannot be read, or not to its end, goes to
    ``unreadable``, and the walk goes on behind it; without that, Damaged.
    """
    nodes, directory = _nodes(reader, tree_id), Visit(path.rstrip(b"/"), Node(""))
    above: list[tuple[Iterator[Node], Visit]] = []
    while True:
        try:
            node = next(nodes, None)
        except Damaged as error:
            if unreadable is None:
                raise
            unreadable(directory.path or b"/", error)
            node = None
        if node is None:
            if not above:
                return
            yield Visit(directory.path, directory.node, left=True)
            nodes, directory = above.pop()
            continue
        visit = Visit(directory.path + b"/" + node.name_bytes(), node)
        yield visit
        if node.type == "dir":
            if enter(visit.path, node):
                above.append((nodes, directory))
                nodes, directory = _nodes_of(reader, visit), visit
            else:
                yield Visit(visit.path, node, left=True)


def _nodes(reader: BlobReader, tree_id: bytes) -> Iterator[Node]:
    """As ``load_nodes``, but the tree is read when its first node is asked for."""
    yield from load_nodes(reader, tree_id)


def _nodes_of(reader: BlobReader, directory: Visit) -> Iterator[Node]:
    yield from load_nodes(reader, subtree_of(directory.node, directory.path))


def load_nodes(reader: BlobReader, tree_id: bytes) -> Iterator[Node]:
    """The nodes of a tree. Damaged if it cannot be read, or where one of them makes no sense."""
    return decode_parts(reader.load_tree(tree_id), f"tree {tree_id.hex()}")


def nodes_of(data: bytes, what: str) -> Iterator[Node]:
    """The nodes of a tree with these bytes. Damaged, naming ``what``, where one of them makes no sense."""
    return iter(decode_tree(data, what)) if len(data) <= DECODED_WHOLE_BYTES else iter_tree(data, what)


def subtree_of(node: Node, path: bytes) -> bytes:
    """The tree of a directory. Damaged if it has none."""
    subtree = node.subtree_id()
    if subtree is None:
        raise damaged(f"directory {path.decode('utf-8', 'backslashreplace')}", "it has no subtree")
    return subtree
