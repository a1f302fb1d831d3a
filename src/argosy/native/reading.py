"""The kernel's reading of small files: a run of a directory's entries in two calls, with hashing in between."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Sequence

from argosy.native.metadata import Metadata, OwnerKeys, PrintableRanges

NOT_READ = -1
"""The length of an entry that the kernel leaves to Python."""


class _Result(ctypes.Structure):
    """``result`` of reading.c, which begins a reading."""

    _fields_ = (
        ("text", ctypes.c_void_p),
        ("text_length", ctypes.c_uint64),
        ("uid", ctypes.c_uint64),
        ("gid", ctypes.c_uint64),
    )


class _Run(ctypes.Structure):
    """``run`` of reading.c."""

    _fields_ = (
        ("names", ctypes.c_char_p),
        ("names_bytes", ctypes.c_uint64),
        ("modes", ctypes.c_void_p),
        ("inodes", ctypes.c_void_p),
        ("devices", ctypes.c_void_p),
        ("count", ctypes.c_uint64),
        ("most_bytes", ctypes.c_uint64),
        ("exact", ctypes.c_int32),
        ("device_always", ctypes.c_int32),
    )


class NativeReading:
    """Room for one run at a time, used again for each; it belongs to one thread.

    ``data`` holds the contents that were read, one behind the other, until the next run.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        owner_keys: OwnerKeys,
        printable: PrintableRanges,
        *,
        most_bytes: int,
        room_bytes: int,
        device_id_always: bool,
    ) -> None:
        """``most_bytes``: of a file that is read here. ``room_bytes``: of the contents of a run, and more than that."""
        if room_bytes <= most_bytes:
            raise ValueError("there is no room for a file of the largest size")
        self._library = library
        _declare(library)
        self._address = library.argosy_reading_new()
        if not self._address:
            raise MemoryError
        self._result = _Result.from_address(self._address)
        self._metadata = Metadata(library, library.argosy_reading_metadata(self._address), owner_keys, printable)
        self._most_bytes = most_bytes
        self._device_id_always = device_id_always
        self.data = memoryview(bytearray(room_bytes))
        self._place = ctypes.c_char.from_buffer(self.data)
        # What the structure of the last run points to must live as long as that.
        self._last: tuple[_Run, tuple[array[int], ...], array[int]] = _Run(), (), array("q")

    def __del__(self) -> None:
        address, self._address = getattr(self, "_address", None), None
        if address:
            self._library.argosy_reading_free(address)

    def read(
        self,
        dir_fd: int,
        names: Sequence[bytes],
        modes: Sequence[int],
        inodes: Sequence[int],
        devices: Sequence[int],
        *,
        exact: bool,
    ) -> list[int]:
        """Read entries of the directory from the first on, as many as find room; the four lists are parallel.

        The length of each that was dealt with, NOT_READ where Python is to look at the entry. No entry at all if the
        kernel cannot work, for want of memory.
        """
        text = b"\0".join(names) + b"\0"
        rows = array("I", modes), array("Q", inodes), array("Q", devices)
        places = (row.buffer_info()[0] for row in rows)
        run = _Run(text, len(text), *places, len(names), self._most_bytes, exact, self._device_id_always)
        lengths = array("q", bytes(8 * len(names)))
        done = self._ask(
            self._library.argosy_reading_read,
            dir_fd,
            ctypes.byref(run),
            ctypes.byref(self._place),
            len(self.data),
            lengths.buffer_info()[0],
        )
        del lengths[max(done, 0) :]
        self._last = run, rows, lengths
        return lengths.tolist()

    def nodes(self, ids: Sequence[bytes]) -> list[bytes]:
        """The nodes of the entries that were just read, b"" for NOT_READ; ``ids`` are the blobs of those not empty.

        No node at all if the kernel cannot work, for want of memory.
        """
        run, _, lengths = self._last
        if len(ids) != sum(length > 0 for length in lengths):
            raise ValueError("each file with a content has a blob")
        answer = self._ask(
            self._library.argosy_reading_encode,
            ctypes.byref(run),
            len(lengths),
            lengths.buffer_info()[0],
            b"".join(ids),
        )
        if answer < 0:
            return []
        return ctypes.string_at(self._result.text, self._result.text_length).split(b"\n")[:-1]

    def forget_owners(self) -> None:
        """From now on owners may have other names."""
        self._metadata.forget_owners()

    def _ask(self, function: ctypes._NamedFuncPointer, *arguments: object) -> int:
        """The function's answer, once it was told what it had to ask for."""
        while True:
            answer = int(function(self._address, *arguments))
            if answer >= 0 or not self._metadata.supply(answer, self._result.uid, self._result.gid):
                return answer


def _declare(library: ctypes.CDLL) -> None:
    address, number = ctypes.c_void_p, ctypes.c_uint64
    library.argosy_reading_new.restype = address
    library.argosy_reading_new.argtypes = ()
    library.argosy_reading_free.restype = None
    library.argosy_reading_free.argtypes = (address,)
    library.argosy_reading_metadata.restype = address
    library.argosy_reading_metadata.argtypes = (address,)
    library.argosy_reading_read.restype = ctypes.c_int64
    library.argosy_reading_read.argtypes = (address, ctypes.c_int, address, address, number, address)
    library.argosy_reading_encode.argtypes = (address, address, number, address, address)
