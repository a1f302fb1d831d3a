"""The kernel's reading of two documents of which a repository has much: indexes and trees."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from argosy.native.bindings import pointer

if TYPE_CHECKING:
    from argosy.native.bindings import Data, Session

HASH_BYTES = 32
# struct listed_pack of indexes.c; the bits of what a pack holds.
_PACK = struct.Struct("<32s4Q")
# struct argosy_blob
_TREE = struct.Struct("<QQII32s")
# Room for the ids that a few hundred trees name.
_IDS_BYTES = 128 * 1024
HOLDS_DATA = 1
HOLDS_TREES = 2
HOLDS_PLAIN = 4
# The least JSON that a pack takes: its id, and a blob.
_LEAST_PACK_BYTES = 200

Listed: TypeAlias = tuple[bytes, bytes, int, int]
"""A pack of an index: id, header (not sealed), the sealed bytes of its blobs, and what it holds."""


def index_packs(library: ctypes.CDLL, data: bytes) -> list[Listed] | None:
    """Each pack of an index, given by its JSON.

    None where Python has to look: it is written in an unusual way, or lists what no pack can hold.
    """
    room = len(data) // _LEAST_PACK_BYTES + 1
    packs, headers = bytearray(_PACK.size * room), bytearray(len(data) // 2 + 1)
    count = _declared(library).argosy_index_packs(data, len(data), _place(packs), room, _place(headers))
    if not count:
        return None
    return _listed(packs[: _PACK.size * count], lambda at, length: bytes(headers[at : at + length]))


def read_index(session: Session, stored: bytes) -> list[Listed] | None:
    """Each pack of an index, given as it is stored. It is never in memory whole.

    None where Python has to look: as ``index_packs``, or if it is not sound or stored in an unusual way.
    """
    packs, headers = ctypes.c_void_p(), ctypes.c_void_p()
    count = _declared(session.library).argosy_index_read(
        session.handle, stored, len(stored), ctypes.byref(packs), ctypes.byref(headers)
    )
    if not count or packs.value is None or headers.value is None:
        return None
    start = headers.value
    rows = ctypes.string_at(packs.value, _PACK.size * count)
    return _listed(rows, lambda at, length: ctypes.string_at(start + at, length))


Tree: TypeAlias = tuple[int, int, int, bytes]
"""A sealed tree within bytes at hand: offset, length, the content's length if it is compressed (else 0), id."""


def read_trees(session: Session, data: Data, trees: Sequence[Tree]) -> Iterator[tuple[bytes, bytes] | None]:
    """The ids of the subtrees and of the files' blobs that each of the trees names, joined.

    None where Python has to look: as ``tree_names``, or if it is not sound.
    """
    done, room = 0, _IDS_BYTES
    while done < len(trees):
        rows = bytearray().join(_TREE.pack(offset, 0, *rest) for offset, *rest in trees[done:])
        left = len(trees) - done
        ids, sound, counts = ctypes.create_string_buffer(room), bytearray(left), (ctypes.c_uint64 * (2 * left))()
        count = _declared(session.library).argosy_read_trees(
            session.handle, pointer(data), len(data), _place(rows), left, ids, room, counts, _place(sound)
        )
        at, view = 0, memoryview(ids)
        for number in range(count):
            if not sound[number]:
                yield None
                continue
            middle = at + counts[2 * number] * HASH_BYTES
            end = middle + counts[2 * number + 1] * HASH_BYTES
            yield bytes(view[middle:end]), bytes(view[at:middle])
            at = end
        done += count
        if not count:  # the first alone names more
            room *= 4


def _listed(rows: bytes | bytearray, header: Callable[[int, int], bytes]) -> list[Listed]:
    return [
        (pack_id, header(at, length), content_bytes, holds)
        for pack_id, at, length, content_bytes, holds in _PACK.iter_unpack(rows)
    ]


def tree_names(library: ctypes.CDLL, data: bytes) -> tuple[bytes, bytes] | None:
    """The ids of the subtrees and of the files' blobs that a tree names, joined.

    None where Python has to look: something is wrong with it, or it is written in an unusual way.
    """
    ids, counts = bytearray(len(data) // 2 + 2 * HASH_BYTES), (ctypes.c_uint64 * 2)()
    if not _declared(library).argosy_tree_names(data, len(data), _place(ids), len(ids), counts):
        return None
    contents, subtrees = (count * HASH_BYTES for count in counts)
    return bytes(ids[len(ids) - subtrees :]), bytes(ids[:contents])


def _place(room: bytearray) -> ctypes.Array[ctypes.c_char]:
    return (ctypes.c_char * len(room)).from_buffer(room)


@cache
def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    text, place, size = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
    library.argosy_index_packs.restype = size
    library.argosy_index_packs.argtypes = (text, size, place, size, place)
    library.argosy_index_read.restype = size
    library.argosy_index_read.argtypes = (place, text, size, place, place)
    library.argosy_read_trees.restype = size
    library.argosy_read_trees.argtypes = (place, place, size, place, size, place, size, place, place)
    library.argosy_tree_names.restype = ctypes.c_int
    library.argosy_tree_names.argtypes = (text, size, place, size, ctypes.POINTER(ctypes.c_uint64))
    return library
