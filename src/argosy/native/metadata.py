"""What Python tells the kernel, when it asks, of the names and owners in the nodes that it encodes."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable, Iterable

# As in metadata.h: answers below zero.
UNUSUAL = -100001
UNKNOWN_OWNER = -100002
UNKNOWN_PRINTABLE = -100003
NO_MEMORY = -100004

OwnerKeys = Callable[[int, int], bytes]
PrintableRanges = Callable[[], Iterable[tuple[int, int]]]


class Metadata:
    """The ``argosy_metadata`` at an address, which lives as long as what it belongs to."""

    def __init__(self, library: ctypes.CDLL, address: int, owner_keys: OwnerKeys, printable: PrintableRanges) -> None:
        """``owner_keys`` encodes a uid and gid as a node has them; ``printable`` are the characters that names keep."""
        self._library = library
        self._address = address
        self._owner_keys = owner_keys
        self._printable = printable
        place, number = ctypes.c_void_p, ctypes.c_uint32
        library.argosy_metadata_add_owner.argtypes = (place, number, number, ctypes.c_char_p, ctypes.c_uint64)
        library.argosy_metadata_set_printable.argtypes = (place, place, ctypes.c_uint64)
        library.argosy_metadata_forget_owners.restype = None
        library.argosy_metadata_forget_owners.argtypes = (place,)

    def supply(self, answer: int, uid: int, gid: int) -> bool:
        """Tell the kernel what its answer asks for (``uid`` and ``gid``: of whom); False if it asks for nothing."""
        if answer == UNKNOWN_OWNER:
            keys = self._owner_keys(uid, gid)
            return int(self._library.argosy_metadata_add_owner(self._address, uid, gid, keys, len(keys))) == 0
        if answer == UNKNOWN_PRINTABLE:
            ranges = array("I", [bound for pair in self._printable() for bound in pair])
            place = (ctypes.c_uint32 * len(ranges)).from_buffer(ranges)
            return int(self._library.argosy_metadata_set_printable(self._address, place, len(ranges) // 2)) == 0
        return False

    def forget_owners(self) -> None:
        """From now on owners may have other names."""
        self._library.argosy_metadata_forget_owners(self._address)
