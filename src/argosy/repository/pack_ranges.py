"""Reads ranges of packs for one thread.

Of a local store the packs' files are read directly, into one buffer that is used again and again: fresh memory for each
range costs its page faults, and opening the file for each range a system call more.
"""

from __future__ import annotations

import os
from contextlib import suppress

from argosy.repository.layout import FileKind, object_name
from argosy.storage.interface import Storage

_OPEN_PACKS_MOST = 32
_READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC


class PackRanges:
    """Not thread-safe. ``is_direct`` if the packs are files of this machine that may be read past the store.

    ``open_most`` packs stay open, for whoever will read more of them.
    """

    def __init__(self, storage: Storage, *, open_most: int = _OPEN_PACKS_MOST) -> None:
        self._storage = storage
        self.is_direct = storage.local_path("data") is not None
        self._buffer = memoryview(b"")
        self._open_most = open_most
        self._open_packs: dict[bytes, int] = {}

    def read(self, pack_id: bytes, offset: int, length: int) -> bytes | memoryview:
        """The bytes of a range, good until the next call.

        Directly read ones are fewer, or none, if the file gives no more or cannot be read; else errors are the store's.
        """
        if not self.is_direct:
            return self._storage.get_range(object_name(FileKind.PACK, pack_id), offset, length)
        if length > len(self._buffer):
            self._buffer = memoryview(bytearray(length))
        got = 0
        with suppress(OSError):
            got = os.preadv(self._descriptor(pack_id), [self._buffer[:length]], offset)
        return self._buffer[:got]

    def close(self) -> None:
        """Close the packs kept open."""
        for fd in self._open_packs.values():
            os.close(fd)
        self._open_packs.clear()

    def _descriptor(self, pack_id: bytes) -> int:
        fd = self._open_packs.get(pack_id)
        if fd is None:
            path = self._storage.local_path(object_name(FileKind.PACK, pack_id))
            assert path is not None
            fd = os.open(path, _READ_FLAGS)
            if len(self._open_packs) >= self._open_most:
                os.close(self._open_packs.pop(next(iter(self._open_packs))))
            self._open_packs[pack_id] = fd
        return fd
