"""From a blob's content to the sealed bytes that stand in a pack, and back."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from argosy import native
from argosy.errors import Damaged
from argosy.restic_format.blob import BlobType, blob_id
from argosy.restic_format.compression import DOCUMENTS, SMALL_BLOB_BYTES, CompressionMode, Compressor, decompress
from argosy.restic_format.crypto import IV_BYTES, OVERHEAD_BYTES, Buffer, MasterKey, Opener, Sealer
from argosy.restic_format.damage import damaged
from argosy.restic_format.pack import decode_header, is_compressed
from argosy.restic_format.stored_content import content_id

if TYPE_CHECKING:
    from argosy.native.bindings import Manner, Session


# A frame may be longer than its content by 1/255 and a few bytes (ZSTD_compressBound); and what sealing adds.
_FRAME_AND_SEAL_BYTES = 512

PlainBlob = tuple[int, int, bytes]
"""Where a content begins, its length, its id."""


class SealedRun(NamedTuple):
    """Data blobs that were sealed one after the other: how many, into how many bytes, and their entries of a pack's
    header."""

    done: int
    size_bytes: int
    header: bytes


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
    compressor had damaged backups); ``verify_trees`` False leaves trees to a packer that verifies whole packs.
    """

    def __init__(
        self,
        key: MasterKey,
        mode: CompressionMode,
        *,
        verify: bool,
        verify_trees: bool = True,
        draw: Callable[[int], bytes] = os.urandom,
    ) -> None:
        compressor = Compressor(mode)
        self._compress = {BlobType.DATA: compressor.compress, BlobType.TREE: compressor.compress_document}
        self._compresses_data = compressor.compresses_data
        self._seal = Sealer(key, draw).seal
        self._opener = Opener(key)
        self._verifies = {BlobType.DATA: verify, BlobType.TREE: verify and verify_trees}
        self._draw = draw
        data: Manner = (
            native.SHORTER if compressor.compresses_data else native.NEVER,
            *compressor.efforts,
            SMALL_BLOB_BYTES,
            verify,
        )
        trees: Manner = (native.ALWAYS, DOCUMENTS, DOCUMENTS, SMALL_BLOB_BYTES, self._verifies[BlobType.TREE])
        self._manners = {BlobType.DATA: data, BlobType.TREE: trees}
        self._material = key.material
        self._room = bytearray()

    @cached_property
    def _session(self) -> Session | None:
        """Made when it is asked for: a process may never seal."""
        return native.session(self._material)

    def room_for(self, blobs: Sequence[PlainBlob]) -> int:
        """The bytes that ``seal_many`` may need for these; 0 if it cannot be called, for want of a kernel."""
        if self._session is None:
            return 0
        return sum([length for _, length, _ in blobs]) + OVERHEAD_BYTES * len(blobs)

    def seal_many(self, data: bytes | memoryview, blobs: Sequence[PlainBlob], into: memoryview) -> SealedRun:
        """Seal data blobs that stand in ``data``, from the first on and one after the other, to ``into``.

        Not all are done if memory gave out. Damaged if verification fails; what was written counts for nothing then.
        """
        assert self._session is not None, "see room_for"
        nonces = self._draw(IV_BYTES * len(blobs))
        many = self._session.seal_many(data, blobs, nonces, self._manners[BlobType.DATA], into)
        if self._verifies[BlobType.DATA] and not all(many.sound[: many.done]):
            for blob in decode_header(many.header, "a new run of blobs"):
                sealed = into[blob.offset : blob.offset + blob.length]
                self._verify(self._opener, EncodedBlob(blob.id, blob.type, sealed, blob.uncompressed_length))
        return SealedRun(many.done, many.size_bytes, many.header)

    def encode(self, blob_type: BlobType, identity: bytes, plaintext: Buffer) -> EncodedBlob:
        """Seal ``plaintext``, whose id the caller has computed. Damaged if verification fails."""
        blob = None if self._session is None else self._seal_one(self._session, blob_type, identity, plaintext)
        if blob is not None:
            return blob
        length = len(plaintext)
        is_tree = blob_type == BlobType.TREE
        # A blob of no bytes is never compressed: its length 0 means that it is not.
        frame = self._compress[blob_type](plaintext) if length and (is_tree or self._compresses_data) else None
        if frame is not None and (is_tree or len(frame) < length):
            blob = EncodedBlob(identity, blob_type, self._seal(frame), length)
        else:
            blob = EncodedBlob(identity, blob_type, self._seal(plaintext), 0)
        if self._verifies[blob_type]:
            self._verify(self._opener, blob)
        return blob

    def _seal_one(
        self, session: Session, blob_type: BlobType, identity: bytes, plaintext: Buffer
    ) -> EncodedBlob | None:
        """``encode`` by the kernel; None where it cannot."""
        length = len(plaintext)
        room = length + length // 128 + _FRAME_AND_SEAL_BYTES
        if len(self._room) < room:
            self._room = bytearray(room)
        nonce = self._draw(IV_BYTES)
        done = session.seal_many(plaintext, [(0, length, identity)], nonce, self._manners[blob_type], self._room)
        if not done.done:
            return None
        sealed = bytes(memoryview(self._room)[: done.size_bytes])
        blob = EncodedBlob(identity, blob_type, sealed, length if is_compressed(done.header) else 0)
        if self._verifies[blob_type] and not done.sound[0]:
            self._verify(self._opener, blob)
        return blob

    def seal_again(self, blob: EncodedBlob, stored: Buffer) -> EncodedBlob:
        """A blob of another repository under this key: ``stored`` is what was sealed there, compressed or not."""
        sealed = EncodedBlob(blob.id, blob.type, self._seal(stored), blob.uncompressed_length)
        if self._verifies[sealed.type]:
            self._verify(self._opener, sealed)
        return sealed

    @staticmethod
    def _verify(opener: Opener, blob: EncodedBlob) -> None:
        what = f"blob {blob.id.hex()}"
        try:
            if content_id(opener.open(blob.sealed, what), blob.uncompressed_length, what) != blob.id:
                raise damaged(what, "its content has another hash")
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
