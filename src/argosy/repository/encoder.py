"""From a blob's content to the sealed bytes that stand in a pack, and back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from argosy import native
from argosy.errors import Damaged
from argosy.restic_format.blob import BlobType, blob_id
from argosy.restic_format.compression import SMALL_BLOB_BYTES, CompressionMode, Compressor, decompress
from argosy.restic_format.crypto import IV_BYTES, OVERHEAD_BYTES, Buffer, MasterKey, Opener, Sealer
from argosy.restic_format.damage import damaged

if TYPE_CHECKING:
    from argosy.native.bindings import SealedResult, Session


class EncodedBlob(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A sealed blob, ready for a pack. ``uncompressed_length`` is 0 for one stored as it is."""

    id: bytes
    type: BlobType
    sealed: bytes | memoryview
    uncompressed_length: int


class BlobEncoder:
    """Compresses and seals blobs. Not thread-safe: one for each thread.

    Data is stored as it is when compression is "off" or does not make it shorter; trees are compressed
    always, since restic's prune packs any other tree again. ``verify`` decrypts, inflates and hashes each
    blob once more before it is handed out (restic's default since 0.16.4, after memory errors and a faulty
    compressor had damaged backups).
    """

    def __init__(
        self,
        key: MasterKey,
        mode: CompressionMode,
        *,
        verify: bool,
        draw: Callable[[int], bytes] = os.urandom,
    ) -> None:
        compressor = Compressor(mode)
        self._compress = compressor.compress
        self._compresses_data = compressor.compresses_data
        self._seal = Sealer(key, draw).seal
        self._opener = Opener(key) if verify else None
        self._draw = draw
        self._manner = (compressor.compresses_data, *compressor.levels, SMALL_BLOB_BYTES, verify)
        self._material = key.material
        self._sealed = bytearray()

    @cached_property
    def _session(self) -> Session | None:
        """Made when it is asked for: the master's encoder seals trees alone."""
        return native.session(self._material)

    def encode_many(self, data: bytes | memoryview, blobs: Sequence[tuple[int, int, bytes]]) -> Iterator[EncodedBlob]:
        """Seal data blobs that stand in ``data``, given as (offset, length, id), in one go where there is a kernel.

        What is sealed is good until the next call. Damaged if verification fails.
        """
        view = memoryview(data)
        done = 0
        if self._session is not None:
            for offset, length, compressed, sound in self._seal_many(self._session, data, blobs):
                _, content_length, identity = blobs[done]
                sealed = memoryview(self._sealed)[offset : offset + length]
                blob = EncodedBlob(identity, BlobType.DATA, sealed, content_length if compressed else 0)
                if self._opener is not None and not sound:
                    self._verify(self._opener, blob)
                yield blob
                done += 1
        for at, content_length, identity in blobs[done:]:
            yield self.encode(BlobType.DATA, identity, view[at : at + content_length])

    def _seal_many(
        self, session: Session, data: bytes | memoryview, blobs: Sequence[tuple[int, int, bytes]]
    ) -> list[SealedResult]:
        room = sum(length for _, length, _ in blobs) + OVERHEAD_BYTES * len(blobs)
        if len(self._sealed) < room:
            self._sealed = bytearray(room)
        return session.seal_many(data, blobs, self._draw(IV_BYTES * len(blobs)), self._manner, self._sealed)

    def encode(self, blob_type: BlobType, identity: bytes, plaintext: Buffer) -> EncodedBlob:
        """Seal ``plaintext``, whose id the caller has computed. Damaged if verification fails."""
        length = len(plaintext)
        is_tree = blob_type == BlobType.TREE
        # A blob of no bytes is never compressed: its length 0 means that it is not.
        frame = self._compress(plaintext) if length and (is_tree or self._compresses_data) else None
        if frame is not None and (is_tree or len(frame) < length):
            blob = EncodedBlob(identity, blob_type, self._seal(frame), length)
        else:
            blob = EncodedBlob(identity, blob_type, self._seal(plaintext), 0)
        if self._opener is not None:
            self._verify(self._opener, blob)
        return blob

    def seal_again(self, blob: EncodedBlob, stored: Buffer) -> EncodedBlob:
        """A blob of another repository under this key: ``stored`` is what was sealed there, compressed or not."""
        sealed = EncodedBlob(blob.id, blob.type, self._seal(stored), blob.uncompressed_length)
        if self._opener is not None:
            self._verify(self._opener, sealed)
        return sealed

    @staticmethod
    def _verify(opener: Opener, blob: EncodedBlob) -> None:
        try:
            decode_blob(opener, blob.id, blob.sealed, blob.uncompressed_length, f"blob {blob.id.hex()}")
        except Damaged as error:
            raise Damaged(
                f"{error.message}, right after it was encoded",
                hint="The memory of this machine may be faulty: test it. Nothing damaged was uploaded.",
            ) from error


def decode_blob(opener: Opener, identity: bytes, sealed: Buffer, uncompressed_length: int, what: str) -> bytes:
    """The content of a sealed blob. Damaged (naming ``what``) unless MAC, length and hash hold."""
    content = opener.open(sealed, what)
    if uncompressed_length:
        content = decompress(content, uncompressed_length, what)
    if blob_id(content) != identity:
        raise damaged(what, "its content has another hash")
    return content
