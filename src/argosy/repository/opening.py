"""Opening sealed blobs, many at once or one by one: by the native kernel where there is one, else in Python.

Both give the same answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from argosy import native
from argosy.errors import Damaged
from argosy.repository.encoder import decode_blob
from argosy.restic_format.crypto import OVERHEAD_BYTES, MasterKey, Opener

if TYPE_CHECKING:
    from argosy.native.bindings import Session

# Contents that are in memory at a time, unless one blob has more. Above the second limit a blob is opened in Python,
# which asks for memory as the content grows: the length that an index tells may be a lie.
_CONTENTS_BYTES = 16 * 1024 * 1024
_KERNEL_BLOB_BYTES = 64 * 1024 * 1024

BlobContent = bytes | memoryview


Sealed = tuple[int, int, int, bytes]
"""A sealed blob within bytes at hand: offset, length, the content's length if it is compressed (else 0), id."""


class BlobsOpener(Protocol):
    """Opens blobs. Not thread-safe."""

    def open_all(self, data: bytes | memoryview, blobs: Sequence[Sealed]) -> Iterator[list[BlobContent | None]]:
        """The content of each blob in ``data``, in order, or None unless MAC, length and hash hold.

        They come some at a time; those are good until the next ones are asked for.
        """


class BlobOpener:
    """Opens blobs one at a time. Not thread-safe."""

    def __init__(self, key: MasterKey) -> None:
        self._opener = Opener(key)
        self._session = native.session(key.material)

    def open(self, identity: bytes, sealed: bytes | memoryview, uncompressed_length: int, what: str) -> bytes:
        """The content of a sealed blob. Damaged (naming ``what``) unless MAC, length and hash hold."""
        length = uncompressed_length or len(sealed) - OVERHEAD_BYTES
        if self._session is not None and 0 < length <= _KERNEL_BLOB_BYTES:
            content = self._session.open_one(sealed, uncompressed_length, identity, length)
            if content is not None:
                return content
        # No kernel, an unusual frame, or damage: Python decides.
        return decode_blob(self._opener, identity, sealed, uncompressed_length, what)


def blobs_opener(key: MasterKey) -> BlobsOpener:
    """The faster implementation that this process has."""
    session = native.session(key.material)
    return PythonBlobsOpener(key) if session is None else NativeBlobsOpener(key, session)


class PythonBlobsOpener:
    """See ``BlobsOpener``; several calls a blob."""

    def __init__(self, key: MasterKey) -> None:
        self._opener = Opener(key)

    def open_all(self, data: bytes | memoryview, blobs: Sequence[Sealed]) -> Iterator[list[BlobContent | None]]:
        """See ``BlobsOpener.open_all``."""
        view = memoryview(data)
        for blob in blobs:
            yield [self.open_one(view, blob)]

    def open_one(self, view: memoryview, blob: Sealed) -> bytes | None:
        """The content of one blob, or None unless it is sound."""
        offset, length, uncompressed_length, identity = blob
        sealed = view[offset : offset + length]
        if len(sealed) != length:
            return None
        try:
            return decode_blob(self._opener, identity, sealed, uncompressed_length, "blob")
        except Damaged:
            return None


class NativeBlobsOpener:
    """See ``BlobsOpener``; one call of the kernel for as many blobs as fit ``_CONTENTS_BYTES``."""

    def __init__(self, key: MasterKey, session: Session) -> None:
        self._session = session
        self._python = PythonBlobsOpener(key)
        self._contents = bytearray()

    def open_all(self, data: bytes | memoryview, blobs: Sequence[Sealed]) -> Iterator[list[BlobContent | None]]:
        """See ``BlobsOpener.open_all``."""
        start = 0
        while start < len(blobs):
            rows: list[tuple[int, int, int, int, bytes]] = []
            size_bytes = 0
            for offset, length, uncompressed_length, identity in blobs[start:]:
                content_bytes = uncompressed_length or max(0, length - OVERHEAD_BYTES)
                if rows and size_bytes + content_bytes > _CONTENTS_BYTES:
                    break
                rows.append((offset, size_bytes, length, uncompressed_length, identity))
                size_bytes += content_bytes
            if size_bytes > _KERNEL_BLOB_BYTES:
                yield [self._python.open_one(memoryview(data), blobs[start])]
            else:
                yield self._open_rows(data, blobs[start : start + len(rows)], rows, size_bytes)
            start += len(rows)

    def _open_rows(
        self,
        data: bytes | memoryview,
        blobs: Sequence[Sealed],
        rows: list[tuple[int, int, int, int, bytes]],
        size_bytes: int,
    ) -> list[BlobContent | None]:
        if len(self._contents) < size_bytes:
            self._contents = bytearray(size_bytes)
        contents = memoryview(self._contents)
        sound = self._session.open_many(data, rows, self._contents)
        return [
            contents[at : at + (uncompressed_length or length - OVERHEAD_BYTES)]
            if sound[number]
            # An unusual frame, or damage: Python decides.
            else self._python.open_one(memoryview(data), blobs[number])
            for number, (_, at, length, uncompressed_length, _) in enumerate(rows)
        ]
