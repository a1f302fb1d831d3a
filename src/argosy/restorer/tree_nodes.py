"""Trees as a restore reads them: hostile until proved otherwise, so that one bad node costs itself alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from argosy.errors import Damaged
from argosy.restic_format.damage import damaged
from argosy.restic_format.names import decode_name
from argosy.restic_format.node import Node, decode_node
from argosy.restic_format.tree import PREFIX, SEPARATOR, SUFFIX, raw_nodes

# Above this a tree is taken apart: its entries would go into several batches anyway.
_WHOLE_TREE_BYTES = 512 * 1024


class Glance(msgspec.Struct, gc=False):
    """What planning needs of a node."""

    name: str
    type: str = ""
    size: int = 0
    inode: int = 0
    device_id: int = 0
    links: int = 0
    subtree: str | None = None


class _Glances(msgspec.Struct, gc=False):
    nodes: list[Glance] | None


class _Nodes(msgspec.Struct, gc=False):
    nodes: list[Node] | None


_GLANCES = msgspec.json.Decoder(_Glances)
_NODES = msgspec.json.Decoder(_Nodes)
_GLANCE = msgspec.json.Decoder(Glance)


def decode_glances(tree: bytes, what: str) -> list[Glance]:
    """The nodes of a tree, as far as planning needs them. Damaged if it is no tree."""
    try:
        return _GLANCES.decode(tree).nodes or []
    except msgspec.DecodeError as error:
        raise damaged(what, f"it is not a tree ({error})") from error


def decode_nodes(tree: bytes) -> tuple[list[Node], list[tuple[bytes, str]]]:
    """The nodes of a part of a tree, their names not judged; and name and reason of those that are malformed."""
    try:
        return _NODES.decode(tree).nodes or [], []
    except msgspec.DecodeError:
        pass
    nodes: list[Node] = []
    malformed: list[tuple[bytes, str]] = []
    for raw in raw_nodes(tree, "a part of a tree"):
        try:
            nodes.append(decode_node(raw))
        except Damaged as error:
            malformed.append((_GLANCE.decode(raw).name.encode(), error.message))
    return nodes, malformed


def join_nodes(nodes: Sequence[bytes | msgspec.Raw]) -> bytes:
    """A tree of these nodes."""
    return b"".join((PREFIX, SEPARATOR.join(nodes), SUFFIX))


def pieces(tree: Iterable[bytes], most_nodes: int, what: str) -> Iterator[tuple[bytes, bool]]:
    """The tree itself, or if it is large, trees of its nodes, in order, ``most_nodes`` each; and whether it is itself.

    It comes in parts (``BlobReader.load_tree``).
    """
    waiting: list[msgspec.Raw] = []
    for part, is_whole in _with_whole(tree):
        if is_whole and len(part) <= _WHOLE_TREE_BYTES:
            yield part, True
            return
        waiting += raw_nodes(part, what)
        for start in range(0, len(waiting) - most_nodes + 1, most_nodes):
            yield join_nodes(waiting[start : start + most_nodes]), False
        del waiting[: len(waiting) // most_nodes * most_nodes]
    if waiting:
        yield join_nodes(waiting), False


def _with_whole(parts: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each part, and whether it is the only one."""
    remaining = iter(parts)
    first, second = next(remaining, b""), next(remaining, None)
    yield first, second is None
    if second is not None:
        yield second, False
        for part in remaining:
            yield part, False


def usable_name(text: str) -> bytes | None:
    """The raw name in a node, or None if no file may have it: it would lead elsewhere, or is no name."""
    try:
        name = decode_name(text) if "\\" in text else text.encode()
    except Damaged:
        return None
    if b"/" in name or b"\0" in name or name in (b"", b".", b".."):
        return None
    return name
