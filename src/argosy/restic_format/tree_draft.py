"""A tree that grows node by node, and is not in memory as a whole if it becomes huge: its nodes are compressed then."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from argosy.restic_format.blob import blob_id
from argosy.restic_format.compression import StreamCompressor
from argosy.restic_format.crypto import Buffer
from argosy.restic_format.stored_content import content_pieces
from argosy.restic_format.tree import PREFIX, SEPARATOR, SUFFIX

WHOLE_BYTES = 4 * 1024 * 1024
_PIECE_BYTES = 128 * 1024


class HugeDocument:
    """A tree's bytes, any number of times, in pieces."""

    def __init__(self, frames: bytes, size_bytes: int) -> None:
        self._frames = frames
        self.size_bytes = size_bytes

    def __iter__(self) -> Iterator[Buffer]:
        """The pieces from the first one on."""
        return content_pieces(self._frames, self.size_bytes, "a new tree")


Document = bytes | HugeDocument


class TreeDraft:
    """Nodes are added in order of their raw names."""

    def __init__(self, whole_bytes: int = WHOLE_BYTES) -> None:
        self._whole_bytes = whole_bytes
        self._waiting = bytearray(PREFIX)
        self._is_empty = True
        self._compressor: StreamCompressor | None = None
        self._frame = bytearray()
        self._hash = hashlib.sha256()
        self._size_bytes = 0

    def add(self, node: bytes | msgspec.Raw) -> None:
        """Add a node, given by its JSON."""
        if not self._is_empty:
            self._waiting += SEPARATOR
        self._is_empty = False
        self._waiting += node
        if len(self._waiting) > (self._whole_bytes if self._compressor is None else _PIECE_BYTES):
            self._compress()

    def finish(self) -> tuple[bytes, Document]:
        """The tree's id and its bytes."""
        self._waiting += SUFFIX
        if self._compressor is None:
            document = bytes(self._waiting)
            return blob_id(document), document
        self._compress()
        self._frame += self._compressor.finish()
        return self._hash.digest(), HugeDocument(bytes(self._frame), self._size_bytes)

    def _compress(self) -> None:
        if self._compressor is None:
            self._compressor = StreamCompressor(None)
        self._hash.update(self._waiting)
        self._size_bytes += len(self._waiting)
        self._frame += self._compressor.update(self._waiting)
        self._waiting.clear()
