"""One directory of a snapshot, for lookups by name: a million entries are searched in a few microseconds."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from threading import Lock

import msgspec

from argosy.errors import Damaged
from argosy.restic_format.compression import Compressor, decompress
from argosy.restic_format.damage import damaged
from argosy.restic_format.documents import decode_document
from argosy.restic_format.names import decode_name
from argosy.restic_format.node import Node, decode_node
from argosy.restic_format.tree import is_entry_name, raw_nodes
from argosy.restic_format.tree_parts import cut_tree

_RUN_BYTES = 128 * 1024
_RUNS_OPEN = 16
# A directory is looked up by way of those above it: they must not drive each other out.
_FEWEST_KEPT = 8
# What Python's objects add to an entry's JSON.
_OBJECTS_BYTES = 200


class _Named(msgspec.Struct, gc=False):
    name: str


class _NamedTree(msgspec.Struct, gc=False):
    nodes: list[_Named] | None


_NAMES = msgspec.json.Decoder(_NamedTree)


class _Run(msgspec.Struct, frozen=True):
    """Consecutive entries, ready to be used."""

    names: list[bytes]
    nodes: list[msgspec.Raw]


class Listing:
    """The entries of a tree in order of their raw names; each is decoded when it is asked for. Thread-safe.

    They are kept in compressed runs, of which those used last are open: a million entries take 40 MB, not 450.
    """

    def __init__(self, tree: Iterable[bytes], what: str) -> None:
        """The tree may come in parts. Damaged (naming ``what``) unless it is one of single names in strict order."""
        self._what = what
        self._firsts: list[bytes] = []
        self._starts: list[int] = []
        self._packed: list[bytes] = []
        self._attributed = bytearray()
        self._open: OrderedDict[int, _Run] = OrderedDict()
        self._lock = Lock()
        self._length = most_bytes = most_entries = 0
        compressor, previous = Compressor("fastest"), b""
        for run in chain.from_iterable(cut_tree((part,), _RUN_BYTES) for part in tree):
            names = _names_in(run, what)
            for name in names:
                if name <= previous or not is_entry_name(name):
                    raise damaged(what, f"node {name!r} is not the name of one file, or out of order")
                previous = name
            if names:
                self._firsts.append(names[0])
                self._starts.append(self._length)
                self._packed.append(compressor.compress_document(run))
                self._attributed.append(b'"extended_attributes"' in run)
            self._length += len(names)
            most_bytes, most_entries = max(most_bytes, len(run)), max(most_entries, len(names))
        runs = min(_RUNS_OPEN, len(self._packed))
        self.size_bytes = sum(map(len, self._packed)) + runs * (most_bytes + _OBJECTS_BYTES * most_entries)

    def __len__(self) -> int:
        return self._length

    def entries(self, start: int) -> Iterator[tuple[bytes, Node | None]]:
        """Name and entry from place number ``start`` of the order on; None for an entry that makes no sense."""
        first = max(0, bisect_right(self._starts, start) - 1)
        for number in range(first, len(self._packed)):
            run = self._run(number)
            for at in range(max(0, start - self._starts[number]), len(run.names)):
                try:
                    node = decode_node(run.nodes[at], self._what)
                except Damaged:
                    node = None
                yield run.names[at], node

    def find(self, name: bytes) -> Node | None:
        """The entry with this name. Damaged if it makes no sense."""
        number = bisect_right(self._firsts, name) - 1
        if number < 0:
            return None
        run = self._run(number)
        at = bisect_left(run.names, name)
        return decode_node(run.nodes[at], self._what) if at < len(run.names) and run.names[at] == name else None

    def may_have_attributes(self, name: bytes) -> bool:
        """Whether an entry of this name could have extended attributes; False is certain, and quickly said."""
        number = bisect_right(self._firsts, name) - 1
        return number >= 0 and bool(self._attributed[number])

    @property
    def has_attributes(self) -> bool:
        """Whether some entry may have extended attributes."""
        return any(self._attributed)

    def _run(self, number: int) -> _Run:
        with self._lock:
            found = self._open.get(number)
            if found is None:
                run = decompress(self._packed[number], None, self._what)
                found = self._open[number] = _Run(_names_in(run, self._what), raw_nodes(run, self._what))
                if len(self._open) > _RUNS_OPEN:
                    self._open.popitem(last=False)
            else:
                self._open.move_to_end(number)
            return found


class Listings:
    """The listings used last, up to about ``limit_bytes``, or the last eight. Thread-safe."""

    def __init__(self, load: Callable[[bytes], Iterable[bytes]], limit_bytes: int) -> None:
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


def _names_in(tree: bytes, what: str) -> list[bytes]:
    return [decode_name(node.name) for node in decode_document(_NAMES, tree, what, "a tree").nodes or []]
