"""Merging the runs of one directory into its nodes in name order, with memory for the runs that overlap only.

The runs of a huge directory mostly follow one another, because batches are cut in name order; they arrive in any.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from argosy.archiver.runs import decode_run

LoadRun = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class RunPlace:
    """A run by its part number; a later part wins where names meet."""

    first: bytes
    part: int


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
