"""The kernel's listing of one directory, and its comparison with the directory's tree in the parent snapshot."""

from __future__ import annotations

import ctypes
import os
from array import array

import msgspec

from argosy.native.metadata import NO_MEMORY, UNUSUAL, Metadata, OwnerKeys, PrintableRanges

_NO_LIMIT = 2**64 - 1


class _Look(ctypes.Structure):
    _fields_ = (("name", ctypes.c_uint64), ("node", ctypes.c_int64), ("node_end", ctypes.c_int64))


class _Drop(ctypes.Structure):
    _fields_ = (("start", ctypes.c_uint64), ("length", ctypes.c_uint64))


class _Result(ctypes.Structure):
    """``result`` of listing.c, which begins a listing."""

    _fields_ = (
        ("files", ctypes.c_uint64),
        ("files_bytes", ctypes.c_uint64),
        ("others", ctypes.c_uint64),
        ("look_count", ctypes.c_uint64),
        ("drop_count", ctypes.c_uint64),
        ("looks", ctypes.POINTER(_Look)),
        ("drops", ctypes.POINTER(_Drop)),
        ("names", ctypes.c_void_p),
        ("uid", ctypes.c_uint64),
        ("gid", ctypes.c_uint64),
    )


class _Columns(ctypes.Structure):
    """``columns`` of listing.c."""

    _fields_ = tuple((name, ctypes.c_void_p) for name in ("inodes", "sizes", "modes", "uids", "gids"))


class Columns(msgspec.Struct, frozen=True):
    """The entries of a directory, sorted by name, in parallel lists; ``uids`` and ``gids`` have each owner once.

    ``files`` of them are regular files.
    """

    names: list[bytes]
    inodes: list[int]
    sizes: list[int]
    modes: list[int]
    uids: set[int]
    gids: set[int]
    files: int


class Verdict(msgspec.Struct, frozen=True):
    """What the kernel makes of a directory. Entries whose nodes stand are only counted.

    ``looks`` are the names that Python judges, in order, each with where its node begins and ends in the tree (None: it
    has none). ``dropped`` are names of the tree that the directory has not.
    """

    standing_files: int
    standing_bytes: int
    standing_others: int
    looks: list[tuple[bytes, tuple[int, int] | None]]
    dropped: list[bytes]


class NativeListing:
    """Room for one listing at a time, used again for each; it belongs to one thread.

    The directory is read, and compared, without the interpreter's lock. Close it when done.
    """

    def __init__(self, library: ctypes.CDLL, owner_keys: OwnerKeys, printable: PrintableRanges) -> None:
        """The last two as of ``Metadata``."""
        self._library = library
        _declare(library)
        self._address = library.argosy_listing_new()
        if not self._address:
            raise MemoryError
        self._result = _Result.from_address(self._address)
        self._metadata = Metadata(library, library.argosy_listing_metadata(self._address), owner_keys, printable)

    def read(self, fd: int, most: int, *, is_leaf: bool = False) -> int | None:
        """List the directory open at ``fd``; the number of its entries.

        None if it has more than ``most``, one that cannot be looked at, or, with ``is_leaf``, one that is a directory
        (where a file system does not tell at once: ``columns`` does). OSError if the listing fails.
        """
        count = int(self._library.argosy_listing_read(self._address, fd, most, is_leaf))
        if count >= 0:
            return count
        if count in (UNUSUAL, NO_MEMORY):
            return None
        raise OSError(-count, os.strerror(-count))

    def names(self) -> list[bytes]:
        """The names that were read, sorted."""
        size = int(self._library.argosy_listing_names(self._address, None, 0))
        text = ctypes.create_string_buffer(size)
        self._library.argosy_listing_names(self._address, text, size)
        return text.raw.split(b"\0")[:-1] if size else []

    def columns(self, count: int, device: int, larger_than_bytes: int) -> Columns | None:
        """The ``count`` entries that were read, for a directory that has nothing to be compared with.

        None if one is a directory or a socket, has a second link, is of another ``device`` or larger.
        """
        wide, narrow = bytes(8 * count), bytes(4 * count)
        inodes, sizes = array("Q", wide), array("Q", wide)
        modes, uids, gids = array("I", narrow), array("I", narrow), array("I", narrow)
        places = _Columns(*(column.buffer_info()[0] for column in (inodes, sizes, modes, uids, gids)))
        if self._library.argosy_listing_columns(self._address, device, larger_than_bytes, ctypes.byref(places)):
            return None
        return Columns(
            self.names(), inodes.tolist(), sizes.tolist(), modes.tolist(), set(uids), set(gids), self._result.files
        )

    def compare(
        self, tree: bytes, device: int, *, larger_than_bytes: int | None = None, device_id_always: bool
    ) -> Verdict | None:
        """Compare what was read with a tree, all of whose blobs exist; None where Python has to.

        Entries of another ``device``, or larger than ``larger_than_bytes``, are among those to look at.
        """
        largest = _NO_LIMIT if larger_than_bytes is None else larger_than_bytes
        while True:
            answer = self._library.argosy_listing_compare(
                self._address, tree, len(tree), device, largest, device_id_always
            )
            if answer == 0:
                return self._verdict(tree)
            if not self._metadata.supply(answer, self._result.uid, self._result.gid):
                return None

    def close(self) -> None:
        """Give the memory back; idempotent."""
        address, self._address = self._address, None
        self._library.argosy_listing_free(address)

    def _verdict(self, tree: bytes) -> Verdict:
        result = self._result
        looks: list[tuple[bytes, tuple[int, int] | None]] = []
        for look in result.looks[: result.look_count]:
            place = None if look.node < 0 else (look.node, look.node_end)
            looks.append((ctypes.string_at(result.names + look.name), place))
        dropped = []
        for index in range(result.drop_count):
            drop = result.drops[index]
            dropped.append(tree[drop.start : drop.start + drop.length])
        return Verdict(result.files, result.files_bytes, result.others, looks, dropped)


def _declare(library: ctypes.CDLL) -> None:
    address, number, text = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_char_p
    library.argosy_listing_new.restype = address
    library.argosy_listing_new.argtypes = ()
    library.argosy_listing_free.restype = None
    library.argosy_listing_free.argtypes = (address,)
    library.argosy_listing_read.restype = ctypes.c_int64
    library.argosy_listing_read.argtypes = (address, ctypes.c_int, number, ctypes.c_int)
    library.argosy_listing_columns.argtypes = (address, number, number, address)
    library.argosy_listing_names.restype = number
    library.argosy_listing_names.argtypes = (address, text, number)
    library.argosy_listing_metadata.restype = address
    library.argosy_listing_metadata.argtypes = (address,)
    library.argosy_listing_compare.argtypes = (address, text, number, number, number, ctypes.c_int)
