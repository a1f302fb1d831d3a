"""What the master and a worker say to each other about a restore: msgpack data of declared types.

All are arrays on the wire (no field names), so the order of fields is part of ``PROTOCOL``.
"""

from __future__ import annotations

from typing import TypeAlias, TypeVar

import msgspec

from argosy import errors
from argosy.decoding import from_msgpack
from argosy.errors import ArgosyError
from argosy.restorer.overwrite import Overwrite
from argosy.restorer.selection import SelectionSpec
from argosy.storage.options import StorageOptions

PROTOCOL = 2

T = TypeVar("T")


class RestoreSettings(msgspec.Struct, frozen=True, array_like=True):
    """How entries are restored, the same for every worker and the master.

    ``listing``: name every entry in the results. ``recorded``: tell which files were written, to be verified later.
    ``protected``: (device, inode) of directories that are never deleted. ``xattr_exclude``, ``xattr_include``:
    patterns of names of extended attributes. ``lease_seconds``: other machines write to the target at the same time,
    and each may do so for this long after it has heard of the master (``restorer.lease``); 0 if there are none.
    """

    overwrite: Overwrite = Overwrite.ALWAYS
    sparse: bool = False
    delete: bool = False
    dry_run: bool = False
    listing: bool = False
    recorded: bool = False
    selection: SelectionSpec = SelectionSpec()
    xattr_exclude: list[bytes] = []
    xattr_include: list[bytes] = []
    protected: list[tuple[int, int]] = []
    lease_seconds: float = 0.0

    @property
    def is_shared(self) -> bool:
        """Whether workers on several machines write at the same time."""
        return self.lease_seconds > 0


class WorkerSetup(msgspec.Struct, frozen=True, array_like=True):
    """The first thing a worker hears. Holds secrets: it stands in memory alone."""

    protocol: int
    location: str
    storage_options: StorageOptions
    master_key: bytes
    repository_config: bytes
    lookup_path: str
    target: bytes
    settings: RestoreSettings

    def __repr__(self) -> str:
        return f"WorkerSetup(location={self.location!r})"


class Part(msgspec.Struct, array_like=True):
    """A run of a directory's entries: a tree's JSON with their nodes. Directories and sockets in it are skipped.

    ``path`` is relative to the target, b"" for the target itself. ``whole``: all entries are here and nothing lies
    below, so the worker finishes the directory; ``node`` is then the directory's own (b"" for the target's), and
    ``kept`` are names that the snapshot has there too (for --delete; None: unknown, so that nothing may be deleted).
    """

    directory: int
    path: bytes
    tree: bytes
    whole: bool = False
    node: bytes = b""
    kept: list[bytes] | None = None


class Link(msgspec.Struct, frozen=True, array_like=True):
    """A further name of a file restored before: ``first_name`` in ``first_path``. ``node`` is its own, as JSON."""

    directory: int
    path: bytes
    node: bytes
    first_path: bytes
    first_name: bytes


class Segment(msgspec.Struct, frozen=True, array_like=True):
    """A piece of a large file: the blobs ``ids`` (joined) from ``offset`` on, into the existing file ``name``.

    ``compare``: the file held something before, so write only what differs. ``shown`` is the name for messages.
    """

    file: int
    path: bytes
    name: bytes
    shown: bytes
    offset: int
    ids: bytes
    compare: bool


class RestoreWork(msgspec.Struct, array_like=True, tag=True):
    """A batch."""

    parts: list[Part] = []
    links: list[Link] = []
    segment: Segment | None = None


class VerifyWork(msgspec.Struct, array_like=True, tag=True):
    """Files to read again: in ``parts`` only those that were written."""

    parts: list[Part] = []
    segments: list[Segment] = []


Work: TypeAlias = RestoreWork | VerifyWork


class SegmentResult(msgspec.Struct, frozen=True, array_like=True):
    """A piece of a large file: ``written`` is False if all of it was right already, ``reason`` says why it failed."""

    file: int
    size_bytes: int = 0
    written: bool = False
    reason: str = ""


class Outcome(msgspec.Struct, array_like=True):
    """What became of a batch. Bytes are those of content.

    ``items`` are (action, location, size; None for what is no file) of entries, ``deleted`` paths within the target;
    both where they are listed.
    ``written``, for each part and then each link, names the files that have new content, where that is recorded.
    ``broken`` are directories that could not be opened or made, with the reason: nothing in them was restored.
    ``notes`` counts pieces of metadata that the target or the user's rights do not allow.
    """

    finished: list[int] = []
    segment: SegmentResult | None = None
    errors: list[tuple[bytes, str]] = []
    broken: list[tuple[bytes, str]] = []
    notes: dict[str, int] = {}
    items: list[tuple[str, bytes, int | None]] = []
    written: list[list[bytes]] = []
    deleted: list[bytes] = []
    deleted_count: int = 0
    restored: int = 0
    restored_bytes: int = 0
    skipped: int = 0
    skipped_bytes: int = 0
    verified: int = 0
    verified_bytes: int = 0


class Progress(msgspec.Struct, frozen=True, array_like=True):
    """How far a batch has come."""

    files: int
    size_bytes: int


class WorkerError(msgspec.Struct, frozen=True, array_like=True):
    """The restore cannot go on: an error of Argosy's own, its class by name, message and hint."""

    kind: str
    message: str
    hint: str

    def as_error(self) -> ArgosyError:
        """The error as it was raised on the worker."""
        kind = getattr(errors, self.kind, ArgosyError)
        return kind(self.message, hint=self.hint) if issubclass(kind, ArgosyError) else ArgosyError(self.message)


def encode(message: object) -> bytes:
    """The bytes on the wire."""
    return msgspec.msgpack.encode(message)


def decode(payload: bytes, kind: type[T]) -> T:
    """A message of a known type."""
    found: T = from_msgpack(payload, kind)
    return found


_WORK = msgspec.msgpack.Decoder(RestoreWork | VerifyWork)


def decode_work(payload: bytes) -> Work:
    """What a task asks for."""
    work: Work = _WORK.decode(payload)
    return work


def worker_error(error: ArgosyError) -> bytes:
    """The message for an error of Argosy's own."""
    return encode(WorkerError(type(error).__name__, error.message, error.hint))
