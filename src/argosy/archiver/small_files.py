"""The quick way to read small files: the kernel reads a run of them, and Python only places what was read.

The result is that of the slow way (``fetching`` with ``file_reader``), which is taken wherever the kernel does not
read: there is no kernel, several files are to be fetched at once, access times are wanted, a file is large, has
extended attributes or a name that is escaped in JSON, is not what was scanned, or anything fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from argosy.archiver.fetching import SMALL_FILE_BYTES
from argosy.archiver.messages import DirectoryPart
from argosy.native import kernel
from argosy.native.reading import NativeReading
from argosy.restic_format.printable import printable_ranges

# What is read, and placed, together: enough to spread a call's cost, little enough for the processor's cache.
TOGETHER_FILES = 64
TOGETHER_BYTES = 512 << 10

PlaceAll = Callable[[memoryview, Sequence[int]], list[bytes]]


class SmallFiles:
    """Belongs to one worker."""

    def __init__(self, reading: NativeReading, place_all: PlaceAll) -> None:
        self._reading = reading
        self._place_all = place_all

    def begin(self) -> None:
        """Start a batch: its owners may have other names than those of the last one."""
        self._reading.forget_owners()

    def read(self, dir_fd: int, part: DirectoryPart, start: int, *, exact: bool) -> tuple[list[bytes], int]:
        """The nodes of some entries from ``start`` on, their contents placed, and how many bytes these have.

        A node is b"" where the slow way is to be taken; no node at all if it is for all that is left.
        """
        run = slice(start, start + TOGETHER_FILES)
        names = part.names[run]
        devices = part.devices[run] if part.devices else [part.device] * len(names)
        lengths = self._reading.read(dir_fd, names, part.modes[run], part.inodes[run], devices, exact=exact)
        filled = [length for length in lengths if length > 0]
        size_bytes = sum(filled)
        ids = self._place_all(self._reading.data[:size_bytes], filled) if filled else []
        return self._reading.nodes(ids), size_bytes


def small_files(
    place_all: PlaceAll, owner_keys: Callable[[int, int], bytes], *, device_id_always: bool
) -> SmallFiles | None:
    """The quick way; None without a kernel."""
    native = kernel()
    if native is None:
        return None
    reading = native.reading(
        owner_keys,
        printable_ranges,
        most_bytes=SMALL_FILE_BYTES,
        room_bytes=TOGETHER_BYTES + SMALL_FILE_BYTES,
        device_id_always=device_id_always,
    )
    return SmallFiles(reading, place_all)
