"""Whether a file holds the blobs of its node: read once, hashed blob by blob and as a whole."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Sequence

import msgspec

from argosy.filesystem.reading import open_file, read_into, unchanged

# Chunks are at most 8 MiB; another program's may be larger, and are then read in pieces.
_BUFFER_BYTES = 8 * 1024 * 1024
_TIMES_READ = 3


class Comparison(msgspec.Struct, frozen=True):
    """``digest`` is the content's SHA-256 in hexadecimal, if it is the same and was asked for. ``changing``: each time
    that the file was read it changed meanwhile."""

    same: bool
    digest: str = ""
    changing: bool = False


class ContentReader:
    """Compares files with lists of blobs. ``show`` hears of each few MiB that were read; ``digests`` asks for them."""

    def __init__(self, show: Callable[[int], None], *, digests: bool) -> None:
        self._show = show
        self._digests = digests
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))

    def compare(self, dir_fd: int, name: bytes, ids: Sequence[bytes], lengths: Sequence[int]) -> Comparison:
        """Read the file, again while it changes, three times at most. OSError if it cannot be read."""
        for _ in range(_TIMES_READ):
            fd = open_file(dir_fd, name)
            try:
                before = os.fstat(fd)
                digest = self._digest(fd, before, ids, lengths)
                if unchanged(before, os.fstat(fd)):
                    return Comparison(digest is not None, digest if digest and self._digests else "")
            finally:
                os.close(fd)
        return Comparison(same=False, changing=True)

    def _digest(self, fd: int, found: os.stat_result, ids: Sequence[bytes], lengths: Sequence[int]) -> str | None:
        """The content's hash; None if it is not that of the blobs."""
        if not stat.S_ISREG(found.st_mode) or found.st_size != sum(lengths):
            return None
        whole = hashlib.sha256()
        offset = 0
        for blob_id, length in zip(ids, lengths, strict=True):
            # A file of one blob has the blob's id for its hash.
            blob = whole if len(ids) == 1 else hashlib.sha256()
            end = offset + length
            while offset < end:
                piece = self._buffer[: min(end - offset, _BUFFER_BYTES)]
                if read_into(fd, piece, offset) < len(piece):
                    return None
                blob.update(piece)
                if self._digests and blob is not whole:
                    whole.update(piece)
                offset += len(piece)
                self._show(len(piece))
            if blob.digest() != blob_id:
                return None
        return whole.hexdigest()


def manifest_line(digest: str, path: bytes) -> bytes:
    """A line as `sha256sum` prints it: names with a newline, a carriage return or a backslash are escaped."""
    escaped = path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return b"%b%b  %b\n" % (b"\\" if escaped != path else b"", digest.encode(), escaped)
