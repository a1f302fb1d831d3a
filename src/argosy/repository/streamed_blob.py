"""A blob whose content is too large for memory: the tree of a directory with millions of entries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from argosy.restic_format.compression import decompress_pieces
from argosy.restic_format.crypto import Buffer, Opener
from argosy.restic_format.damage import damaged

_PIECE_BYTES = 128 * 1024


class StreamedBlob:
    """The content in pieces, any number of times; memory for what is stored of it, which for trees is a tenth."""

    def __init__(self, opener: Opener, identity: bytes, sealed: Buffer, uncompressed_length: int, what: str) -> None:
        """Damaged (naming ``what``) unless MAC, length and hash hold: the content is inflated once to see that."""
        self._stored = opener.open(sealed, what)
        self._uncompressed_length = uncompressed_length
        self._what = what
        content_hash = hashlib.sha256()
        for piece in self:
            content_hash.update(piece)
        if content_hash.digest() != identity:
            raise damaged(what, "its content has another hash")

    def __iter__(self) -> Iterator[bytes]:
        """The content from its beginning."""
        if self._uncompressed_length:
            yield from decompress_pieces(self._stored, self._uncompressed_length, self._what)
            return
        for start in range(0, len(self._stored), _PIECE_BYTES):
            yield self._stored[start : start + _PIECE_BYTES]
