"""The kernel's copying of blobs from pack to pack, and the JSON of what a pack holds."""

from __future__ import annotations

import ctypes
from array import array
from functools import cache
from typing import TYPE_CHECKING

from argosy.native.bindings import pointer

if TYPE_CHECKING:
    from argosy.native.bindings import Data, Session

_LEAST_ENTRY_BYTES = 37
# Of one blob in an index.
_JSON_BYTES_MOST = 200


def index_blobs(library: ctypes.CDLL, header: bytes) -> tuple[bytes, int]:
    """The JSON of a pack's blobs for an index, and their number. ValueError if the header is malformed."""
    text, count = ctypes.create_string_buffer(len(header) // _LEAST_ENTRY_BYTES * _JSON_BYTES_MOST), ctypes.c_uint64()
    size = _declared(library).argosy_index_blobs(header, len(header), text, ctypes.byref(count))
    if not size:
        raise ValueError("the header is malformed")
    return ctypes.string_at(text, size), count.value


class NativeCopying:
    """Copies blobs under the key of a session. Not thread-safe."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._library = _declared(session.library)
        self._sealed = bytearray()
        self._entries = bytearray()

    def ranges(self, header: bytes, wanted: bytearray, gap_bytes: int, most_bytes: int) -> list[tuple[int, int]]:
        """Where in the pack the wanted blobs lie (those whose byte is 1): offset and end of each range to be read."""
        bounds = array("Q", bytes(16 * len(wanted)))
        count = self._library.argosy_wanted_ranges(
            header, len(header), _place(wanted), gap_bytes, most_bytes, _place(bounds), len(wanted)
        )
        return [(bounds[2 * number], bounds[2 * number + 1]) for number in range(count)]

    def copy(
        self, data: Data, start: int, header: bytes, wanted: bytearray, *, trees: bool, compressed_only: bool
    ) -> tuple[memoryview, memoryview, int]:
        """The wanted blobs in ``data`` (the pack's bytes from ``start`` on) that are sound, one after the other.

        With them their entries of the header, and their number; good until the next call. Their byte becomes 2.
        """
        if len(self._sealed) < len(data):
            self._sealed = bytearray(len(data))
        if len(self._entries) < len(header):
            self._entries = bytearray(len(header))
        sizes = (ctypes.c_uint64 * 3)()
        if len(data):
            self._library.argosy_copy_blobs(
                self._session.handle,
                pointer(data),
                len(data),
                start,
                header,
                len(header),
                _place(wanted),
                trees,
                compressed_only,
                _place(self._sealed),
                _place(self._entries),
                sizes,
            )
        return memoryview(self._sealed)[: sizes[0]], memoryview(self._entries)[: sizes[1]], sizes[2]


def _place(room: bytearray | array[int]) -> ctypes.Array[ctypes.c_char]:
    return (ctypes.c_char * (len(room) * memoryview(room).itemsize)).from_buffer(room)


@cache
def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    place, text, size, wide, number = (
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint64,
        ctypes.c_int,
    )
    library.argosy_index_blobs.restype = size
    library.argosy_index_blobs.argtypes = (text, size, place, place)
    library.argosy_wanted_ranges.restype = size
    library.argosy_wanted_ranges.argtypes = (text, size, place, wide, wide, place, size)
    library.argosy_copy_blobs.restype = None
    library.argosy_copy_blobs.argtypes = (
        *(place, place, size, wide, text, size),
        *(place, number, number, place, place, place),
    )
    return library
