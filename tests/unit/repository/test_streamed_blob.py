"""Blobs that are inflated as they are read."""

from __future__ import annotations

import os

import pytest

from argosy.errors import Damaged
from argosy.repository.streamed_blob import StreamedBlob
from argosy.restic_format.blob import blob_id
from argosy.restic_format.compression import Compressor
from argosy.restic_format.crypto import MasterKey, Opener, Sealer

_CONTENT = os.urandom(200_000) + bytes(1_000_000)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("content", [b"x", _CONTENT])
def test_the_content_can_be_read_again_and_again(key: MasterKey, content: bytes, compressed: bool) -> None:
    stored = Compressor("auto").compress(content) if compressed else content
    blob = StreamedBlob(Opener(key), blob_id(content), _seal(key, stored), len(content) * compressed, "tree")
    assert [b"".join(blob) for _ in range(2)] == [content] * 2
    assert max(map(len, blob)) <= 128 * 1024


def test_what_does_not_hold_is_damaged(key: MasterKey) -> None:
    sealed = _seal(key, Compressor("auto").compress(_CONTENT))
    for identity, data, length in [
        (bytes(32), sealed, len(_CONTENT)),
        (blob_id(_CONTENT), sealed, len(_CONTENT) + 1),
        (blob_id(_CONTENT), sealed, len(_CONTENT) - 1),
        (blob_id(_CONTENT), sealed, 0),
        (blob_id(_CONTENT), sealed[:-1] + bytes([sealed[-1] ^ 1]), len(_CONTENT)),
    ]:
        with pytest.raises(Damaged, match="tree 12"):
            StreamedBlob(Opener(key), identity, data, length, "tree 12")


def _seal(key: MasterKey, data: bytes) -> bytes:
    return Sealer(key, os.urandom).seal(data)
