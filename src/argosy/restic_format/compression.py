"""The only door to zstd.

Every frame carries the size of its content, has no dictionary and a window of at most 8 MiB, so that any
restic reads it. One context is reused for all blobs of a size class: 35 µs instead of 62 for a file of 12 kB.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Literal, NamedTuple

from argosy.restic_format.crypto import Buffer
from argosy.restic_format.damage import damaged

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CompressionMode = Literal["off", "auto", "max", "fastest", "better"]

# The largest file that is one blob: the chunker cuts what is longer into pieces of 512 KiB and more.
SMALL_BLOB_BYTES = 512 * 1024
# What a frame may inflate to when the caller knows no size: indexes, snapshots, locks. An index of one full
# pack header (409,199 blobs) has 60 MB of JSON.
UNPACKED_LIMIT_BYTES = 1024 * 1024 * 1024
_PIECE_BYTES = 128 * 1024
# What is larger, a huge directory's tree, is inflated piece by piece: zstd's own way holds it twice for a moment.
_GATHERED_BYTES = 16 * 1024 * 1024


class Effort(NamedTuple):
    """How hard to try: zstd's level, and where it is not the level's own, how long a match must be to count (bytes)
    and how much faster places without one are passed over (0: the level's own)."""

    level: int
    least_match: int = 0
    acceleration: int = 0


# Trees, documents: level 1 makes them smaller than level 3 does, and sooner (100 nodes: 7,823 bytes in 36 µs
# against 7,926 in 48; 20,000 nodes: 1,551,661 in 8 ms against 1,596,252 in 16).
DOCUMENTS = Effort(1)

# Restic's "auto" makes 55.6 MB of 6,000 files of 12.3 kB (text and noise), and 29.4 MB of 6,000 files of a Debian
# system. Level 3 needs 50.0 and 26.5 MB, 41 and 40 µs a file; level 1 51.6 and 27.4 MB, 28 and 33 µs; QUICK 53.1 and
# 28.5 MB, 23 and 30 µs: it still beats restic in both.
QUICK = Effort(1, least_match=7, acceleration=2)
# (up to SMALL_BLOB_BYTES, above). Of large files restic makes 1,441 MB, level 3 1,473 MB, level 1 1,538 MB: there only
# level 3 comes near. "off" concerns data alone: trees and JSON documents are compressed always, as DOCUMENTS.
_EFFORTS: dict[CompressionMode, tuple[Effort, Effort]] = {
    "off": (Effort(1), Effort(1)),
    "fastest": (QUICK, Effort(1)),
    "auto": (QUICK, Effort(3)),
    "better": (Effort(6), Effort(6)),
    "max": (Effort(12), Effort(12)),
}
# ZSTD_c_literalCompressionMode, of zstd's experimental interface since 1.3.8; 1: always. An acceleration would turn
# it off, and with it most of what compression is worth.
_LITERAL_COMPRESSION = 1002


class Compressor:
    """Compresses blobs, each into a frame of its own. Not thread-safe: one for each thread."""

    def __init__(self, mode: CompressionMode) -> None:
        self.mode = mode
        self.efforts = small, large = _EFFORTS[mode]
        self._small = _context(small)
        # Separate even where the efforts agree: a context that has seen a large blob stays large.
        self._large = _context(large)
        self._documents = _context(DOCUMENTS)

    @property
    def compresses_data(self) -> bool:
        """False for "off": data blobs are then stored as they are; trees and documents never are."""
        return self.mode != "off"

    def compress(self, data: Buffer) -> bytes:
        """One frame with the whole of ``data``, longer than it if it does not shrink."""
        return _compress(self._small if len(data) <= SMALL_BLOB_BYTES else self._large, data)

    def compress_document(self, data: Buffer) -> bytes:
        """As ``compress``, for JSON of any size: trees, indexes, snapshots, locks."""
        return _compress(self._documents, data)


class StreamCompressor:
    """Compresses one tree of ``total_bytes`` as it comes, in bounded memory.

    With None the frame does not tell the size of its content: it is for this process alone.
    """

    def __init__(self, total_bytes: int | None) -> None:
        self._context = _context(DOCUMENTS)
        if total_bytes is not None:
            self._context.set_pledged_input_size(total_bytes)

    def update(self, data: Buffer) -> bytes:
        """The next bytes of the frame, possibly none."""
        return self._context.compress(data)

    def finish(self) -> bytes:
        """The last bytes of the frame. ValueError if not ``total_bytes`` were given."""
        try:
            return self._context.flush(zstd.ZstdCompressor.FLUSH_FRAME)
        except zstd.ZstdError as error:
            raise ValueError("the stream does not have the announced length") from error


def decompress(data: Buffer, expected_bytes: int | None, what: str) -> bytes:
    """The content of a frame (or of several, one after the other).

    Never inflates beyond ``expected_bytes``, or ``UNPACKED_LIMIT_BYTES`` if that is None. Damaged (naming
    ``what``) if the frame is corrupt, cut short or has not exactly the expected content.
    """
    limit = UNPACKED_LIMIT_BYTES if expected_bytes is None else expected_bytes
    if expected_bytes is not None and expected_bytes > _GATHERED_BYTES:
        return _gather(decompress_pieces(data, expected_bytes, what))
    try:
        content = _inflate(data, limit)
    except zstd.ZstdError as error:
        raise damaged(what, f"its compressed bytes are corrupt ({error})") from error
    if content is None:
        raise damaged(what, f"its compressed bytes are cut short, or hold more than {limit} bytes")
    if expected_bytes is not None and len(content) != expected_bytes:
        raise damaged(what, f"it holds {len(content)} bytes, not {expected_bytes}")
    return content


def decompress_pieces(data: Buffer, expected_bytes: int, what: str) -> Iterator[bytes]:
    """As ``decompress``, some 128 KiB at a time. Damage is found when it is reached; too few bytes at the end."""
    left = expected_bytes
    rest = memoryview(data)
    try:
        while rest:
            frame = zstd.ZstdDecompressor()
            while not frame.eof:
                given: Buffer = b""
                if frame.needs_input:
                    given, rest = rest[:_PIECE_BYTES], rest[_PIECE_BYTES:]
                    if not given:
                        raise damaged(what, "its compressed bytes are cut short")
                piece = frame.decompress(given, _PIECE_BYTES)
                left -= len(piece)
                if left < 0:
                    raise damaged(what, f"its compressed bytes hold more than {expected_bytes} bytes")
                yield piece
            # What it was given behind its end belongs to the next frame.
            rest = memoryview(data)[len(data) - len(rest) - len(frame.unused_data) :]
    except zstd.ZstdError as error:
        raise damaged(what, f"its compressed bytes are corrupt ({error})") from error
    if left:
        raise damaged(what, f"it holds {expected_bytes - left} bytes, not {expected_bytes}")


def _gather(pieces: Iterable[bytes]) -> bytes:
    """All pieces as one, in memory for little more than that: its buffer becomes the result, without a copy."""
    gathered = BytesIO()
    for piece in pieces:
        gathered.write(piece)
    return gathered.getvalue()


def _context(effort: Effort) -> zstd.ZstdCompressor:
    options: dict[int, int] = {zstd.CompressionParameter.compression_level: effort.level}
    if effort.least_match:
        options[zstd.CompressionParameter.min_match] = effort.least_match
    if effort.acceleration:
        options[zstd.CompressionParameter.target_length] = effort.acceleration
        options[_LITERAL_COMPRESSION] = 1
    return zstd.ZstdCompressor(options=options)


def _compress(context: zstd.ZstdCompressor, data: Buffer) -> bytes:
    context.set_pledged_input_size(len(data))
    return context.compress(data, zstd.ZstdCompressor.FLUSH_FRAME)


def _inflate(data: Buffer, limit: int) -> bytes | None:
    """The content of all frames, or None if they end early or exceed ``limit``."""
    parts: list[bytes] = []
    left = limit
    rest: Buffer = data
    while True:
        frame = zstd.ZstdDecompressor()
        # max_length=0 would mean no byte at all and never the end: one byte more shows an excess as well.
        part = frame.decompress(rest, left + 1)
        left -= len(part)
        if left < 0 or not frame.eof:
            return None
        parts.append(part)
        rest = frame.unused_data
        if not rest:
            return parts[0] if len(parts) == 1 else b"".join(parts)
