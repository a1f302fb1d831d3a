"""The kernel's tables of ids, and what it finds out about whole packs with them."""

from __future__ import annotations

import ctypes
from functools import cache

from argosy.native.quick import keeping_lock

HASH_BYTES = 32
# An id has few payloads: the places of a tree.
_PAYLOADS_MOST = 256
_START_BYTES = 8


class NativeTable:
    """Ids, each with a payload of fixed length (zero until it is set). Not thread-safe. MemoryError, and it is void."""

    def __init__(self, library: ctypes.CDLL, payload_bytes: int) -> None:
        self._library = _declared(library)
        self._quick = _declared(keeping_lock(library))
        self._payload_bytes = payload_bytes
        self.address = self._library.argosy_table_new(payload_bytes)
        if not self.address:
            raise MemoryError

    def __del__(self) -> None:
        address, self.address = getattr(self, "address", None), None
        if address:
            self._library.argosy_table_free(address)

    def __len__(self) -> int:
        return int(self._library.argosy_table_count(self.address))

    def add(self, ids: bytes) -> int:
        """Add ids (joined); how many were not there."""
        added = int(self._library.argosy_table_add(self.address, ids, len(ids) // HASH_BYTES))
        if added < 0:
            raise MemoryError
        return added

    def add_trees(self, pack_no: int, header: bytes) -> None:
        """Add the trees of a pack, each with one payload more, its place (``struct argosy_place``)."""
        self._add_places(pack_no, header, trees=True)

    def add_data(self, pack_no: int, header: bytes) -> None:
        """Likewise the blobs of data."""
        self._add_places(pack_no, header, trees=False)

    def _add_places(self, pack_no: int, header: bytes, *, trees: bool) -> None:
        if not self._library.argosy_table_add_places(self.address, pack_no, header, len(header), trees):
            raise MemoryError

    def add_fresh(self, ids: bytes, payload: bytes) -> bytes:
        """Add those of the ids (joined) that are not there, each with this payload; returns them."""
        if len(payload) != self._payload_bytes:
            raise ValueError(f"a payload has {self._payload_bytes} bytes")
        fresh = ctypes.create_string_buffer(len(ids))
        count = self._quick.argosy_table_add_fresh(self.address, ids, len(ids) // HASH_BYTES, payload, fresh)
        if count < 0:
            raise MemoryError
        return fresh.raw[: count * HASH_BYTES] if count else b""

    def get(self, identity: bytes) -> bytes | None:
        """The first payload of an id, None if it is not there."""
        found = self.payloads(identity, most=1)
        return found[0] if found else None

    def starting_with(self, start: bytes) -> bytes | None:
        """An id that begins with these 8 bytes, None if there is none."""
        identity = ctypes.create_string_buffer(HASH_BYTES)
        if len(start) != _START_BYTES or not self._quick.argosy_table_starting(self.address, start, identity):
            return None
        return identity.raw

    def missing(self, ids: bytes) -> bytes:
        """Those of the ids (joined) that are not there."""
        absent = ctypes.create_string_buffer(len(ids))
        count = self._quick.argosy_table_missing(self.address, ids, len(ids) // HASH_BYTES, absent)
        return absent.raw[: count * HASH_BYTES] if count else b""

    def firsts(self, ids: bytes) -> tuple[bytes, bytes]:
        """The first payload of each of the ids, joined; and a byte for each, how many it has (2: or more)."""
        count = len(ids) // HASH_BYTES
        payloads, numbers = ctypes.create_string_buffer(count * self._payload_bytes), ctypes.create_string_buffer(count)
        self._quick.argosy_table_firsts(self.address, ids, count, payloads, numbers)
        return payloads.raw, numbers.raw

    def payloads(self, identity: bytes, most: int = _PAYLOADS_MOST) -> list[bytes]:
        """The payloads of an id, ``most`` at most, in order of their addition."""
        _require_id(identity)
        size = self._payload_bytes
        found = ctypes.create_string_buffer(most * size)
        count = self._quick.argosy_table_get(self.address, identity, found, most)
        return [found.raw[at : at + size] for at in range(0, count * size, size)]

    def with_byte(self, value: int, most: int) -> tuple[int, list[bytes]]:
        """How many ids have a payload that begins with this byte, and up to ``most`` of them."""
        ids = ctypes.create_string_buffer(most * HASH_BYTES)
        count = int(self._library.argosy_table_with(self.address, value, ids, most))
        return count, [ids.raw[at : at + HASH_BYTES] for at in range(0, min(count, most) * HASH_BYTES, HASH_BYTES)]


class NativeMarks:
    """Two tables, of data and of trees, each id with a mark: see ``operations.prune.blob_marks``."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.data, self.trees = NativeTable(library, 1), NativeTable(library, 1)
        self._library = _declared(library)

    def see(self, header: bytes) -> bool:
        """Count each marked blob of a pack once more; whether one of them was seen before."""
        return bool(self._library.argosy_marks_see(*self._tables, header, len(header)))

    def count(self, header: bytes) -> list[int]:
        """Of a pack the blobs with one copy, their bytes, the blobs with several, and all."""
        counts = (ctypes.c_uint64 * 4)()
        self._library.argosy_marks_count(*self._tables, header, len(header), counts)
        return list(counts)

    def choose(self, header: bytes, counts: list[int]) -> list[int]:
        """Choose copies; the counts of the pack, with what was chosen."""
        numbers = (ctypes.c_uint64 * 4)(*counts)
        self._library.argosy_marks_choose(*self._tables, header, len(header), numbers)
        return list(numbers)

    def change(self, header: bytes, old: int, new: int, blobs: int) -> bytes:
        """Change marks (``old`` below 0: any) of a pack of that many blobs; a byte for each, 1 where it was changed."""
        changed = ctypes.create_string_buffer(blobs)
        self._library.argosy_marks_change(*self._tables, header, len(header), old, new, changed)
        return changed.raw

    def empty(self) -> NativeMarks:
        """Another one, without any blob."""
        return NativeMarks(self._library)

    @property
    def _tables(self) -> tuple[int, int]:
        return self.data.address, self.trees.address


def _require_id(identity: bytes) -> None:
    if len(identity) != HASH_BYTES:
        raise ValueError(f"an id has {HASH_BYTES} bytes")


@cache
def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    place, text, size, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int
    library.argosy_table_new.restype = place
    library.argosy_table_new.argtypes = (size,)
    library.argosy_table_free.restype = None
    library.argosy_table_free.argtypes = (place,)
    library.argosy_table_count.restype = size
    library.argosy_table_count.argtypes = (place,)
    library.argosy_table_add.restype = ctypes.c_int64
    library.argosy_table_add.argtypes = (place, text, size)
    library.argosy_table_add_fresh.restype = ctypes.c_int64
    library.argosy_table_add_fresh.argtypes = (place, text, size, text, place)
    library.argosy_table_starting.restype = number
    library.argosy_table_starting.argtypes = (place, text, place)
    library.argosy_table_missing.restype = size
    library.argosy_table_missing.argtypes = (place, text, size, place)
    library.argosy_table_firsts.restype = None
    library.argosy_table_firsts.argtypes = (place, text, size, place, place)
    library.argosy_table_get.restype = size
    library.argosy_table_get.argtypes = (place, text, place, size)
    library.argosy_table_with.restype = size
    library.argosy_table_with.argtypes = (place, ctypes.c_ubyte, place, size)
    library.argosy_table_add_places.restype = number
    library.argosy_table_add_places.argtypes = (place, ctypes.c_uint32, text, size, number)
    library.argosy_marks_see.restype = number
    library.argosy_marks_see.argtypes = (place, place, text, size)
    library.argosy_marks_count.restype = None
    library.argosy_marks_count.argtypes = (place, place, text, size, place)
    library.argosy_marks_choose.restype = None
    library.argosy_marks_choose.argtypes = (place, place, text, size, place)
    library.argosy_marks_change.restype = size
    library.argosy_marks_change.argtypes = (place, place, text, size, number, ctypes.c_ubyte, place)
    return library
