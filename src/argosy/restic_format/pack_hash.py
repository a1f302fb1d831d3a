"""The hash of a pack that grows: hashed beside the contents that come next, while it is in the processor's cache."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from argosy import native
from argosy.restic_format.blob import hash_many


class PackHash:
    """SHA-256 of a pack's bytes in their order. Not thread-safe.

    The kernel hashes two messages at once in little more time than one; without it all is as it is in Python.
    """

    def __init__(self) -> None:
        self._kernel = native.kernel()
        self._stream = None if self._kernel is None else self._kernel.hash_stream()
        self._hash = hashlib.sha256()

    def take(self, piece: memoryview, data: bytes | memoryview, lengths: Sequence[int]) -> list[bytes]:
        """Take the pack's next piece, and return the ids of blobs as ``hash_many`` does."""
        if self._kernel is not None:
            return self._kernel.hash_many(data, lengths, self._stream, piece)
        self._hash.update(piece)
        return hash_many(data, lengths)

    def end(self, rest: memoryview) -> bytes:
        """The pack's id; ``rest`` is what it did not take yet."""
        if self._stream is not None:
            return self._stream.end(rest)
        self._hash.update(rest)
        return self._hash.digest()
