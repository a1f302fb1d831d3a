"""Blobs are sealed so that restic can read them, and verified before they are handed out."""

from __future__ import annotations

import hashlib
import os

import pytest

from argosy import native
from argosy.errors import Damaged
from argosy.repository.encoder import BlobEncoder, EncodedBlob, decode_blob
from argosy.restic_format.blob import BlobType
from argosy.restic_format.compression import CompressionMode, Compressor
from argosy.restic_format.crypto import MasterKey, Opener

TEXT = b"the same line again and again\n" * 100


def encode(key: MasterKey, mode: CompressionMode, kind: BlobType, content: bytes) -> EncodedBlob:
    return BlobEncoder(key, mode, verify=True).encode(kind, hashlib.sha256(content).digest(), content)


@pytest.mark.parametrize("kind", list(BlobType))
@pytest.mark.parametrize("mode", ["off", "auto", "max"])
@pytest.mark.parametrize("content", [TEXT, b"", b"x", os.urandom(5000)], ids=["text", "none", "x", "random"])
def test_a_blob_comes_back(key: MasterKey, mode: CompressionMode, kind: BlobType, content: bytes) -> None:
    blob = encode(key, mode, kind, content)
    assert decode_blob(Opener(key), blob.id, blob.sealed, blob.uncompressed_length, "it") == content


def test_data_that_does_not_shrink_is_stored_as_it_is(key: MasterKey) -> None:
    content = os.urandom(5000)
    blob = encode(key, "auto", BlobType.DATA, content)
    assert blob.uncompressed_length == 0
    assert len(blob.sealed) == len(content) + 32


def test_data_that_shrinks_is_compressed_unless_that_is_off(key: MasterKey) -> None:
    assert encode(key, "auto", BlobType.DATA, TEXT).uncompressed_length == len(TEXT)
    assert encode(key, "off", BlobType.DATA, TEXT).uncompressed_length == 0


def test_a_tree_is_compressed_always(key: MasterKey) -> None:
    """restic's prune would pack an uncompressed tree again."""
    tree = b'{"nodes":[]}\n'
    assert encode(key, "off", BlobType.TREE, tree).uncompressed_length == len(tree)


def test_a_wrong_id_is_found_before_the_blob_is_handed_out(key: MasterKey) -> None:
    encoder = BlobEncoder(key, "auto", verify=True)
    with pytest.raises(Damaged, match="right after it was encoded"):
        encoder.encode(BlobType.DATA, bytes(32), TEXT)


def test_a_faulty_compressor_is_found_before_the_blob_is_handed_out(
    key: MasterKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    compress = Compressor.compress

    def flip(self: Compressor, data: bytes) -> bytes:
        frame = bytearray(compress(self, data))
        frame[-1] ^= 1
        return bytes(frame)

    monkeypatch.setattr(Compressor, "compress", flip)
    monkeypatch.setattr(native, "kernel", lambda: None)
    with pytest.raises(Damaged, match=hashlib.sha256(TEXT).hexdigest()):
        encode(key, "auto", BlobType.DATA, TEXT)


def test_without_verification_nothing_is_read_back(key: MasterKey) -> None:
    encoder = BlobEncoder(key, "auto", verify=False)
    blob = encoder.encode(BlobType.DATA, bytes(32), TEXT)
    with pytest.raises(Damaged, match="it: its content has another hash"):
        decode_blob(Opener(key), blob.id, blob.sealed, blob.uncompressed_length, "it")
