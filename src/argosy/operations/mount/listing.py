"""One directory of a snapshot, for lookups by name: a million entries are searched in a few microseconds."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

import msgspec

from argosy.restic_format.compression import Compressor, decompress
from argosy.restic_format.damage import damaged
from argosy.restic_format.names import decode_name
from argosy.restic_format.node import Node, decode_node
from argosy.restic_format.tree import encode_tree, raw_nodes

_RUN_ENTRIES = 512
_RUNS_OPEN = 16
# A directory is looked up by way of those above it: they must not drive each other out.
_FEWEST_KEPT = 8
# What Python's objects add to an entry's JSON.
_OBJECTS_BYTES = 200


class _Named(msgspec.Struct, gc=False):
    name: str


_NAMED = msgspec.json.Decoder(_Named)


class _Run(msgspec.Struct, frozen=True):
    """Consecutive entries, ready to be used."""

    names: list[bytes]
    nodes: list[msgspec.Raw]


class Listing:
    """The entries of a tree in order of their raw names; each is decoded when it is asked for. Thread-safe.

    They are kept in compressed runs, of which those used last are open: a million entries take 40 MB, not 450.
    """

    def __init__(self, tree: bytes, what: str) -> None:
        """Damaged (naming ``what``) unless it is a tree of single names in strict order."""
        self._what = what
        self._firsts: list[bytes] = []
        self._packed: list[bytes] = []
        self._open: OrderedDict[int, _Run] = OrderedDict()
        self._lock = Lock()
        nodes, compressor, previous = raw_nodes(tree, what), Compressor("fastest"), b""
        for start in range(0, len(nodes), _RUN_ENTRIES):
            run = nodes[start : start + _RUN_ENTRIES]
            names = [_name_in(node, what) for node in run]
            for name in names:
                if name <= previous or b"/" in name or b"\0" in name or name in (b".", b".."):
                    raise damaged(what, f"node {name!r} is not the name of one file, or out of order")
                previous = name
            self._firsts.append(names[0])
            self._packed.append(compressor.compress_document(encode_tree(run)))
        self._length = len(nodes)
        open_bytes = min(len(tree), len(tree) * _RUN_ENTRIES * _RUNS_OPEN // max(1, len(nodes)))
        open_entries = min(len(nodes), _RUN_ENTRIES * _RUNS_OPEN)
        self.size_bytes = sum(map(len, self._packed)) + open_bytes + _OBJECTS_BYTES * open_entries

    def __len__(self) -> int:
        return self._length

    def name(self, position: int) -> bytes:
        """The name of an entry by its place in the order."""
        number, at = divmod(position, _RUN_ENTRIES)
        return self._run(number).names[at]

    def at(self, position: int) -> Node:
        """The entry itself. Damaged if it makes no sense."""
        number, at = divmod(position, _RUN_ENTRIES)
        return decode_node(self._run(number).nodes[at], self._what)

    def find(self, name: bytes) -> Node | None:
        """The entry with this name."""
        number = bisect_right(self._firsts, name) - 1
        if number < 0:
            return None
        run = self._run(number)
        at = bisect_left(run.names, name)
        return decode_node(run.nodes[at], self._what) if at < len(run.names) and run.names[at] == name else None

    def _run(self, number: int) -> _Run:
        with self._lock:
            found = self._open.get(number)
            if found is None:
                nodes = raw_nodes(decompress(self._packed[number], None, self._what), self._what)
                found = self._open[number] = _Run([_name_in(node, self._what) for node in nodes], nodes)
                if len(self._open) > _RUNS_OPEN:
                    self._open.popitem(last=False)
            else:
                self._open.move_to_end(number)
            return found


class Listings:
    """The listings used last, up to about ``limit_bytes``, or the last eight. Thread-safe."""

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
            while self._size_bytes > self._limit_bytes and len(self._kept) > _FEWEST_KEPT:
                self._size_bytes -= self._kept.popitem(last=False)[1].size_bytes
        return listing


def _name_in(node: msgspec.Raw, what: str) -> bytes:
    try:
        return decode_name(_NAMED.decode(node).name)
    except msgspec.DecodeError as error:
        raise damaged(what, f"it holds what is not a node ({error})") from error
