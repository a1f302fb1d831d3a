"""Gathers sealed blobs into packs and uploads them.

A pack grows in one of ``upload_threads + 1`` buffers, which are used again and again: fresh 16 MiB buffers
would cost their page faults for each pack. A full pack is finished, hashed and stored by a thread of its own;
while ``upload_threads`` packs are on their way, ``add`` waits before it gives away another.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from mmap import mmap

import msgspec

from argosy import native
from argosy.errors import Damaged, Interrupted
from argosy.memory import resize, untouched
from argosy.repository.encoder import EncodedBlob, SealedRun
from argosy.repository.layout import FileKind, object_name
from argosy.restic_format.blob import BlobType, PackedBlob, hash_many
from argosy.restic_format.crypto import OVERHEAD_BYTES, MasterKey, Opener, Sealer
from argosy.restic_format.ids import ID_BYTES
from argosy.restic_format.pack import (
    COMPRESSED_ENTRY_BYTES,
    LENGTH_BYTES,
    MAX_PACK_BYTES,
    decode_header,
    encode_entry,
    entry_type,
    seal_header,
)
from argosy.restic_format.pack_hash import PackHash
from argosy.restic_format.pack_verifier import pack_verifier, verify_pack
from argosy.storage.interface import Storage

DEFAULT_PACK_SIZE_BYTES = 16 * 1024 * 1024
# As many as one index file lists. Only blobs below 300 bytes reach it before the pack has its size.
MAX_PACK_BLOBS = 50_000
# Room for the blob that fills a pack, and for the header: beyond it a buffer is cut back.
_SLACK_BYTES = 1024 * 1024
_VERIFIED_AT_ONCE_BYTES = 1024 * 1024
_FAULTY_MEMORY = "The memory of this machine may be faulty: test it. Nothing damaged was uploaded."
# Offsets are uint32, and the header must still follow (of somewhat more blobs, as many come at once).
_MAX_CONTENT_BYTES = MAX_PACK_BYTES - 2 * MAX_PACK_BLOBS * COMPRESSED_ENTRY_BYTES - OVERHEAD_BYTES - LENGTH_BYTES


class StoredPack(msgspec.Struct, frozen=True, dict=True):
    """A pack that is durable, and its header (not sealed)."""

    id: bytes
    size_bytes: int
    header: bytes

    @cached_property
    def blobs(self) -> list[PackedBlob]:
        """What it holds. Damaged if the header is malformed."""
        return decode_header(self.header, f"the header of pack {self.id.hex()}")

    @cached_property
    def blob_ids(self) -> bytes:
        """The ids of its blobs, joined. Damaged as ``blobs``."""
        kernel = native.kernel()
        if kernel is not None:
            from argosy.native.masking import header_ids

            ids = header_ids(kernel.library, self.header)
            if ids is not None:
                return ids
        return b"".join([blob.id for blob in self.blobs])

    @property
    def blob_count(self) -> int:
        """How many they are."""
        return len(self.blob_ids) // ID_BYTES

    @property
    def blob_type(self) -> BlobType:
        """What the first of them is; a pack of ours holds one type."""
        return entry_type(self.header)


class PackRef:
    """The pack that a blob went into. ``stored`` once it is durable; ``error`` if it will never be."""

    __slots__ = ("_settled", "error", "pack_id", "stored")

    def __init__(self) -> None:
        self.stored = False
        self.error: BaseException | None = None
        self.pack_id = b""
        self._settled = threading.Event()

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait until the pack is stored or has failed; False if the time was over first."""
        return self._settled.wait(timeout_seconds)

    def settle(self, pack_id: bytes, error: BaseException | None) -> None:
        """Note the outcome (called by the packer)."""
        self.pack_id = pack_id
        self.error = error
        self.stored = error is None
        self._settled.set()


class _Pack:
    __slots__ = ("blob_count", "buffer", "hash", "hashed", "header", "ref", "size")

    def __init__(self, buffer: mmap) -> None:
        self.buffer = buffer
        self.size = 0
        self.blob_count = 0
        self.header = bytearray()
        self.hash = PackHash()
        self.hashed = 0
        self.ref = PackRef()


