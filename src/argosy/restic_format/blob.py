"""Blobs: the pieces that packs hold, named by the SHA-256 of their plaintext."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from enum import IntEnum

import msgspec

from argosy import native
from argosy.restic_format.crypto import OVERHEAD_BYTES, Buffer


class BlobType(IntEnum):
    """What a blob holds. The two kinds never share a pack."""

    DATA = 0
    TREE = 1


class PackedBlob(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a blob stands in a pack: ``offset`` and ``length`` count sealed bytes.

    ``uncompressed_length`` is the plaintext's length of a compressed blob, 0 for one stored as it is.
    """

    id: bytes
    type: BlobType
    offset: int
    length: int
    uncompressed_length: int = 0

    @property
    def plaintext_bytes(self) -> int:
        """The length of the blob's content, sealed and compressed or not."""
        return self.uncompressed_length or self.length - OVERHEAD_BYTES


def blob_id(data: Buffer) -> bytes:
    """The id of the blob with this content. Releases the GIL above 2 kB."""
    return hashlib.sha256(data).digest()


def hash_many(data: bytes | memoryview, lengths: Sequence[int]) -> list[bytes]:
    """The ids of blobs that stand one after the other in ``data``: two at a time where there is a kernel."""
    kernel = native.kernel()
    if kernel is not None:
        return kernel.hash_many(data, lengths)
    view = memoryview(data)
    ends = itertools.accumulate(lengths)
    return [hashlib.sha256(view[end - length : end]).digest() for end, length in zip(ends, lengths, strict=True)]
