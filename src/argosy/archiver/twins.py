"""Batches that hold what another one holds that is under way: found by sizes, then by samples of their content.

Two members that store the same new content at the same time both store it. So a batch whose twin is under way waits
until that is stored and told, or lost; then it costs nothing. One of the same sizes and samples alone waits in vain.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import TypeAlias

import msgspec

from argosy.archiver.messages import SEGMENT_BYTES, BatchWork, DirectoryPart
from argosy.filesystem.directory import open_directory
from argosy.filesystem.reading import open_file

LARGE_BYTES = 1 << 20
"""A file of this size is compared by itself. Smaller ones of a directory are compared as a whole."""

_SAMPLE_BYTES = 4096

Key: TypeAlias = tuple[int, ...]
"""Equal for two places that may hold the same: sizes, and for a segment its index."""


class Place(msgspec.Struct):
    """Where content begins, of which so much is compared. ``sample`` is read when it is needed."""

    directory: bytes
    name: bytes
    offset: int
    size_bytes: int
    sample: bytes | None = None


Marks: TypeAlias = dict[Key, list[Place]]


def marks_of(work: BatchWork) -> Marks:
    """What a batch can be compared by; nothing for one of few small files."""
    marks: defaultdict[Key, list[Place]] = defaultdict(list)
    for part in work.parts:
        for key, place in _places_of(part):
            marks[key].append(place)
    for segment in work.segments:
        offset = segment.index * SEGMENT_BYTES
        size = min(SEGMENT_BYTES, segment.size - offset)
        marks[segment.size, segment.index].append(Place(segment.path, segment.name, offset, size))
    return dict(marks)


def _places_of(part: DirectoryPart) -> Iterator[tuple[Key, Place]]:
    small: list[int] = []
    first = None
    for name, size in zip(part.names, part.sizes, strict=True):
        if size >= LARGE_BYTES:
            yield (size,), Place(part.path, name, 0, size)
        elif size:
            small.append(size)
            first = first or Place(part.path, name, 0, size)
    if first is not None and sum(small) >= LARGE_BYTES:
        yield (len(small), hash(tuple(small))), first


def read_sample(place: Place) -> bytes:
    """Some bytes of its beginning and of its middle; nothing where they cannot be read."""
    with suppress(OSError):
        dir_fd = open_directory(place.directory)
        try:
            fd = open_file(dir_fd, place.name)
        finally:
            os.close(dir_fd)
        try:
            places = (place.offset, place.offset + place.size_bytes // 2)
            return b"".join(os.pread(fd, _SAMPLE_BYTES, at) for at in places)
        finally:
            os.close(fd)
    return b""


class Twins:
    """Knows what is under way. Used by the coordinator alone."""

    def __init__(self, read: Callable[[Place], bytes] = read_sample) -> None:
        self._read = read
        self._under_way: dict[int, Marks] = {}
        self._places: defaultdict[Key, dict[int, list[Place]]] = defaultdict(dict)
        self._stored: list[int] = []

    def begun(self, seq: int, marks: Marks) -> None:
        """This batch is under way from now on."""
        self._under_way[seq] = marks
        for key, places in marks.items():
            self._places[key][seq] = places

    def lost(self, seq: int) -> None:
        """It is under way no more: others need not wait for it."""
        for key in self._under_way.pop(seq, ()):
            del self._places[key][seq]
            if not self._places[key]:
                del self._places[key]

    def stored(self, seq: int) -> None:
        """It is complete. What it stored will be told to the workers with the next word of ``told``."""
        self._stored.append(seq)

    def told(self) -> None:
        """The workers know now what has been stored."""
        for seq in self._stored:
            self.lost(seq)
        self._stored = []

    def is_one(self, marks: Marks) -> bool:
        """Whether a batch with these marks holds something that one under way holds."""
        return any(
            not self._samples(places).isdisjoint(self._samples(chain.from_iterable(self._places[key].values())))
            for key, places in marks.items()
            if key in self._places
        )

    def _samples(self, places: Iterable[Place]) -> set[bytes]:
        """What could be read of them; an empty one says nothing."""
        samples = set()
        for place in places:
            if place.sample is None:
                place.sample = self._read(place)
            samples.add(place.sample)
        return samples - {b""}