class Packer:
    """Packs for blobs of one type. Thread-safe.

    ``lease`` is called before each upload and raises when writing is no longer allowed. ``on_stored`` is
    called from an upload thread once a pack is durable, before its ``PackRef`` says so. ``verify`` parses
    each header once more before the upload; ``verify_blobs`` opens all of the pack as its readers will.

    The first failure (of storage, lease or callback) is final: it is raised by every later ``add`` and
    ``flush``, and set as ``error`` of each pack that it keeps from being stored. Then take a new packer.
    """

    def __init__(
        self,
        storage: Storage,
        key: MasterKey,
        blob_type: BlobType,
        *,
        lease: Callable[[], None],
        on_stored: Callable[[StoredPack], None],
        pack_size_bytes: int = DEFAULT_PACK_SIZE_BYTES,
        upload_threads: int = 2,
        verify: bool = True,
        verify_blobs: bool = False,
        draw: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._storage = storage
        self._key = key
        self._blob_type = blob_type
        self._lease = lease
        self._on_stored = on_stored
        self._pack_size_bytes = pack_size_bytes
        self._verify = verify
        self._verify_blobs = verify_blobs
        self._draw = draw
        self._lock = threading.Lock()
        self._open: _Pack | None = None
        self._free: list[mmap] = []
        self._slots = threading.Semaphore(upload_threads)
        self._uploads: set[threading.Thread] = set()
        self._ended = threading.Condition()
        self._failure: BaseException | None = None

    def add(self, blob: EncodedBlob) -> PackRef:
        """Put a blob into the open pack; may wait for uploads. All blobs of a pack share the result."""
        length = len(blob.sealed)
        if blob.type != self._blob_type:
            raise ValueError(f"a pack of {self._blob_type.name} blobs takes no {blob.type.name}")
        with self._lock:
            pack = self._with_room(length)
            pack.buffer[pack.size : pack.size + length] = blob.sealed
            entry = encode_entry(blob.type, blob.id, length, blob.uncompressed_length)
            return self._grown(pack, SealedRun(1, length, entry))

    def fill(self, room_bytes: int, seal: Callable[[memoryview], SealedRun]) -> tuple[SealedRun, PackRef]:
        """Let blobs of this packer's type be sealed right into the open pack, up to ``room_bytes``; else as ``add``.

        ``seal`` gets the place and says what it put there. If it raises, nothing was put.
        """
        with self._lock:
            pack = self._with_room(room_bytes)
            with memoryview(pack.buffer) as whole, whole[pack.size : pack.size + room_bytes] as place:
                run = seal(place)
            return run, self._grown(pack, run)

    def hash_many(self, data: bytes | memoryview, lengths: Sequence[int]) -> list[bytes]:
        """The ids of blobs that stand one after the other in ``data``, and of these lengths.

        What is new in the open pack is hashed beside them, for the pack's own id.
        """
        with self._lock:
            pack = self._open
            if pack is None:
                return hash_many(data, lengths)
            with memoryview(pack.buffer) as whole, whole[pack.hashed : pack.size] as piece:
                ids = pack.hash.take(piece, data, lengths)
            pack.hashed = pack.size
            return ids

    def _with_room(self, size_bytes: int) -> _Pack:
        """The open pack, its buffer as long as is needed (the lock is held)."""
        if self._failure is not None:
            raise self._failure
        pack = self._open
        if pack is not None and pack.size + size_bytes > _MAX_CONTENT_BYTES:
            self._dispatch(pack)
            pack = None
        if pack is None:
            pack = self._open = self._begin()
        _make_room(pack, size_bytes)
        return pack

    def _grown(self, pack: _Pack, run: SealedRun) -> PackRef:
        pack.size += run.size_bytes
        pack.blob_count += run.done
        pack.header += run.header
        if pack.size >= self._pack_size_bytes or pack.blob_count >= MAX_PACK_BLOBS:
            self._dispatch(pack)
        return pack.ref

    def send(self) -> None:
        """Begin to store the open pack, however small; waits for a free slot at most."""
        with self._lock:
            if self._open is not None and self._failure is None:
                self._dispatch(self._open)

    def flush(self) -> None:
        """Store the open pack, however small, and wait for all that were begun before; raises the failure."""
        self.send()
        with self._lock:
            uploads = list(self._uploads)
        for upload in uploads:
            upload.join()
        if self._failure is not None:
            raise self._failure

    def wait_until_under_way(self, most: int, timeout_seconds: float | None = None) -> None:
        """Wait until no more than so many full packs are on their way to the store, or have failed, or for so long."""
        with self._ended:
            self._ended.wait_for(lambda: len(self._uploads) <= most, timeout_seconds)

    def abort(self) -> None:
        """Store nothing more. An upload under way ends by itself and is still reported if it succeeds."""
        self._fail(Interrupted("the upload was stopped", hint="Run the command again to resume it."))

    def _begin(self) -> _Pack:
        # The last buffer given back is the one whose pages are in the processor's cache. A new one takes memory as it
        # is used: a job's trees rarely fill a pack.
        return _Pack(self._free.pop() if self._free else untouched(self._pack_size_bytes + _SLACK_BYTES))

    def _dispatch(self, pack: _Pack) -> None:
        """Give the pack to an upload thread, once one of the slots is free (the lock is held)."""
        self._slots.acquire()
        self._open = None
        # A thread costs 50 µs, a pack 100 ms: no pool that somebody would have to close.
        thread = threading.Thread(target=self._upload, args=(pack,), name="upload-pack", daemon=True)
        self._uploads.add(thread)
        thread.start()

    def _upload(self, pack: _Pack) -> None:
        try:
            if self._failure is not None:
                raise self._failure
            stored = self._store(pack)
            self._on_stored(stored)
            pack.ref.settle(stored.id, None)
            self._give_back(pack.buffer)
        except BaseException as error:  # noqa: BLE001 - raised by the threads that add and flush
            self._fail(error)
            pack.ref.settle(b"", self._failure)
        finally:
            self._slots.release()
            with self._ended:
                self._uploads.discard(threading.current_thread())
                self._ended.notify_all()

    def _store(self, pack: _Pack) -> StoredPack:
        header = bytes(pack.header)
        trailer = seal_header(header, Sealer(self._key, self._draw))
        _make_room(pack, len(trailer))
        pack.buffer[pack.size : pack.size + len(trailer)] = trailer
        size_bytes = pack.size + len(trailer)
        content = memoryview(pack.buffer)[:size_bytes]
        pack_id = pack.hash.end(content[pack.hashed :])
        if self._verify_blobs:
            self._verify_content(content, header, pack_id)
        elif self._verify:
            verify_trailer(self._key, header, pack.size, trailer)
        self._lease()
        self._storage.put(object_name(FileKind.PACK, pack_id), content)
        # Safe to die here: a pack that nothing names is removed by prune.
        return StoredPack(pack_id, size_bytes, header)

    def _verify_content(self, content: memoryview, header: bytes, pack_id: bytes) -> None:
        def read(offset: int, length: int) -> memoryview:
            return content[offset : offset + length]

        verifier = pack_verifier(self._key)
        if not verify_pack(verifier, pack_id, header, len(content), read, most_bytes=_VERIFIED_AT_ONCE_BYTES):
            raise Damaged("a new pack does not hold what was put into it", hint=_FAULTY_MEMORY)

    def _give_back(self, buffer: mmap) -> None:
        usual = self._pack_size_bytes + _SLACK_BYTES
        # A store may hold on to its view of the buffer for a moment: a buffer to be cut back is dropped then.
        with suppress(BufferError):
            if len(buffer) > usual:
                resize(buffer, usual)
            self._free.append(buffer)

    def _fail(self, error: BaseException) -> None:
        """Set the failure, tell who waits for the open pack. Takes no lock: ``add`` may hold it and wait."""
        if self._failure is None:
            self._failure = error
        # A pack given to a thread at this moment meets the failure there, before it is stored.
        open_pack = self._open
        if open_pack is not None:
            open_pack.ref.settle(b"", self._failure)


def _make_room(pack: _Pack, size_bytes: int) -> None:
    missing = pack.size + size_bytes - len(pack.buffer)
    if missing > 0:
        resize(pack.buffer, len(pack.buffer) + max(missing, _SLACK_BYTES))


def verify_trailer(key: MasterKey, header: bytes, content_bytes: int, trailer: bytes) -> None:
    """Damaged unless the sealed header opens, is ``header``, and lists blobs of ``content_bytes`` together."""
    what = "header of a new pack"
    plain = Opener(key).open(memoryview(trailer)[:-LENGTH_BYTES], what)
    if plain != header or sum(blob.length for blob in decode_header(plain, what)) != content_bytes:
        raise Damaged(
            "the header of a new pack does not list what is in the pack",
            hint=_FAULTY_MEMORY,
        )
