"""Where a blob stands: what the lookup answers, and what is asked of a reader of blobs."""

from __future__ import annotations

import struct

import msgspec

from argosy.restic_format.crypto import OVERHEAD_BYTES

# A place in packs that have numbers, as the native kernel's tables hold it (struct argosy_place): the pack's number,
# and then as in Location.
PLACE = struct.Struct("=4I")


class Location(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a blob stands; lengths as in PackedBlob."""

    pack_id: bytes
    offset: int
    length: int
    uncompressed_length: int

    @property
    def plaintext_bytes(self) -> int:
        """The length of the blob's content."""
        return self.uncompressed_length or self.length - OVERHEAD_BYTES
