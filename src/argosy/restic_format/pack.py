"""Pack files: sealed blobs one after the other, the sealed header that lists them, and its length.

``blob 1 .. blob n || sealed header || uint32 LE length of the sealed header`` (restic's
internal/repository/pack). An entry of the header is a type byte, the sealed length, for a compressed blob its
plaintext's length, and the id: 0 data, 1 tree (37 bytes), 2 compressed data, 3 compressed tree (41 bytes).
Offsets are the sums of the lengths.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.crypto import OVERHEAD_BYTES, Buffer, Sealer
from argosy.restic_format.damage import damaged

LENGTH_BYTES = 4
PLAIN_ENTRY_BYTES = 37
COMPRESSED_ENTRY_BYTES = 41
# restic reads no sealed header above 16 MiB.
MAX_HEADER_BYTES = 16 * 1024 * 1024
MAX_BLOBS = (MAX_HEADER_BYTES - OVERHEAD_BYTES) // COMPRESSED_ENTRY_BYTES
# Offsets and lengths are uint32.
MAX_PACK_BYTES = 2**32 - 1

_COMPRESSED = 2
_PLAIN_ENTRY = struct.Struct("<BI32s")
_COMPRESSED_ENTRY = struct.Struct("<BII32s")
_LENGTH = struct.Struct("<I")
_TYPES = (BlobType.DATA, BlobType.TREE)


def encode_entry(blob_type: int, identity: bytes, length: int, uncompressed_length: int) -> bytes:
    """What a header says of one blob; lengths as in PackedBlob."""
    if uncompressed_length:
        return _COMPRESSED_ENTRY.pack(blob_type + _COMPRESSED, length, uncompressed_length, identity)
    return _PLAIN_ENTRY.pack(blob_type, length, identity)


def encode_header(blobs: Sequence[PackedBlob]) -> bytes:
    """The header (not sealed) of a pack that holds ``blobs`` in this order, without gaps from offset 0."""
    return b"".join([encode_entry(blob.type, blob.id, blob.length, blob.uncompressed_length) for blob in blobs])


def encode_trailer(blobs: Sequence[PackedBlob], sealer: Sealer) -> bytes:
    """All that follows the last blob of a pack: the sealed header and its length."""
    return seal_header(encode_header(blobs), sealer)


def seal_header(header: bytes, sealer: Sealer) -> bytes:
    """``encode_trailer`` of the blobs that ``header`` lists."""
    sealed = sealer.seal(header)
    return sealed + _LENGTH.pack(len(sealed))


def entry_type(entry: bytes) -> BlobType:
    """What the blob of this entry, or of the first in a header, holds."""
    return _TYPES[entry[0] & 1]


def is_compressed(entry: bytes) -> bool:
    """Whether the blob of this entry is compressed."""
    return entry[0] >= _COMPRESSED


def decode_header(plain: bytes, what: str) -> list[PackedBlob]:
    """The blobs that a header (opened) lists, with their offsets. Damaged (naming ``what``) if malformed."""
    blobs: list[PackedBlob] = []
    at = offset = 0
    end = len(plain)
    while at < end:
        kind = plain[at]
        if kind > _COMPRESSED + BlobType.TREE:
            raise damaged(what, f"entry {len(blobs)} has the unknown type {kind}")
        size = COMPRESSED_ENTRY_BYTES if kind >= _COMPRESSED else PLAIN_ENTRY_BYTES
        if at + size > end:
            raise damaged(what, f"entry {len(blobs)} is cut short")
        plaintext_length = 0
        if kind >= _COMPRESSED:
            _, length, plaintext_length, identity = _COMPRESSED_ENTRY.unpack_from(plain, at)
        else:
            _, length, identity = _PLAIN_ENTRY.unpack_from(plain, at)
        if length < OVERHEAD_BYTES:
            raise damaged(what, f"entry {len(blobs)} has {length} bytes, too few for anything encrypted")
        blobs.append(PackedBlob(identity, _TYPES[kind & 1], offset, length, plaintext_length))
        at += size
        offset += length
    if not blobs:
        raise damaged(what, "it lists no blob")
    return blobs


def count_blobs(header: bytes) -> int:
    """How many blobs a sound header (opened) lists."""
    at = count = 0
    while at < len(header):
        at += COMPRESSED_ENTRY_BYTES if header[at] >= _COMPRESSED else PLAIN_ENTRY_BYTES
        count += 1
    return count


def sealed_header_bytes(length_field: Buffer, pack_bytes: int, what: str) -> int:
    """The size of the sealed header, from the last 4 bytes of a pack. Damaged if impossible."""
    if len(length_field) != LENGTH_BYTES:
        raise damaged(what, f"{pack_bytes} bytes are too few for a pack")
    size: int = _LENGTH.unpack(length_field)[0]
    smallest = OVERHEAD_BYTES + PLAIN_ENTRY_BYTES
    if not smallest <= size <= min(MAX_HEADER_BYTES, pack_bytes - LENGTH_BYTES):
        raise damaged(what, f"a header of {size} bytes cannot stand in a pack of {pack_bytes}")
    return size


def header_bytes(blobs: Sequence[PackedBlob]) -> int:
    """The size of the sealed header and its length field for these blobs."""
    entries = sum(COMPRESSED_ENTRY_BYTES if blob.uncompressed_length else PLAIN_ENTRY_BYTES for blob in blobs)
    return entries + OVERHEAD_BYTES + LENGTH_BYTES


def trailer_bytes(header: Buffer) -> int:
    """The size of all that follows the last blob of a pack with this header (given not sealed)."""
    return len(header) + OVERHEAD_BYTES + LENGTH_BYTES


def pack_size_bytes(blobs: Sequence[PackedBlob]) -> int:
    """The exact size of the file of a pack that holds these blobs and nothing else."""
    return sum(blob.length for blob in blobs) + header_bytes(blobs)


def in_order(blobs: Iterable[PackedBlob]) -> list[PackedBlob]:
    """Blobs as they stand in their pack: the order of an index means nothing."""
    return sorted(blobs, key=lambda blob: blob.offset)


def impossible(blobs: Sequence[PackedBlob]) -> str:
    """Why a pack cannot hold these blobs; empty if it can."""
    end = 0
    for blob in blobs:
        if blob.length < OVERHEAD_BYTES:
            return f"blob {blob.id.hex()} has {blob.length} bytes, too few for anything encrypted"
        if blob.offset != end:
            kind = "leave a gap" if blob.offset > end else "overlap"
            return f"its blobs {kind} before byte {blob.offset}"
        end = blob.offset + blob.length
        if max(end, blob.uncompressed_length) > MAX_PACK_BYTES:
            return f"blob {blob.id.hex()} is larger than a pack can be"
    return ""
