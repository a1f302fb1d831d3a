"""From a blob's content to the sealed bytes that stand in a pack, and back."""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from argosy.errors import Damaged
from argosy.restic_format.blob import BlobType, blob_id
from argosy.restic_format.compression import CompressionMode, Compressor, decompress
from argosy.restic_format.crypto import Buffer, MasterKey, Opener, Sealer
from argosy.restic_format.damage import damaged


class EncodedBlob(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A sealed blob, ready for a pack. ``uncompressed_length`` is 0 for one stored as it is."""

    id: bytes
    type: BlobType
    sealed: bytes
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
