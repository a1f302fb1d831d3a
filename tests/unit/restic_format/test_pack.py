"""Pack headers."""

from __future__ import annotations

import os

import pytest

from argosy.errors import Damaged
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.crypto import OVERHEAD_BYTES, MasterKey, Opener, Sealer
from argosy.restic_format.pack import (
    COMPRESSED_ENTRY_BYTES,
    LENGTH_BYTES,
    MAX_BLOBS,
    MAX_HEADER_BYTES,
    PLAIN_ENTRY_BYTES,
    decode_header,
    encode_header,
    encode_trailer,
    header_bytes,
    pack_size_bytes,
    sealed_header_bytes,
)

ID = bytes(range(32))
BLOBS = [
    PackedBlob(ID, BlobType.DATA, 0, 100, 0),
    PackedBlob(ID[::-1], BlobType.TREE, 100, 0x01020304, 0),
    PackedBlob(ID, BlobType.DATA, 100 + 0x01020304, 40, 0x0A0B0C0D),
    PackedBlob(ID[::-1], BlobType.TREE, 140 + 0x01020304, 50, 9),
]
HEADER = (
    b"\x00" + b"\x64\x00\x00\x00" + ID
    + b"\x01" + b"\x04\x03\x02\x01" + ID[::-1]
    + b"\x02" + b"\x28\x00\x00\x00" + b"\x0d\x0c\x0b\x0a" + ID
    + b"\x03" + b"\x32\x00\x00\x00" + b"\x09\x00\x00\x00" + ID[::-1]
)  # fmt: skip


def test_each_kind_of_entry_has_the_bytes_of_the_format() -> None:
    assert encode_header(BLOBS) == HEADER
    assert decode_header(HEADER, "pack") == BLOBS


def test_a_pack_has_the_size_that_its_blobs_give() -> None:
    trailer = encode_trailer(BLOBS, Sealer(MasterKey.generate(os.urandom), os.urandom))
    assert len(trailer) == header_bytes(BLOBS)
    assert pack_size_bytes(BLOBS) == sum(blob.length for blob in BLOBS) + len(trailer)
    entries = 2 * PLAIN_ENTRY_BYTES + 2 * COMPRESSED_ENTRY_BYTES
    assert len(trailer) == entries + OVERHEAD_BYTES + LENGTH_BYTES


def test_a_trailer_is_the_sealed_header_and_its_length() -> None:
    key = MasterKey.generate(os.urandom)
    trailer = encode_trailer(BLOBS, Sealer(key, os.urandom))
    size = sealed_header_bytes(trailer[-LENGTH_BYTES:], pack_size_bytes(BLOBS), "pack")
    assert size == len(trailer) - LENGTH_BYTES
    assert Opener(key).open(trailer[:size], "pack") == HEADER


def test_a_full_header_is_the_largest_that_restic_reads() -> None:
    sealed = MAX_BLOBS * COMPRESSED_ENTRY_BYTES + OVERHEAD_BYTES
    assert sealed <= MAX_HEADER_BYTES < sealed + COMPRESSED_ENTRY_BYTES


@pytest.mark.parametrize(
    "header",
    [
        b"",
        HEADER[:-1],
        HEADER[:PLAIN_ENTRY_BYTES] + b"\x02",
        b"\x04" + HEADER[1:],
        b"\xff" + HEADER[1:],
        b"\x00" + b"\x1f\x00\x00\x00" + ID,
    ],
)
def test_a_header_that_makes_no_sense_is_damage(header: bytes) -> None:
    with pytest.raises(Damaged, match="pack 12"):
        decode_header(header, "pack 12")


@pytest.mark.parametrize(
    ("length_field", "pack_bytes"),
    [
        (b"", 0),
        (b"\x00\x00\x00", 3),
        (b"\x00\x00\x00\x00", 1000),
        (b"\x44\x00\x00\x00", 1000),
        (b"\xe5\x03\x00\x00", 1000),
        (b"\x01\x00\x00\x01", 2**30),
        (b"\xff\xff\xff\xff", 2**33),
    ],
)
def test_a_header_of_an_impossible_size_is_damage(length_field: bytes, pack_bytes: int) -> None:
    with pytest.raises(Damaged, match="pack 12"):
        sealed_header_bytes(length_field, pack_bytes, "pack 12")


def test_a_header_may_fill_the_rest_of_the_pack() -> None:
    assert sealed_header_bytes((996).to_bytes(4, "little"), 1000, "pack") == 996
