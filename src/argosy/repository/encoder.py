"""From a blob's content to the sealed bytes that stand in a pack, and back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from argosy import native
from argosy.errors import Damaged
from argosy.restic_format.blob import BlobType, blob_id
from argosy.restic_format.compression import SMALL_BLOB_BYTES, CompressionMode, Compressor, decompress
from argosy.restic_format.crypto import IV_BYTES, OVERHEAD_BYTES, Buffer, MasterKey, Opener, Sealer
from argosy.restic_format.damage import damaged
from argosy.restic_format.pack import decode_header, encode_entry

if TYPE_CHECKING:
    from argosy.native.bindings import Session


class SealedRun(NamedTuple):
    """Sealed blobs of one type one after the other, their entries of a pack's header, and how many they are."""

    sealed: bytes | memoryview
    header: bytes
    blob_count: int


class EncodedBlob(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A sealed blob, ready for a pack. ``uncompressed_length`` is 0 for one stored as it is."""

    id: bytes
    type: BlobType
    sealed: bytes | memoryview
    uncompressed_length: int

    def as_run(self) -> SealedRun:
        """This blob alone."""
        header = encode_entry(self.type, self.id, len(self.sealed), self.uncompressed_length)
        return SealedRun(self.sealed, header, 1)


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
        self._compress = {BlobType.DATA: compressor.compress, BlobType.TREE: compressor.compress_document}
        self._compresses_data = compressor.compresses_data
        self._seal = Sealer(key, draw).seal
        self._opener = Opener(key) if verify else None
        self._draw = draw
        self._manner = (compressor.compresses_data, *compressor.efforts, SMALL_BLOB_BYTES, verify)
        self._material = key.material
        self._sealed = bytearray()

    @cached_property
    def _session(self) -> Session | None:
        """Made when it is asked for: the master's encoder seals trees alone."""
        return native.session(self._material)

    def encode_many(self, data: bytes | memoryview, blobs: Sequence[tuple[int, int, bytes]]) -> Iterator[SealedRun]:
        """Seal data blobs that stand in ``data``, given as (offset, length, id), in one go where there is a kernel.

        What is sealed is good until the next call. Damaged if verification fails.
        """
        done = 0
        if self._session is not None and blobs:
            run = self._seal_many(self._session, data, blobs)
            done = run.blob_count
            if done:
                yield run
        view = memoryview(data)
        for at, content_length, identity in blobs[done:]:
            yield self.encode(BlobType.DATA, identity, view[at : at + content_length]).as_run()

    def _seal_many(
        self, session: Session, data: bytes | memoryview, blobs: Sequence[tuple[int, int, bytes]]
    ) -> SealedRun:
        room = sum(length for _, length, _ in blobs) + OVERHEAD_BYTES * len(blobs)
        if len(self._sealed) < room:
            self._sealed = bytearray(room)
        nonces = self._draw(IV_BYTES * len(blobs))
        many = session.seal_many(data, blobs, nonces, self._manner, self._sealed)
        run = SealedRun(memoryview(self._sealed)[: many.size_bytes], many.header, many.done)
        if self._opener is not None and not all(many.sound[: many.done]):
            self._verify_run(self._opener, run)
        return run

    def encode(self, blob_type: BlobType, identity: bytes, plaintext: Buffer) -> EncodedBlob:
        """Seal ``plaintext``, whose id the caller has computed. Damaged if verification fails."""
        length = len(plaintext)
        is_tree = blob_type == BlobType.TREE
        # A blob of no bytes is never compressed: its length 0 means that it is not.
        frame = self._compress[blob_type](plaintext) if length and (is_tree or self._compresses_data) else None
        if frame is not None and (is_tree or len(frame) < length):
            blob = EncodedBlob(identity, blob_type, self._seal(frame), length)
        else:
            blob = EncodedBlob(identity, blob_type, self._seal(plaintext), 0)
        if self._opener is not None:
            self._verify(self._opener, blob)
        return blob

    def _verify_run(self, opener: Opener, run: SealedRun) -> None:
        for blob in decode_header(run.header, "a new run of blobs"):
            sealed = run.sealed[blob.offset : blob.offset + blob.length]
            self._verify(opener, EncodedBlob(blob.id, blob.type, sealed, blob.uncompressed_length))

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
