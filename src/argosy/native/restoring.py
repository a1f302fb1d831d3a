"""The kernel's restoring of small new files: a batch's trees go in, files come out."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from argosy.native.bindings import pointer

if TYPE_CHECKING:
    from argosy.native.bindings import Data, Session
    from argosy.native.tables import NativeTable

HASH_BYTES = 32
# The first fields of struct file of restoring.c, and the size of all.
_FILE = struct.Struct("=6IQ96x")
_DONE = 2
# struct directory of restoring.c
_DIRECTORY = struct.Struct("=iiII")

Owner = tuple[int, int]


class Span(NamedTuple):
    """What to read of a pack, by its number in the table; and which files are in it, in the order of their contents."""

    pack: int
    offset: int
    length: int
    first: int
    end: int


class Entry(NamedTuple):
    """A node of a part's tree: where its JSON is there, and what became of it: made, or left to Python. ``name`` and
    ``size`` are those of a file that was made."""

    is_made: bool
    part: int
    start: int
    end: int
    name: bytes
    size: int


class NativeRestoring:
    """Takes one batch after the other, under one key. Not thread-safe. MemoryError without memory."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._library = _declared(session.library)
        self._address = self._library.argosy_restoring_new()
        if not self._address:
            raise MemoryError

    def __del__(self) -> None:
        address, self._address = getattr(self, "_address", None), None
        if address:
            self._library.argosy_restoring_free(address)

    def __len__(self) -> int:
        """How many entries were taken."""
        count = ctypes.c_uint64()
        self._library.argosy_restoring_files(self._address, ctypes.byref(count))
        return count.value

    def clear(self) -> None:
        """Begin anew."""
        self._library.argosy_restoring_clear(self._address)

    def plan(self, tree: bytes, part: int) -> bool:
        """Take the entries of a tree but for its directories and sockets; False, and none of them, if Python is to
        read it."""
        return bool(self._library.argosy_restoring_plan(self._address, tree, len(tree), part))

    def without_place(self, table: NativeTable) -> Iterator[tuple[int, bytes]]:
        """Find all contents: number and blob of each file of which the table does not know it. Asked for the next one,
        this looks again: it must be there by then, or the file be left."""
        identity = ctypes.create_string_buffer(HASH_BYTES)
        number = 0
        while True:
            number = self._library.argosy_restoring_place(self._address, table.address, number, identity)
            if number < 0:
                return
            yield number, identity.raw

    def leave(self, number: int) -> None:
        """Leave a file to Python."""
        self._library.argosy_restoring_leave(self._address, number)

    def spans(self, gap_bytes: int, most_bytes: int) -> Iterator[Span]:
        """What is to be read, in order; ``gap_bytes`` may be read in vain, ``most_bytes`` at once."""
        count = self._library.argosy_restoring_sort(self._address)
        found = (ctypes.c_uint64 * 3)()
        first = 0
        while first < count:
            end = self._library.argosy_restoring_range(self._address, first, count, gap_bytes, most_bytes, found)
            yield Span(found[0], found[1], found[2], first, end)
            first = end

    def make(self, data: Data, span: Span, directories: bytearray) -> tuple[int, int]:
        """Make the files of a span, whose bytes are ``data`` (perhaps not all); how many, and their bytes.

        ``directories``, of ``directory_rows``, tell afterwards whom new files belong to.
        """
        counts = (ctypes.c_uint64 * 2)()
        self._library.argosy_restoring_make(
            self._address,
            self._session.handle,
            pointer(data),
            len(data),
            span.offset,
            span.first,
            span.end,
            pointer(directories),
            counts,
        )
        return counts[0], counts[1]

    def entries(self) -> Iterator[Entry]:
        """What became of everything that was planned, in its order."""
        count = ctypes.c_uint64()
        files = self._library.argosy_restoring_files(self._address, ctypes.byref(count))
        if not count.value:
            return
        names = self._library.argosy_restoring_names(self._address) or 0
        rows = ctypes.string_at(files, _FILE.size * count.value)
        for state, part, start, length, name_at, name_bytes, size in _FILE.iter_unpack(rows):
            is_made = state == _DONE
            name = ctypes.string_at(names + name_at, name_bytes) if is_made else b""
            yield Entry(is_made, part, start, start + length, name, size)


def directory_rows(directories: Sequence[tuple[int, Owner | None]]) -> bytearray:
    """For ``NativeRestoring.make``: of each part the descriptor of its directory (below 0: Python makes its files), and
    whom new files there belong to, if that is known."""
    rows = (_DIRECTORY.pack(fd, owner is not None, *(owner or (0, 0))) for fd, owner in directories)
    return bytearray().join(rows)


def owners_in(rows: bytearray) -> list[Owner | None]:
    """Whom new files belong to, of each part."""
    return [(uid, gid) if is_known else None for _, is_known, uid, gid in _DIRECTORY.iter_unpack(rows)]


@cache
def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    place, text, size, long = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64
    for name, result, arguments in (
        ("new", place, ()),
        ("free", None, (place,)),
        ("clear", None, (place,)),
        ("files", place, (place, place)),
        ("names", place, (place,)),
        ("plan", ctypes.c_int, (place, text, size, ctypes.c_uint32)),
        ("place", ctypes.c_int64, (place, place, size, place)),
        ("leave", None, (place, size)),
        ("sort", size, (place,)),
        ("range", size, (place, size, size, long, long, place)),
        ("make", None, (place, place, place, size, long, size, size, place, place)),
    ):
        function = getattr(library, f"argosy_restoring_{name}")
        function.restype, function.argtypes = result, arguments
    return library
