"""Blobs and ids."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from argosy.errors import Damaged
from argosy.restic_format.blob import BlobType, PackedBlob, blob_id
from argosy.restic_format.ids import decode_id


def test_an_id_is_the_sha256_of_the_plaintext() -> None:
    assert blob_id(b"x") == blob_id(memoryview(b"x")) == hashlib.sha256(b"x").digest()


@pytest.mark.parametrize(("length", "uncompressed_length", "plaintext"), [(42, 0, 10), (42, 500, 500)])
def test_the_plaintext_is_known_without_opening(length: int, uncompressed_length: int, plaintext: int) -> None:
    assert PackedBlob(bytes(32), BlobType.DATA, 0, length, uncompressed_length).plaintext_bytes == plaintext


def test_a_packed_blob_crosses_a_process_unchanged() -> None:
    blob = PackedBlob(bytes(range(32)), BlobType.TREE, 2**32, 42, 7)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(blob), type=PackedBlob) == blob


def test_an_id_is_read_from_64_digits() -> None:
    assert decode_id("0a" * 32, "x") == b"\n" * 32


@pytest.mark.parametrize("text", ["", "0a", "0A" * 32, "0a" * 33, "0g" * 32, "0a " * 32, "\u0660a" * 32])
def test_any_other_spelling_of_an_id_is_damage(text: str) -> None:
    with pytest.raises(Damaged, match="index 12"):
        decode_id(text, "index 12")
