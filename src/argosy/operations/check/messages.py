"""What the master of a check and its workers say to each other: msgpack data of declared types.

All are arrays on the wire, so the order of fields is part of ``PROTOCOL``.
"""

from __future__ import annotations

import msgspec

from argosy.decoding import from_msgpack
from argosy.repository.blob_location import Location
from argosy.storage.options import StorageOptions

PROTOCOL = 2


class WorkerSetup(msgspec.Struct, frozen=True, array_like=True):
    """The first thing a worker hears. Holds secrets: it stands in memory alone."""

    protocol: int
    location: str
    storage_options: StorageOptions
    master_key: bytes
    repository_config: bytes
    cache_directory: str
    cache_limit_bytes: int

    def __repr__(self) -> str:
        return f"WorkerSetup(location={self.location!r})"


class TreeWork(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Trees to look at, each with its id and all its places."""

    trees: list[tuple[bytes, list[Location]]]


class PackWork(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Packs to read whole: id, size in bytes, and the header (not sealed) that the index says it has."""

    packs: list[tuple[bytes, int, bytes]]


Work = TreeWork | PackWork


class TreeFound(msgspec.Struct, frozen=True, array_like=True):
    """What a tree names, ids joined: its subtrees and the blobs of its files. ``problems``: its own."""

    id: bytes
    subtrees: bytes = b""
    contents: bytes = b""
    problems: list[str] = []


class TreesFound(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Trees looked at. A large result comes in parts: several of these for one task."""

    trees: list[TreeFound]


class PackRead(msgspec.Struct, frozen=True, array_like=True):
    """What reading a pack came to. ``damage``: its bytes do not hold; ``index``: the index lists it wrongly.

    ``unread``: the store did not give its bytes, so nothing is known of them.
    """

    id: bytes
    size_bytes: int
    damage: list[str] = []
    index: list[str] = []
    unread: str = ""


class PacksRead(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Packs read."""

    packs: list[PackRead]


Found = TreesFound | PacksRead


def encode(message: msgspec.Struct) -> bytes:
    """The bytes on the wire."""
    return msgspec.msgpack.encode(message)


def decode_setup(payload: bytes) -> WorkerSetup:
    """What a worker is made with."""
    setup: WorkerSetup = from_msgpack(payload, WorkerSetup)
    return setup


def decode_work(payload: bytes) -> Work:
    """A task."""
    return _WORK.decode(payload)


def decode_found(payload: bytes) -> Found:
    """What became of a task, or of a part of it."""
    return _FOUND.decode(payload)


_WORK: msgspec.msgpack.Decoder[Work] = msgspec.msgpack.Decoder(Work)
_FOUND: msgspec.msgpack.Decoder[Found] = msgspec.msgpack.Decoder(Found)
