"""The kernel's way to put new nodes into a tree."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Sequence
from functools import cache
from itertools import accumulate

from argosy.native.bindings import unwritten_bytes

_PLACE_BYTES = 16


def replace_nodes(library: ctypes.CDLL, base: bytes, nodes: Sequence[bytes]) -> bytes | None:
    """``base`` with nodes, given in the order of their names, in the place of those of their names.

    None where Python has to make it: it has not all of these names, or something in it is written in an unusual way.
    """
    ends = array("Q", accumulate(map(len, nodes)))
    places = array("Q", bytes(_PLACE_BYTES * len(nodes)))
    changes = b"".join(nodes), ends.buffer_info()[0], len(nodes), places.buffer_info()[0]
    length = _declared(library).argosy_find_replaced(base, len(base), *changes)
    if not length:
        return None
    tree = unwritten_bytes(length)
    library.argosy_write_replaced(base, len(base), *changes, tree)
    return tree


@cache
def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    text, place, size = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
    library.argosy_find_replaced.restype = size
    library.argosy_find_replaced.argtypes = (text, size, text, place, size, place)
    library.argosy_write_replaced.restype = None
    library.argosy_write_replaced.argtypes = (text, size, text, place, size, place, text)
    return library
