"""One tree: is it well formed, and what does it name? Pure; the worker gives it the tree's bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from argosy.errors import Damaged
from argosy.operations.blob_tables import split_ids
from argosy.operations.check.messages import TreeFound
from argosy.restic_format.damage import damaged
from argosy.restic_format.ids import ID_BYTES
from argosy.restic_format.node import Node, decode_node
from argosy.restic_format.times import parse_time
from argosy.restic_format.tree import edge_nodes, raw_nodes, sound_tree_names, tree_nodes

_NULL_ID = bytes(ID_BYTES)
_OTHER_TYPES = frozenset(("symlink", "dev", "chardev", "fifo", "socket"))


def look_at_tree(tree_id: bytes, parts: Iterable[bytes]) -> Iterator[TreeFound]:
    """What a tree names, given in parts (trees that together hold its nodes), and every problem in it; part by part."""
    last_name = b""
    for part in parts:
        look = _look_at(part, f"tree {tree_id.hex()}", last_name)
        last_name = look.last_name
        yield TreeFound(tree_id, b"".join(look.subtrees), b"".join(look.contents), look.problems)


def _look_at(data: bytes, what: str, last_name: bytes) -> _Look:
    look = _Look(last_name)
    try:
        sound = sound_tree_names(data)
        edges = edge_nodes(data, what)
        if edges and edges[0].name_bytes() <= last_name:
            raise damaged(what, "its parts are out of order")
        if edges:
            look.last_name = edges[-1].name_bytes()
        if sound is not None:
            look.subtrees, look.contents = (dict.fromkeys(split_ids(ids)) for ids in sound)
            return look
        for node in tree_nodes(data, what):
            look.at(node)
    except Damaged:
        # Names or nodes are wrong. Look again, one by one, so that all of them are found, and what is sound is seen.
        look = _Look(last_name)
        look.at_each(data, what)
    return look


class _Look:
    """What was seen so far of a part of a tree. ``last_name``: of the nodes up to here the greatest name."""

    def __init__(self, last_name: bytes) -> None:
        self.last_name = last_name
        self.subtrees: dict[bytes, None] = {}
        self.contents: dict[bytes, None] = {}
        self.problems: list[str] = []

    def at(self, node: Node) -> None:
        """Note what a node names and what is wrong with it."""
        if node.type == "file":
            self._at_file(node)
        elif node.type == "dir":
            self._at_directory(node)
        elif node.type not in _OTHER_TYPES:
            self._problem(node, f"it has the unknown type {node.type!r}")
        try:
            # Mostly one time stands three times, or two.
            for text in {node.mtime, node.atime, node.ctime}:
                parse_time(text, "time")
            if node.extended_attributes or node.linktarget_raw:
                node.xattrs()
                node.linktarget_bytes()
        except Damaged as error:
            self._problem(node, error.message)

    def at_each(self, data: bytes, what: str) -> None:
        """Note all that can be decoded, and what is wrong with the rest and with the names."""
        try:
            nodes = raw_nodes(data, what)
        except Damaged as error:
            self.problems.append(error.message.removeprefix(f"{what}: "))
            return
        for number, raw in enumerate(nodes):
            try:
                node = decode_node(raw, f"node {number}")
                name = node.name_bytes()
            except Damaged as error:
                self.problems.append(error.message)
                continue
            self._name(name, self.last_name)
            self.last_name = max(name, self.last_name)
            self.at(node)

    def _name(self, name: bytes, previous: bytes) -> None:
        if not name:
            self.problems.append("it has a node without a name")
        elif b"/" in name or b"\0" in name or name in (b".", b".."):
            self.problems.append(f"node {shown_name(name)} is not the name of one file")
        elif name == previous:
            self.problems.append(f"it has two nodes named {shown_name(name)}")
        elif name < previous:
            self.problems.append(f"node {shown_name(name)} stands after {shown_name(previous)}: out of order")

    def _at_file(self, node: Node) -> None:
        if node.content is None:
            self._problem(node, "it is a file without a list of contents")
            return
        try:
            for identity in node.content_ids():
                if identity == _NULL_ID:
                    self._problem(node, "one of its blobs has an id of zeros")
                else:
                    self.contents[identity] = None
        except Damaged as error:
            self._problem(node, error.message)

    def _at_directory(self, node: Node) -> None:
        try:
            subtree = node.subtree_id()
        except Damaged as error:
            self._problem(node, error.message)
            return
        if subtree is None:
            self._problem(node, "it is a directory without a subtree")
        elif subtree == _NULL_ID:
            self._problem(node, "its subtree has an id of zeros")
        else:
            self.subtrees[subtree] = None

    def _problem(self, node: Node, reason: str) -> None:
        self.problems.append(f"node {shown_name(node.name.encode())}: {reason}")


def shown_name(name: bytes) -> str:
    """A name in quotes, fit to print."""
    text = name.decode("utf-8", "backslashreplace")
    return f'"{text if text.isprintable() else text.encode("unicode_escape").decode("ascii")}"'
