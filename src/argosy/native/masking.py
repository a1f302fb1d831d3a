"""The kernel's way from a pack's header to the rows of the dedup lookup."""

from __future__ import annotations

import ctypes
import struct
from functools import cache
from typing import TYPE_CHECKING

from argosy.native.bindings import HASH_BYTES

if TYPE_CHECKING:
    from argosy.native.bindings import Kernel

_LEAST_ENTRY_BYTES = 37
_ROW = struct.Struct("<32s12s")


class NativeMask:
    """Masks under one secret (32 bytes). Not thread-safe."""

    def __init__(self, kernel: Kernel, secret: bytes, persons: tuple[str, str]) -> None:
        self._library = _declared(kernel.library)
        self._handle = self._library.argosy_mask_new(secret, *(person.encode() for person in persons))

    def __del__(self) -> None:
        handle, self._handle = getattr(self, "_handle", None), None
        if handle:
            self._library.argosy_mask_free(handle)

    def rows(self, header: bytes) -> list[tuple[bytes, bytes]] | None:
        """Key and covered place of each blob that a pack's header lists; None where Python has to do it."""
        if not self._handle:
            return None
        rows = ctypes.create_string_buffer(len(header) // _LEAST_ENTRY_BYTES * _ROW.size)
        count = self._library.argosy_mask_header(self._handle, header, len(header), rows)
        return list(_ROW.iter_unpack(memoryview(rows)[: count * _ROW.size])) if count else None


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
    library.argosy_mask_header.argtypes = (place, text, size, place)
    library.argosy_header_ids.restype = size
    library.argosy_header_ids.argtypes = (text, size, place)
    return library
