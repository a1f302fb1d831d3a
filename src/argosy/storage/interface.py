"""The interface to a store, and its promises. The contract suite holds every implementation to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from argosy.errors import Damaged

# What a store takes to write. (collections.abc.Buffer begins with Python 3.12.)
Buffer = bytes | bytearray | memoryview


class ObjectInfo(msgspec.Struct, frozen=True):
    """An object as a listing shows it."""

    name: str
    size_bytes: int


class Storage(Protocol):
    """Named, immutable objects.

    Threads: every method may be called from any number of threads at once.

    Errors: StorageNotFound, StorageExists, StorageDenied (credentials or permissions), StorageFull (no room),
    StorageUnavailable (no good answer after all retries; the same call may succeed later), Damaged (an
    object shorter than the range asked for), StorageError (anything else). Each names the object, none shows
    a secret.

    Retries: every call repeats itself on passing failures, for a bounded time; callers need no loop of
    their own. Each call is idempotent under that: a repeated ``put`` stores the same bytes, a repeated
    ``delete`` is fine, and a ``create`` whose own first attempt arrived is a success.

    Visibility: an object is there whole or not at all, also to readers at the time it is written, and is seen
    by every reader as soon as ``put`` returned.
    """

    @property
    def location(self) -> str:
        """Where the store is, fit to print: no secrets, no undecodable characters."""

    @property
    def is_local(self) -> bool:
        """Whether reads cost no network: then nothing is worth caching."""

    def local_path(self, name: str) -> Path | None:
        """The object's path, present or not, where it may be read past this interface; else None."""

    def get(self, name: str) -> bytes:
        """The whole object."""

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset``; Damaged if the object ends before."""

    def size(self, name: str) -> int:
        """The object's size in bytes."""

    def put(self, name: str, data: Buffer, *, create: bool = False) -> None:
        """Store an object; it is durable (survives loss of power) when this returns.

        An object of that name is replaced at one instant, or with ``create`` left alone: StorageExists.
        """

    def put_file(self, name: str, path: Path) -> None:
        """Store a local file's bytes, as ``put`` does, in bounded memory."""

    def delete(self, name: str) -> None:
        """Remove an object; a missing one is fine.

        The removal is durable when this returns, except below "data/": packs are deleted in great numbers,
        and last, so nothing relies on their absence.
        """

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects below ``prefix`` ("" or a directory with its slash: "snapshots/", "data/", "data/ab/").

        Recursive, streamed, in no promised order; empty if there is none. An object that is written or
        deleted meanwhile may be listed or not; every other one is listed exactly once.
        """

    def unfinished(self, before_ns: int) -> Iterator[ObjectInfo]:
        """What killed writers, restic's among them, left of objects, last written to before ``before_ns``.

        That is Unix time in nanoseconds, by this machine's clock. No listing shows these, and ``delete`` removes one by
        the name given here. Empty where an upload that is cut off leaves nothing to delete by name.
        """

    def close(self) -> None:
        """Release connections and descriptors; idempotent. No other call may follow."""


def too_short(what: str, offset: int, length: int, got: int) -> Damaged:
    """The error for an object that gave ``got`` of the ``length`` bytes wanted from ``offset``."""
    return Damaged(
        f"{what} is too short: of {length} bytes from byte {offset}, {got} are there",
        hint="Run argosy check to see what else is damaged.",
    )
