"""What the master of a verification and its workers say to each other: msgpack data of declared types.

All are arrays on the wire, so the order of fields is part of ``PROTOCOL``.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from argosy.decoding import from_msgpack
from argosy.restorer.selection import SelectionSpec

PROTOCOL = 1

T = TypeVar("T")


class WorkerSetup(msgspec.Struct, frozen=True, array_like=True):
    """The first thing a worker hears.

    ``source`` is the directory, ``base`` its place in the snapshot (absolute), over which the patterns of ``selection``
    go. ``ignored``: fields that are not compared. ``manifest``: write the lines of hashes. ``elsewhere``: the worker is
    not on the master's machine.
    """

    protocol: int
    source: bytes
    base: bytes
    selection: SelectionSpec
    ignored: frozenset[str]
    manifest: bool
    elsewhere: bool = False


class Part(msgspec.Struct, frozen=True, array_like=True):
    """A run of a directory's entries: a tree's JSON with their nodes.

    ``path`` is relative to the source, b"" the source itself. The run stands for the names after ``after`` up to
    ``until``; b"" is no bound. ``lengths`` are the sizes of the blobs of files that have several, by name; of those in
    ``unknown`` the content cannot be compared, because the repository lacks some of it.
    """

    path: bytes
    tree: bytes
    after: bytes
    until: bytes
    lengths: dict[bytes, list[int]]
    unknown: list[bytes]


class VerifyWork(msgspec.Struct, frozen=True, array_like=True):
    """A task."""

    parts: list[Part]


class Difference(msgspec.Struct, frozen=True, array_like=True):
    """An entry that is not the same. ``kind``: one of ``DIFFERENCES`` or ``unreadable``; ``path`` as in ``Part``.

    ``fields`` of a changed one: what the snapshot and what the source has; ``reason`` of an unreadable one; ``below``:
    how many entries there are in a directory of the source only; ``silent``: other content of the same size and mtime.
    """

    path: bytes
    kind: str
    type: str = ""
    fields: dict[str, tuple[str, str]] = {}
    reason: str = ""
    below: int = 0
    silent: bool = False


CHANGED, CHANGING = "changed", "changing"
MISSING_IN_SOURCE, MISSING_IN_SNAPSHOT = "missing_in_source", "missing_in_snapshot"
UNREADABLE = "unreadable"
DIFFERENCES = (CHANGED, CHANGING, MISSING_IN_SOURCE, MISSING_IN_SNAPSHOT)


class Outcome(msgspec.Struct, array_like=True):
    """What became of a task. ``manifest`` are lines of hashes; ``passed_over`` counts what a backup never saves.

    ``below_missing`` counts entries of directories that are missing in the source: their parent's part tells of them.
    ``problems`` are entries whose node makes no sense, with the reason. ``elsewhere`` is the setup's.
    """

    files: int = 0
    directories: int = 0
    others: int = 0
    size_bytes: int = 0
    below_missing: int = 0
    passed_over: int = 0
    differences: list[Difference] = []
    problems: list[tuple[bytes, str]] = []
    manifest: bytes = b""
    elsewhere: bool = False


class Progress(msgspec.Struct, frozen=True, array_like=True):
    """How many bytes a task has compared so far."""

    size_bytes: int


def encode(message: msgspec.Struct) -> bytes:
    """The bytes on the wire."""
    return msgspec.msgpack.encode(message)


def decode(payload: bytes, kind: type[T]) -> T:
    """A message of a known type."""
    found: T = from_msgpack(payload, kind)
    return found
