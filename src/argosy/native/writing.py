"""The kernel's making of new files, many in one call."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence

# struct new_file of writing.c
_ROW = struct.Struct("=iIqqQQ")


class NativeWriting:
    """Makes files. Thread-safe."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._make_files = library.argosy_make_files
        self._make_files.restype = None
        self._make_files.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p)

    def row(self, dir_fd: int, mode: int, atime_ns: int, mtime_ns: int, content: bytes | memoryview) -> bytes | None:
        """A file for ``make_files``; None if that cannot make it: its content is in ``bytes``, or a time far off."""
        if not isinstance(content, memoryview) or content.readonly or not content:
            return None
        address = ctypes.addressof(ctypes.c_char.from_buffer(content))
        try:
            return _ROW.pack(dir_fd, mode, atime_ns, mtime_ns, address, len(content))
        except struct.error:
            return None

    def make_files(self, names: Sequence[bytes], rows: Sequence[bytes]) -> bytearray:
        """Make files, in parallel lists; the answer has a 1 for each that stands there whole. Of others nothing is
        left.

        No name holds NUL. Nothing is followed and nothing replaced. The contents must be kept until this returns.
        """
        done = bytearray(len(rows))
        if rows:
            place = (ctypes.c_char * len(rows)).from_buffer(done)
            self._make_files(b"".join(rows), len(rows), b"\0".join(names) + b"\0", place)
        return done
