"""Merging: new nodes into the parent's tree, and the runs of a huge directory.

Runs come into name order with memory for those that overlap only. They mostly follow one another, because batches are
cut in name order; they arrive in any.
"""

from __future__ import annotations

import heapq
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from argosy import native
from argosy.archiver.parent import node_name
from argosy.archiver.runs import decode_run
from argosy.restic_format.damage import damaged
from argosy.restic_format.documents import is_object
from argosy.restic_format.tree import NODE_START, PREFIX, SEPARATOR, SUFFIX, encode_tree, raw_nodes

_START = NODE_START + rb'[a-z]+","mode":'
_NODE_START = re.compile(_START)
_NEXT_NODE = re.compile(rb"\}," + _START)

_FEW_NODES_BYTES = 2048
"""So much of a tree is read through, rather than halved once more."""

LoadRun = Callable[[int], bytes]


class RunPlace(msgspec.Struct, frozen=True):
    """A run by its part number; a later part wins where names meet."""

    first: bytes
    part: int


def merge_into(base: bytes, changes: Mapping[bytes, bytes | None]) -> bytes:
    """The parent's tree ``base`` with some nodes replaced, added, or left out (None)."""
    nodes = [node for _, node in sorted(changes.items()) if node is not None]
    replaced = None
    if len(nodes) == len(changes):
        # Most changed directories have the names that they had.
        replaced = _replace_quickly(base, nodes) or _replace(base, nodes)
    return encode_tree(merge_upon(base, changes)) if replaced is None else replaced


def _replace_quickly(base: bytes, nodes: Sequence[bytes]) -> bytes | None:
    """``_replace`` by the native kernel; None where it does not decide."""
    kernel = native.kernel()
    if kernel is None or not nodes:
        return None
    from argosy.native.merging import replace_nodes

    return replace_nodes(kernel.library, base, nodes)


def _replace(base: bytes, nodes: Sequence[bytes]) -> bytes | None:
    """``base`` with nodes in the place of those of their names; None unless it has them all, written as we write.

    The tree is copied around the few new nodes: none of the others is parsed.
    """
    if not (base.startswith(PREFIX) and base.endswith(SUFFIX)):
        return None
    places: list[tuple[int, int, bytes]] = []
    for node in nodes:
        place = _place_of(base, node)
        if place is None:
            return None
        places.append((*place, node))
    pieces: list[bytes] = []
    at = 0
    for start, end, node in sorted(places):
        pieces += (base[at:start], node)
        at = end
    return b"".join((*pieces, base[at:]))


def _place_of(base: bytes, node: bytes) -> tuple[int, int] | None:
    """Where the node of this one's name and type begins and ends in ``base``; None where that is not plain."""
    named = _NODE_START.match(node)
    if named is None:
        return None
    low, high = _narrow(base, node_name(node))
    start = base.find(named[0], low, high + len(named[0]))
    if start < 0:
        return None
    following = _NEXT_NODE.search(base, start)
    end = len(base) - len(SUFFIX) if following is None else following.start() + 1
    # One whole value: neither less than the node nor more.
    return (start, end) if is_object(base[start:end]) else None


def _narrow(base: bytes, name: bytes) -> tuple[int, int]:
    """Between which offsets of ``base``, whose names are in order, the node of a name begins, if it is there."""
    low, high = len(PREFIX), len(base) - len(SUFFIX)
    while high - low > _FEW_NODES_BYTES:
        middle = (low + high) // 2
        found = _NEXT_NODE.search(base, middle)
        start = high if found is None else found.start() + 1 + len(SEPARATOR)
        if found is None or start >= high:
            high = middle + 1 + len(SEPARATOR)
        elif node_name(found[0][1 + len(SEPARATOR) :]) <= name:
            low = start
        else:
            high = start
    return low, high


def merge_upon(base: bytes, changes: Mapping[bytes, bytes | None]) -> list[msgspec.Raw | bytes]:
    """The nodes of the parent's tree ``base``, in name order, with some replaced, added, or left out (None).

    A few changes in a large tree: no more of its names are read than it takes to find their places. The scan has seen
    that they are in order.
    """
    nodes = raw_nodes(base, "a tree of the parent snapshot")
    merged: list[msgspec.Raw | bytes] = []
    at = 0
    for name in sorted(changes):
        start, at = at, bisect_left(nodes, name, at, key=node_name)
        merged += nodes[start:at]
        node = changes[name]
        if at < len(nodes) and node_name(nodes[at]) == name:
            at += 1
        elif node is None:
            raise damaged("a tree of the parent snapshot", f"{name!r} is not where it was")
        if node is not None:
            merged.append(node)
    merged += nodes[at:]
    return merged


def place_runs(parts: Sequence[int], load: LoadRun) -> list[RunPlace]:
    """Where each run begins; empty runs are left out."""
    places = []
    for part in parts:
        names, _ = decode_run(load(part))
        if names:
            places.append(RunPlace(names[0], part))
    return sorted(places, key=lambda place: place.first)


def merge_runs(places: Sequence[RunPlace], load: LoadRun) -> Iterator[bytes]:
    """The nodes of all runs in name order, each name once."""
    waiting = iter(places)
    upcoming = next(waiting, None)
    heap: list[tuple[bytes, int, bytes, Iterator[tuple[bytes, bytes]]]] = []
    while heap or upcoming is not None:
        while upcoming is not None and (not heap or upcoming.first <= heap[0][0]):
            names, nodes = decode_run(load(upcoming.part))
            _push(heap, upcoming.part, iter(zip(names, nodes, strict=True)))
            upcoming = next(waiting, None)
        name, number, node, run = heapq.heappop(heap)
        _push(heap, -number, run)
        while heap and heap[0][0] == name:
            # Sorted by falling part number within a name: what was popped first is the latest.
            _, other, _, rest = heapq.heappop(heap)
            _push(heap, -other, rest)
        yield node


def _push(
    heap: list[tuple[bytes, int, bytes, Iterator[tuple[bytes, bytes]]]], part: int, run: Iterator[tuple[bytes, bytes]]
) -> None:
    item = next(run, None)
    if item is not None:
        heapq.heappush(heap, (item[0], -part, item[1], run))
