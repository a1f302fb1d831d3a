"""The only door to zstd.

Every frame carries the size of its content, has no dictionary and a window of at most 8 MiB, so that any
restic reads it. One context is reused for all blobs of a size class: 35 µs instead of 62 for a file of 12 kB.
"""

from __future__ import annotations

import sys
from typing import Literal

from argosy.restic_format.crypto import Buffer
from argosy.restic_format.damage import damaged

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CompressionMode = Literal["off", "auto", "max", "fastest", "better"]

SMALL_BLOB_BYTES = 128 * 1024
# What a frame may inflate to when the caller knows no size: indexes, snapshots, locks. An index of one full
# pack header (409,199 blobs) has 60 MB of JSON.
UNPACKED_LIMIT_BYTES = 1024 * 1024 * 1024
# Trees, documents: level 1 makes them smaller than level 3 does, and sooner (100 nodes: 7,823 bytes in 36 µs
# against 7,926 in 48; 20,000 nodes: 1,551,661 in 8 ms against 1,596,252 in 16).
DOCUMENT_LEVEL = 1

# (level up to SMALL_BLOB_BYTES, level above). Restic's "auto" packs 60,000 small files of 12.7 kB into 570
# MB; level 1 needs 550 MB and 26 µs a file, level 3 543 MB and 35 µs: level 1 still beats restic there. Of
# large files restic makes 1,441 MB, level 3 1,473 MB, level 1 1,538 MB: there only level 3 comes near. "off"
# concerns data alone: trees and JSON documents are compressed always, so it has a level too.
_LEVELS: dict[CompressionMode, tuple[int, int]] = {
    "off": (1, 1),
    "fastest": (1, 1),
    "auto": (1, 3),
    "better": (6, 6),
    "max": (12, 12),
}


class Compressor:
    """Compresses blobs, each into a frame of its own. Not thread-safe: one for each thread."""

    def __init__(self, mode: CompressionMode) -> None:
        small_level, large_level = _LEVELS[mode]
        self.mode = mode
        self.levels = small_level, large_level
        self._small = zstd.ZstdCompressor(level=small_level)
        # Separate even where the levels agree: a context that has seen a large blob stays large.
        self._large = zstd.ZstdCompressor(level=large_level)

    @property
    def compresses_data(self) -> bool:
        """False for "off": data blobs are then stored as they are; trees and documents never are."""
        return self.mode != "off"

    def compress(self, data: Buffer) -> bytes:
        """One frame with the whole of ``data``, longer than it if it does not shrink."""
        return _compress(self._small if len(data) <= SMALL_BLOB_BYTES else self._large, data)

    def compress_document(self, data: Buffer) -> bytes:
        """As ``compress``, for JSON of any size: trees, indexes, snapshots, locks."""
        return _compress(self._small, data)


class StreamCompressor:
    """Compresses one tree of ``total_bytes`` as it comes, in bounded memory."""

    def __init__(self, total_bytes: int) -> None:
        self._context = zstd.ZstdCompressor(level=DOCUMENT_LEVEL)
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
    try:
        content = _inflate(data, limit)
    except zstd.ZstdError as error:
        raise damaged(what, f"its compressed bytes are corrupt ({error})") from error
    if content is None:
        raise damaged(what, f"its compressed bytes are cut short, or hold more than {limit} bytes")
    if expected_bytes is not None and len(content) != expected_bytes:
        raise damaged(what, f"it holds {len(content)} bytes, not {expected_bytes}")
    return content


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
