"""The lookup's file: its tables, how its keys are masked, and how it is made anew when it cannot be used.

A cache must tell nothing about the backup, so a blob's key is a keyed BLAKE2b of its id and its place in the
pack is covered by a pad from the same digest: ids and sizes of blobs, which the encrypted packs hide as well,
do not show.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from argosy import native
from argosy.errors import Damaged, StateError
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.crypto import MasterKey
from argosy.restic_format.pack import decode_header
from argosy.sqlite import Database, open_database

if TYPE_CHECKING:
    from argosy.native.masking import NativeMask

SCHEMA_VERSION = 1

# 50,000 sorted rows of one index touch most pages of a large file: with SQLite's own 2 MB each page is read
# and written several times. Readers gain less, and there is one in each worker.
_WRITER_CACHE_KIBIBYTES = 64 * 1024
_READER_CACHE_KIBIBYTES = 8 * 1024

_KEY_BYTES = 32
_PLACE = struct.Struct("<III")

# owner > 0: the number of the index that lists the pack. owner < 0: minus the number of the job that has
# stored the pack and not indexed it yet. Numbers are never used again (AUTOINCREMENT): rows of "blobs"
# outlive their pack until they are swept, and are hidden by its absence.
_TABLES = """
CREATE TABLE indexes (index_no INTEGER PRIMARY KEY AUTOINCREMENT, index_id BLOB NOT NULL UNIQUE);
CREATE TABLE jobs (job_no INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,
                   used_at INTEGER NOT NULL);
CREATE TABLE packs (pack_no INTEGER PRIMARY KEY AUTOINCREMENT, pack_id BLOB NOT NULL, owner INTEGER NOT NULL,
                    blobs INTEGER NOT NULL);
CREATE INDEX packs_of_owner ON packs (owner, pack_id);
CREATE TABLE blobs (masked BLOB NOT NULL, pack_no INTEGER NOT NULL, place BLOB NOT NULL,
                    PRIMARY KEY (masked, pack_no)) WITHOUT ROWID;
CREATE TABLE proved (masked BLOB PRIMARY KEY, newest_index_no INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE swept (dead_rows INTEGER NOT NULL);
INSERT INTO swept VALUES (0);
"""


LookupRow = tuple[bytes, int, bytes]
"""Of the table ``blobs``."""


class Mask:
    """Turns ids into keys of the file, and covers places. Stateless after construction: safe for threads."""

    def __init__(self, key: MasterKey) -> None:
        # HKDF-SHA256 (RFC 5869) with one block of output. Only the cipher's key goes in: it is secret enough.
        extracted = hmac.digest(bytes(32), key.encrypt, "sha256")
        secret = hmac.digest(extracted, b"argosy dedup lookup\x01", "sha256")
        size = _KEY_BYTES + _PLACE.size
        self._secret = secret
        self._bases = tuple(
            hashlib.blake2b(key=secret, digest_size=size, person=kind.name.encode()) for kind in BlobType
        )

    def digest(self, blob_id: bytes, blob_type: int) -> bytes:
        """The key (first 32 bytes) and the pad (the rest) of a blob."""
        state = self._bases[blob_type].copy()
        state.update(blob_id)
        return state.digest()

    def rows(self, blobs: Sequence[PackedBlob]) -> list[tuple[bytes, bytes]]:
        """Key and covered place of each of a pack's blobs."""
        digests = [self.digest(blob.id, blob.type) for blob in blobs]
        places = cover_places(digests, [(blob.offset, blob.length, blob.uncompressed_length) for blob in blobs])
        return [(digest[:_KEY_BYTES], place) for digest, place in zip(digests, places, strict=True)]

    def sorted_rows(self, packs: Sequence[tuple[Sequence[PackedBlob], int]]) -> list[LookupRow]:
        """Key, pack's number and covered place of each blob of numbered packs, in the order of the keys."""
        rows = [(key, number, place) for blobs, number in packs for key, place in self.rows(blobs)]
        rows.sort(key=itemgetter(0))
        return rows

    def sorted_rows_of_headers(self, packs: Sequence[tuple[bytes, int]]) -> Iterable[LookupRow]:
        """``sorted_rows`` of packs that are known by their headers. For one thread at a time, unlike the rest."""
        rows = None if self._native is None else self._native.rows(packs)
        if rows is not None:
            return rows
        what = "the header of a recorded pack"
        return self.sorted_rows([(decode_header(header, what), number) for header, number in packs])

    @cached_property
    def _native(self) -> NativeMask | None:
        kernel = native.kernel()
        if kernel is None:
            return None
        from argosy.native.masking import NativeMask

        return NativeMask(kernel, self._secret, (BlobType.DATA.name, BlobType.TREE.name))


def cover_places(digests: Sequence[bytes], places: Iterable[tuple[int, int, int]]) -> list[bytes]:
    """Blobs' (offset, length, uncompressed length) in their pack, each covered by the pad of its digest."""
    plain = b"".join([_PLACE.pack(*place) for place in places])
    pads = b"".join([digest[_KEY_BYTES:] for digest in digests])
    covered = (int.from_bytes(plain, "little") ^ int.from_bytes(pads, "little")).to_bytes(len(plain), "little")
    return [covered[at : at + _PLACE.size] for at in range(0, len(covered), _PLACE.size)]


def uncover_place(digest: bytes, covered: bytes) -> tuple[int, int, int]:
    """Offset, length and uncompressed length from a covered place."""
    plain = int.from_bytes(covered, "little") ^ int.from_bytes(digest[_KEY_BYTES:], "little")
    offset, length, uncompressed_length = _PLACE.unpack(plain.to_bytes(_PLACE.size, "little"))
    return offset, length, uncompressed_length


def open_lookup_file(path: Path, *, read_only: bool) -> Database:
    """Open the file; without ``read_only`` make it, also anew if it is damaged or of another version."""
    if read_only:
        if not path.exists():
            raise StateError(
                f"the lookup {path} is gone", hint="Was the cache removed meanwhile? Run the command again."
            )
        return _with_cache(open_database(path, durable=False, read_only=True), _READER_CACHE_KIBIBYTES)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _damage_mark(path).exists():
            with suppress(Damaged):
                return _open_current(path)
        # Another job that has the old file open keeps it, unlinked, to its end.
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        _damage_mark(path).unlink(missing_ok=True)
    except OSError as error:
        raise StateError(
            f"cannot write to {path.parent}: {error.strerror}",
            hint="Check its owner and mode, or name another one with --cache-dir.",
        ) from error
    return _open_current(path)


def mark_damaged(path: Path) -> None:
    """Have the next writer make the file anew: SQLite finds most damage only where it reads."""
    # The damage itself is what gets reported.
    with suppress(OSError):
        _damage_mark(path).touch(mode=0o600)


def _open_current(path: Path) -> Database:
    """Open the file at the present version. Damaged if it is none, or of another version."""
    database = _with_cache(open_database(path, durable=False), _WRITER_CACHE_KIBIBYTES)
    try:
        with database.transaction():
            version = database.execute("PRAGMA user_version")[0][0]
            if version == 0:
                database.execute(_TABLES)
                database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise Damaged(f"{path} has version {version}, not {SCHEMA_VERSION}", hint="It is made anew.")
    except BaseException:
        database.close()
        raise
    return database


def _with_cache(database: Database, kibibytes: int) -> Database:
    database.execute(f"PRAGMA cache_size = -{kibibytes}")
    return database


def _damage_mark(path: Path) -> Path:
    return path.with_name(f"{path.name}.damaged")
