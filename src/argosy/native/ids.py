"""The kernel's list of ids: which data blobs there are."""

from __future__ import annotations

import ctypes
from functools import cache

from argosy.native.quick import keeping_lock

HASH_BYTES = 32
# About a tenth of a millisecond.
_FEW_IDS_BYTES = 32 * 1024


class NativeIds:
    """Ids of data blobs, 20 bytes each. Add all, then ask. Not thread-safe. MemoryError, and it is void."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = _declared(library)
        self._quick = _declared(keeping_lock(library))
        self._is_in_order = False
        self._address = self._library.argosy_ids_new()
        if not self._address:
            raise MemoryError

    def __del__(self) -> None:
        address, self._address = getattr(self, "_address", None), None
        if address:
            self._library.argosy_ids_free(address)

    def add_data(self, header: bytes) -> None:
        """Add the data blobs of a pack, given by its header (not sealed)."""
        self._is_in_order = False
        if not self._library.argosy_ids_add_data(self._address, header, len(header)):
            raise MemoryError

    def missing(self, ids: bytes) -> bytes:
        """Those of the ids (joined) that were not added."""
        absent = bytearray(len(ids))
        place = (ctypes.c_char * len(absent)).from_buffer(absent)
        library = self._quick if self._is_in_order and len(ids) <= _FEW_IDS_BYTES else self._library
        count = library.argosy_ids_missing(self._address, ids, len(ids) // HASH_BYTES, place)
        if count < 0:
            raise MemoryError
        self._is_in_order = True
        del place
        return bytes(absent[: count * HASH_BYTES])


@cache
def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    place, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    library.argosy_ids_new.restype = place
    library.argosy_ids_new.argtypes = ()
    library.argosy_ids_free.restype = None
    library.argosy_ids_free.argtypes = (place,)
    library.argosy_ids_add_data.restype = ctypes.c_int
    library.argosy_ids_add_data.argtypes = (place, text, size)
    library.argosy_ids_missing.restype = ctypes.c_int64
    library.argosy_ids_missing.argtypes = (place, text, size, place)
    return library
