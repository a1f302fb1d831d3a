"""What the master of a prune and its workers say to each other: msgpack data of declared types.

All are arrays on the wire, so the order of fields is part of ``PROTOCOL``.
"""

from __future__ import annotations

import msgspec

from argosy.decoding import from_msgpack
from argosy.errors import ArgosyError, error_named
from argosy.operations.prune.repacking import PackShare, RepackManner
from argosy.repository.pack_builder import BuiltPack
from argosy.restic_format.blob import BlobType
from argosy.storage.options import StorageOptions

PROTOCOL = 1


class WorkerSetup(msgspec.Struct, frozen=True, array_like=True):
    """The first thing a worker hears. Holds secrets: it stands in memory alone."""

    protocol: int
    location: str
    storage_options: StorageOptions
    master_key: bytes
    repository_config: bytes
    manner: RepackManner
    lease_seconds: float

    def __repr__(self) -> str:
        return f"WorkerSetup(location={self.location!r})"


class Lease(msgspec.Struct, frozen=True, array_like=True):
    """A broadcast: for how long from now on writing is allowed; 0: never again."""

    remaining_seconds: float


class RepackWork(msgspec.Struct, frozen=True, array_like=True):
    """Packs whose wanted blobs are to be copied into new ones."""

    packs: list[PackShare]


class Repacked(msgspec.Struct, frozen=True, array_like=True):
    """New packs, durable, that hold all that was wanted but for what was ``lost``."""

    packs: list[BuiltPack]
    lost: list[tuple[BlobType, bytes]]


class RepackFailed(msgspec.Struct, frozen=True, array_like=True):
    """The prune cannot go on: an error of Argosy's own, its class by name, message and hint."""

    kind: str
    message: str
    hint: str

    @classmethod
    def of(cls, error: ArgosyError) -> RepackFailed:
        """What tells the master of an error."""
        return cls(type(error).__name__, error.message, error.hint)

    def error(self) -> ArgosyError:
        """The error itself."""
        return error_named(self.kind, self.message, self.hint)


def encode(message: msgspec.Struct) -> bytes:
    """The bytes on the wire."""
    return msgspec.msgpack.encode(message)


def decode_setup(payload: bytes) -> WorkerSetup:
    """What a worker is made with."""
    setup: WorkerSetup = from_msgpack(payload, WorkerSetup)
    return setup


def decode_work(payload: bytes) -> RepackWork:
    """A task."""
    work: RepackWork = from_msgpack(payload, RepackWork)
    return work


def decode_lease(payload: bytes) -> Lease:
    """A broadcast."""
    lease: Lease = from_msgpack(payload, Lease)
    return lease
