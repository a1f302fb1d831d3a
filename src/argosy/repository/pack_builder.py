"""Builds packs of blobs that are sealed already and come in runs, as a prune copies them from other packs.

The ``Packer`` takes blobs one by one from a backup's threads; here a call takes thousands, and a pack is stored before
the next one begins.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

import msgspec

from argosy.errors import Damaged
from argosy.repository.layout import FileKind, object_name
from argosy.repository.packer import DEFAULT_PACK_SIZE_BYTES, MAX_PACK_BLOBS
from argosy.restic_format.crypto import Buffer, MasterKey, Opener, Sealer
from argosy.restic_format.pack import LENGTH_BYTES, MAX_PACK_BYTES, seal_header, trailer_bytes
from argosy.storage.interface import Storage

# Room for the run that fills a pack, and for the header.
_SLACK_BYTES = 1024 * 1024


class BuiltPack(msgspec.Struct, frozen=True, array_like=True):
    """A pack that is durable, with its header (not sealed)."""

    id: bytes
    header: bytes


class PackBuilder:
    """Packs for blobs of one type. Not thread-safe.

    ``lease`` is called before each upload and raises when writing is no longer allowed; ``on_stored`` once a pack is
    durable. ``verify`` opens each header once more before the upload.
    """

    def __init__(
        self,
        storage: Storage,
        key: MasterKey,
        *,
        lease: Callable[[], None],
        on_stored: Callable[[BuiltPack], None],
        pack_size_bytes: int = DEFAULT_PACK_SIZE_BYTES,
        verify: bool = True,
        draw: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._storage = storage
        self._lease = lease
        self._on_stored = on_stored
        self._pack_size_bytes = pack_size_bytes
        self._sealer = Sealer(key, draw)
        self._opener = Opener(key) if verify else None
        # Used again for each pack: fresh memory costs its page faults.
        self._buffer = bytearray()
        self._size = 0
        self._header = bytearray()
        self._blobs = 0

    def add(self, sealed: Buffer, entries: Buffer, blobs: int) -> None:
        """Put so many sealed blobs, one after the other, into the open pack, with their entries for the header."""
        if self._blobs and (
            self._blobs + blobs > MAX_PACK_BLOBS or self._size_with(len(sealed), len(entries)) > MAX_PACK_BYTES
        ):
            self.flush()
        self._append(sealed)
        self._header += entries
        self._blobs += blobs
        if self._size >= self._pack_size_bytes:
            self.flush()

    def flush(self) -> None:
        """Store the open pack, however small."""
        if not self._blobs:
            return
        header = bytes(self._header)
        trailer = seal_header(header, self._sealer)
        self._verify(trailer[:-LENGTH_BYTES], header)
        self._append(trailer)
        content = memoryview(self._buffer)[: self._size]
        pack_id = hashlib.sha256(content).digest()
        self._lease()
        self._storage.put(object_name(FileKind.PACK, pack_id), content)
        # Safe to die here: a pack that nothing names is removed by prune.
        self._size, self._header, self._blobs = 0, bytearray(), 0
        self._on_stored(BuiltPack(pack_id, header))

    def _append(self, data: Buffer) -> None:
        end = self._size + len(data)
        if end > len(self._buffer):
            larger = bytearray(max(end, min(2 * end, self._pack_size_bytes)) + _SLACK_BYTES)
            larger[: self._size] = memoryview(self._buffer)[: self._size]
            self._buffer = larger
        self._buffer[self._size : end] = data
        self._size = end

    def _size_with(self, content_bytes: int, entries_bytes: int) -> int:
        return self._size + content_bytes + trailer_bytes(self._header) + entries_bytes

    def _verify(self, sealed: bytes, header: bytes) -> None:
        if self._opener is not None and self._opener.open(sealed, "header of a new pack") != header:
            raise Damaged(
                "the header of a new pack does not list what is in the pack",
                hint="The memory of this machine may be faulty: test it. Nothing damaged was uploaded.",
            )
