"""The kernel's way from packs' headers to the rows of the dedup lookup."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from argosy.native.bindings import HASH_BYTES

if TYPE_CHECKING:
    from argosy.native.bindings import Kernel

_LEAST_ENTRY_BYTES = 37
_ROW = struct.Struct("<32sQ12s")


class NativeMask:
    """Masks under one secret (32 bytes). Not thread-safe."""

    def __init__(self, kernel: Kernel, secret: bytes, persons: tuple[str, str]) -> None:
        self._library = _declared(kernel.library)
        self._handle = self._library.argosy_mask_new(secret, *(person.encode() for person in persons))

    def __del__(self) -> None:
        handle, self._handle = getattr(self, "_handle", None), None
        if handle:
            self._library.argosy_mask_free(handle)

    def rows(self, packs: Sequence[tuple[bytes, int]]) -> Iterator[tuple[bytes, int, bytes]] | None:
        """Key, pack's number and covered place of each blob that packs list, in the order of the keys.

        Each pack is its header and its number. None where Python has to do it.
        """
        if not self._handle:
            return None
        rows = bytearray(sum(len(header) // _LEAST_ENTRY_BYTES for header, _ in packs) * _ROW.size)
        place, done = ctypes.addressof(ctypes.c_char.from_buffer(rows)) if rows else 0, 0
        for header, number in packs:
            at = place + done * _ROW.size
            count = self._library.argosy_mask_header(self._handle, header, len(header), number, at)
            if not count:
                return None
            done += count
        self._library.argosy_sort_rows(place, done)
        return _ROW.iter_unpack(memoryview(rows)[: done * _ROW.size])


def header_ids(library: ctypes.CDLL, header: bytes) -> bytes | None:
    """The ids that a pack's header lists, joined; None if it is malformed."""
    ids = ctypes.create_string_buffer(len(header) // _LEAST_ENTRY_BYTES * HASH_BYTES)
    count = _declared(library).argosy_header_ids(header, len(header), ids)
    return ids.raw[: count * HASH_BYTES] if count else None


@cache
def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    text, place, size = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
    library.argosy_mask_new.restype = place
    library.argosy_mask_new.argtypes = (text, text, text)
    library.argosy_mask_free.restype = None
    library.argosy_mask_free.argtypes = (place,)
    library.argosy_mask_header.restype = size
    library.argosy_mask_header.argtypes = (place, text, size, ctypes.c_uint64, place)
    library.argosy_sort_rows.restype = None
    library.argosy_sort_rows.argtypes = (place, size)
    library.argosy_header_ids.restype = size
    library.argosy_header_ids.argtypes = (text, size, place)
    return library
