"""What the master and a worker say to each other about backup: msgpack data of declared types.

All are arrays on the wire (no field names), so the order of fields is part of ``PROTOCOL``.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from argosy.decoding import from_msgpack
from argosy.errors import ArgosyError, error_named
from argosy.filesystem.xattr_losses import XattrLoss
from argosy.storage.options import StorageOptions

PROTOCOL = 2

SEGMENT_BYTES = 128 << 20
"""Files above this are cut into pieces of exactly this: a constant, because cuts must not depend on tuning."""

READ = "read"
GONE = "gone"
REPLACED = "replaced"
UNREAD = "unread"

T = TypeVar("T")


class WorkerOptions(msgspec.Struct, frozen=True, array_like=True):
    """How a worker works, the same for every member of the job."""

    compression: str
    verify: bool
    pack_size_bytes: int
    upload_threads: int
    read_concurrency: int
    with_atime: bool
    device_id_always: bool
    allow_slow_chunker: bool
    dry_run: bool = False


class WorkerSetup(msgspec.Struct, frozen=True, array_like=True):
    """The first thing a worker hears. Holds secrets: it stands in memory alone. It may not write before a Notice.

    ``elsewhere``: this is not the master's machine. The lookup is this machine's own, so it lacks what other members
    record during the job; and what cannot be found or read here counts only once the master has confirmed it (R8).
    ``maps`` are pairs of the master's path and this machine's, for sources that have another path here.
    """

    protocol: int
    job_id: str
    location: str
    storage_options: StorageOptions
    master_key: bytes
    repository_config: bytes
    lookup_path: str
    options: WorkerOptions
    elsewhere: bool = False
    maps: list[tuple[bytes, bytes]] = []

    def __repr__(self) -> str:
        return f"WorkerSetup(location={self.location!r})"


class Notice(msgspec.Struct, frozen=True, array_like=True):
    """Said to all workers: how long they may write from now on (0: nothing new), or which data blobs were recorded.

    ``blob_ids`` are 32 bytes each, one after the other. Only the last word on the lease may be repeated to others, for
    it counts from when it is heard; what was recorded stays so.
    """

    lease_seconds: float = 0.0
    blob_ids: bytes = b""


class DirectoryPart(msgspec.Struct, array_like=True):
    """A run of a directory's entries. The four lists are parallel; ``devices`` is empty where all are ``device``.

    ``tries`` counts how often these entries came back from a worker because they had been replaced.
    """

    directory_id: int
    parent_id: int
    name: bytes
    path: bytes
    prefix: bytes
    device: int
    whole: bool = False
    tries: int = 0
    names: list[bytes] = []
    modes: list[int] = []
    inodes: list[int] = []
    sizes: list[int] = []
    devices: list[int] = []


class Segment(msgspec.Struct, frozen=True, array_like=True):
    """One piece of a big file: bytes from ``index`` times SEGMENT_BYTES on; ``count`` pieces in all.

    ``sealing`` is the number of the batch with the first piece: a file that is sealed twice, because its directory was
    scanned twice, has two sets of pieces that must not mix.
    """

    directory_id: int
    path: bytes
    name: bytes
    device: int
    inode: int
    size: int
    index: int
    count: int
    tries: int = 0
    sealing: int = 0


class LinkFirst(msgspec.Struct, frozen=True, array_like=True):
    """The first name of a file with several: its node is wanted for the others."""

    directory_id: int
    name: bytes
    device: int
    inode: int


class BatchWork(msgspec.Struct, array_like=True):
    """A batch: what to read, and how to tell that the source is still the one that was scanned (R8).

    ``roots`` are (path, inode) of the source's roots; ``owners`` and ``groups`` are the master's names for ids.
    ``lenient``: earlier attempts failed on the source, so failing files are now named instead of failing the batch.
    """

    roots: list[tuple[bytes, int]]
    owners: dict[int, str]
    groups: dict[int, str]
    parts: list[DirectoryPart]
    segments: list[Segment]
    link_firsts: list[LinkFirst]
    lenient: bool = False


class PartResult(msgspec.Struct, array_like=True):
    """What became of a part. A whole directory has ``tree_id`` (and its sealed tree where it is new), else ``nodes``.

    ``nodes`` is an encoded run (see ``runs.py``). ``returned`` names entries that were replaced since the scan.
    ``left_out``: the directory itself could not be opened any more.
    """

    directory_id: int
    parent_id: int
    name: bytes
    prefix: bytes
    tree_id: bytes = b""
    sealed_tree: bytes = b""
    tree_bytes: int = 0
    nodes: bytes = b""
    returned: list[bytes] = []
    was_whole: bool = False
    path: bytes = b""
    tries: int = 0
    left_out: bool = False


class SegmentResult(msgspec.Struct, frozen=True, array_like=True):
    """A piece of a big file. ``head`` is the node up to its content, from before it was read; ``after`` from after.

    ``fate`` is READ, or why there is nothing: GONE, REPLACED (by another file or type), UNREAD with its ``reason``.
    """

    segment: Segment
    head: bytes
    after: bytes
    length: int
    content: bytes
    fate: str = READ
    reason: str = ""


class BatchResult(msgspec.Struct, array_like=True):
    """Everything a batch gave. ``links`` has the nodes of ``link_firsts`` (empty where there is none).

    ``elsewhere``: what is unread, and what is ``gone`` (those counted in ``vanished``), is to be confirmed (R8).
    """

    parts: list[PartResult]
    segments: list[SegmentResult]
    links: list[tuple[LinkFirst, bytes]]
    unread: list[tuple[bytes, str]]
    vanished: int = 0
    files: int = 0
    size_bytes: int = 0
    data_blobs: int = 0
    data_added: int = 0
    data_added_packed: int = 0
    xattr_losses: list[XattrLoss] = []
    elsewhere: bool = False
    gone: list[bytes] = []


class BatchProgress(msgspec.Struct, frozen=True, array_like=True):
    """How far a batch has come."""

    files: int
    size_bytes: int


class PackReport(msgspec.Struct, frozen=True, array_like=True):
    """A pack is durable; ``header`` is its plain header."""

    pack_id: bytes
    size_bytes: int
    header: bytes


class WorkerError(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The attempt failed with an error of Argosy's own: its class by name, message and hint."""

    kind: str
    message: str
    hint: str

    def as_error(self) -> ArgosyError:
        """The error as it was raised on the worker."""
        return error_named(self.kind, self.message, self.hint)


class SourceLost(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The attempt failed because the source answered like one that is going away, or another one answered."""

    path: bytes
    reason: str


def encode(message: object) -> bytes:
    """The bytes on the wire."""
    return msgspec.msgpack.encode(message)


def decode(payload: bytes, kind: type[T]) -> T:
    """A message of a known type."""
    found: T = from_msgpack(payload, kind)
    return found


def decode_failure(payload: bytes) -> WorkerError | SourceLost:
    """Why a worker failed a batch."""
    failure: WorkerError | SourceLost = from_msgpack(payload, WorkerError | SourceLost)
    return failure


def worker_error(error: ArgosyError) -> bytes:
    """The message for an error of Argosy's own."""
    return encode(WorkerError(type(error).__name__, error.message, error.hint))
