"""What is stored of a blob, decrypted, and its content, which may be too large for memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from argosy.restic_format.compression import decompress_pieces
from argosy.restic_format.crypto import Buffer

_PIECE_BYTES = 128 * 1024


def content_pieces(stored: Buffer, uncompressed_length: int, what: str) -> Iterator[Buffer]:
    """The content, some 128 KiB at a time; ``uncompressed_length`` is 0 if it is not compressed. Damaged (naming
    ``what``), where that is reached, if it does not inflate to that."""
    if uncompressed_length:
        yield from decompress_pieces(stored, uncompressed_length, what)
        return
    view = memoryview(stored)
    for start in range(0, len(view), _PIECE_BYTES):
        yield view[start : start + _PIECE_BYTES]


def content_id(stored: Buffer, uncompressed_length: int, what: str) -> bytes:
    """The id that the content has. Damaged as ``content_pieces``."""
    content_hash = hashlib.sha256()
    for piece in content_pieces(stored, uncompressed_length, what):
        content_hash.update(piece)
    return content_hash.digest()
