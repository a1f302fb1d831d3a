"""One directory of a snapshot, for lookups by name: a million entries are searched in a few microseconds."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

import msgspec

from argosy.restic_format.damage import damaged
from argosy.restic_format.names import decode_name
from argosy.restic_format.node import Node, decode_node
from argosy.restic_format.tree import raw_nodes

# What Python's objects add to an entry's JSON.
_OBJECTS_BYTES = 200


class _Named(msgspec.Struct, gc=False):
    name: str


_NAMED = msgspec.json.Decoder(_Named)


class Listing:
    """The entries of a tree in order of their raw names; each is decoded when it is asked for."""

    def __init__(self, tree: bytes, what: str) -> None:
        """Damaged (naming ``what``) unless it is a tree of single names in strict order."""
        self._nodes = raw_nodes(tree, what)
        self._what = what
        self.names = [_name_in(node, what) for node in self._nodes]
        previous = b""
        for name in self.names:
            if name <= previous or b"/" in name or b"\0" in name or name in (b".", b".."):
                raise damaged(what, f"node {name!r} is not the name of one file, or out of order")
            previous = name
        self.size_bytes = len(tree) + _OBJECTS_BYTES * len(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def at(self, position: int) -> Node:
        """An entry by its place in the order."""
        return decode_node(self._nodes[position], self._what)

    def find(self, name: bytes) -> Node | None:
        """The entry with this name."""
        at = bisect_left(self.names, name)
        return self.at(at) if at < len(self.names) and self.names[at] == name else None


class Listings:
    """The listings used last, up to about ``limit_bytes`` or the last one. Thread-safe."""

    def __init__(self, load: Callable[[bytes], bytes], limit_bytes: int) -> None:
        self._load = load
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self._kept: OrderedDict[bytes, Listing] = OrderedDict()
        self._lock = Lock()
        self._loading: dict[bytes, Lock] = {}

    def get(self, tree_id: bytes) -> Listing:
        """The listing of a tree. Damaged if it cannot be read."""
        found = self._kept_one(tree_id)
        if found is not None:
            return found
        with self._loading.setdefault(tree_id, Lock()):
            try:
                found = self._kept_one(tree_id)
                return self._keep(tree_id) if found is None else found
            finally:
                self._loading.pop(tree_id, None)

    def _kept_one(self, tree_id: bytes) -> Listing | None:
        with self._lock:
            found = self._kept.get(tree_id)
            if found is not None:
                self._kept.move_to_end(tree_id)
            return found

    def _keep(self, tree_id: bytes) -> Listing:
        listing = Listing(self._load(tree_id), f"tree {tree_id.hex()}")
        with self._lock:
            if tree_id not in self._kept:
                self._kept[tree_id] = listing
                self._size_bytes += listing.size_bytes
            while self._size_bytes > self._limit_bytes and len(self._kept) > 1:
                self._size_bytes -= self._kept.popitem(last=False)[1].size_bytes
        return listing


def _name_in(node: msgspec.Raw, what: str) -> bytes:
    try:
        return decode_name(_NAMED.decode(node).name)
    except msgspec.DecodeError as error:
        raise damaged(what, f"it holds what is not a node ({error})") from error
