"""Verifying a whole pack in one pass over its bytes: hash, header, and each blob's MAC, compressed bytes and hash.

Two implementations with the same answers: one asks the native kernel, the other is Python's. Both only say whether all
holds; what is wrong is found out by a closer look.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from argosy import native
from argosy.errors import Damaged
from argosy.restic_format.blob import blob_id
from argosy.restic_format.compression import decompress
from argosy.restic_format.crypto import OVERHEAD_BYTES, Buffer, MasterKey, Opener
from argosy.restic_format.pack import LENGTH_BYTES, decode_header, encode_header

if TYPE_CHECKING:
    from argosy.native.bindings import Session


class PackPiece(NamedTuple):
    """Whole blobs of a pack, one after the other: where they stand, and the part of the header that lists them."""

    offset: int
    length: int
    header: bytes | memoryview


class PackVerifier(Protocol):
    """Verifies pack after pack. Not thread-safe.

    ``pieces``, then ``take`` for each of them in order, then ``finish``.
    """

    def pieces(self, header: bytes, most_bytes: int) -> list[PackPiece]:
        """The pieces of a pack with this header (opened), of up to ``most_bytes`` or one blob; none if malformed."""

    def take(self, data: Buffer, piece: PackPiece) -> bool:
        """Whether ``data`` is sound: the bytes of the next piece."""

    def finish(self, trailer: Buffer, header: bytes, pack_id: bytes) -> bool:
        """Whether the bytes after the last piece hold this header, sealed, and the pack's hash is its id."""


def pack_verifier(key: MasterKey) -> PackVerifier:
    """The faster implementation that this process has."""
    session = native.session(key.material)
    return PythonPackVerifier(key) if session is None else NativePackVerifier(key, session)


def verify_pack(
    verifier: PackVerifier,
    pack_id: bytes,
    header: bytes,
    size_bytes: int,
    read: Callable[[int, int], Buffer],
    *,
    most_bytes: int,
) -> bool:
    """Whether a pack of this size is all that its header (opened) and its id say.

    ``read`` gives a length of its bytes from an offset on: ``most_bytes`` or one blob at a time, in order, each once.
    """
    pieces = verifier.pieces(header, most_bytes)
    if not pieces:
        return False
    end = pieces[-1].offset + pieces[-1].length
    if end + len(header) + OVERHEAD_BYTES + LENGTH_BYTES != size_bytes:
        return False
    return all(verifier.take(read(piece.offset, piece.length), piece) for piece in pieces) and verifier.finish(
        read(end, size_bytes - end), header, pack_id
    )


class NativePackVerifier:
    """See ``PackVerifier``; one call of the kernel a piece. What the kernel does not find sound, Python looks at."""

    def __init__(self, key: MasterKey, session: Session) -> None:
        self._session = session
        self._opener = Opener(key)

    def pieces(self, header: bytes, most_bytes: int) -> list[PackPiece]:
        """See ``PackVerifier.pieces``."""
        self._session.pack_start()
        view = memoryview(header)
        return [
            PackPiece(offset, end - offset, view[begin:stop])
            for begin, stop, offset, end in self._session.cut_pack(header, most_bytes)
        ]

    def take(self, data: Buffer, piece: PackPiece) -> bool:
        """See ``PackVerifier.take``."""
        return self._session.pack_piece(data, piece.header) or _are_sound(self._opener, data, piece)

    def finish(self, trailer: Buffer, header: bytes, pack_id: bytes) -> bool:
        """See ``PackVerifier.finish``."""
        return self._session.pack_end(trailer, header, pack_id)


class PythonPackVerifier:
    """See ``PackVerifier``; several calls a blob."""

    def __init__(self, key: MasterKey) -> None:
        self._opener = Opener(key)
        self._hash = hashlib.sha256()

    def pieces(self, header: bytes, most_bytes: int) -> list[PackPiece]:
        """See ``PackVerifier.pieces``."""
        self._hash = hashlib.sha256()
        try:
            return list(_cut(header, most_bytes))
        except Damaged:
            return []

    def take(self, data: Buffer, piece: PackPiece) -> bool:
        """See ``PackVerifier.take``."""
        self._hash.update(data)
        return _are_sound(self._opener, data, piece)

    def finish(self, trailer: Buffer, header: bytes, pack_id: bytes) -> bool:
        """See ``PackVerifier.finish``."""
        self._hash.update(trailer)
        length = len(trailer) - LENGTH_BYTES
        try:
            return (
                self._hash.digest() == pack_id
                and length >= 0
                and int.from_bytes(trailer[length:], "little") == length
                and self._opener.open(memoryview(trailer)[:length], "header") == header
            )
        except Damaged:
            return False


def _are_sound(opener: Opener, data: Buffer, piece: PackPiece) -> bool:
    """Whether the piece's blobs are sound and fill ``data``."""
    view = memoryview(data)
    what = "blob"  # nobody hears it
    end = 0
    try:
        for blob in decode_header(bytes(piece.header), what):
            end = blob.offset + blob.length
            content = opener.open(view[blob.offset : end], what)
            if blob.uncompressed_length:
                content = decompress(content, blob.uncompressed_length, what)
            if blob_id(content) != blob.id:
                return False
    except Damaged:
        return False
    return end == len(view)


def _cut(header: bytes, most_bytes: int) -> Iterator[PackPiece]:
    blobs = decode_header(header, "header")
    first = begin = 0
    while first < len(blobs):
        offset, after = blobs[first].offset, first + 1
        while after < len(blobs) and blobs[after].offset + blobs[after].length - offset <= most_bytes:
            after += 1
        last = blobs[after - 1]
        stop = begin + len(encode_header(blobs[first:after]))
        yield PackPiece(offset, last.offset + last.length - offset, header[begin:stop])
        first, begin = after, stop
