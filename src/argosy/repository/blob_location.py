"""Where a blob stands: what the lookup answers, and what is asked of a reader of blobs."""

from __future__ import annotations

import msgspec


class Location(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a blob stands; lengths as in PackedBlob."""

    pack_id: bytes
    offset: int
    length: int
    uncompressed_length: int
