"""A bounded set of open files, so that many small reads of one pack cost one open."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

# Readers take ranges of a few packs in turn; this many descriptors are far from any process's limit.
OPEN_FILES_LIMIT = 64


class OpenFile:
    """A descriptor that is closed with the last reference to it.

    A call of ``read`` is such a reference, so a file that is dropped from the set meanwhile is not closed under
    it (a descriptor's number, once closed, soon names another file).
    """

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``; fewer only at the end of the file."""
        return read_from(self._descriptor, offset, length)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        close(self._descriptor)


class OpenFiles:
    """Files by name, first in first out. Safe for threads: a hit is one look into a dict, without a lock.

    ``open_file`` gives a descriptor for a name, or raises.
    """

    def __init__(self, open_file: Callable[[str], int], limit: int = OPEN_FILES_LIMIT) -> None:
        self._open_file = open_file
        self._limit = limit
        self._files: dict[str, OpenFile] = {}
        self._changes = 0
        self._lock = threading.Lock()

    def get(self, name: str) -> OpenFile:
        """The open file; errors are those of ``open_file``."""
        return self._files.get(name) or self._add(name)

    def forget(self, name: str) -> None:
        """Drop a file that was replaced or removed."""
        with self._lock:
            self._changes += 1
            self._files.pop(name, None)

    def clear(self) -> None:
        """Drop all files."""
        with self._lock:
            self._changes += 1
            self._files.clear()

    def _add(self, name: str) -> OpenFile:
        changes = self._changes
        file = OpenFile(self._open_file(name))
        with self._lock:
            # A file replaced since it was opened must not be kept: it serves this one read only.
            if changes == self._changes:
                if len(self._files) >= self._limit:
                    del self._files[next(iter(self._files))]
                self._files[name] = file
        return file


def read_from(descriptor: int, offset: int, length: int) -> bytes:
    """Up to ``length`` bytes from ``offset``; fewer only at the end of the file."""
    first = os.pread(descriptor, length, offset)
    if len(first) == length or not first:
        return first
    # The kernel gives 2 GiB at most with one call.
    parts, done = [first], len(first)
    while done < length and (part := os.pread(descriptor, length - done, offset + done)):
        parts.append(part)
        done += len(part)
    return b"".join(parts)
