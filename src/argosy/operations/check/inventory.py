"""What the indexes say: every blob's id, every tree's place, every pack's size. Filled from one index after the other.

In memory it takes 20 bytes a blob (32 without the native kernel), 60 a tree and 110 a pack. Of a repository whose
indexes are larger than ``MOST_INDEX_BYTES`` the blobs are looked up in the dedup lookup instead, a file.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from enum import IntFlag
from typing import Protocol

import msgspec

from argosy.operations.blob_tables import blob_table, split_ids
from argosy.operations.id_table import IdTable
from argosy.repository.blob_location import Location
from argosy.repository.lookup import DedupLookup
from argosy.restic_format.blob import BlobType
from argosy.restic_format.index import PackListing

# Sealed; of 6.5 million blobs. Their ids take 130 MB in memory, without the kernel 260 MB; restic needs 400 MB.
MOST_INDEX_BYTES = 256 * 1024 * 1024

# size, number of the index, marks, digest of the header
_PACK = struct.Struct("<QIB8s")


class PackMark(IntFlag):
    """What is known of a pack."""

    PRESENT = 1
    DAMAGED = 2
    CHOSEN = 4
    MIXED = 8


class PackEntry(msgspec.Struct, frozen=True):
    """A pack by the index: its exact size in bytes; ``index_no`` is the first index that lists it."""

    id: bytes
    size_bytes: int
    index_no: int
    marks: PackMark
    digest: bytes

    @property
    def is_readable(self) -> bool:
        """Whether it is there with the right size, as far as is known."""
        return PackMark.PRESENT in self.marks and PackMark.DAMAGED not in self.marks


class KnownBlobs(Protocol):
    """Which blobs the indexes list."""

    def add(self, pack_no: int, header: bytes) -> None:
        """Note a pack's blobs."""

    def missing(self, data_ids: bytes) -> Sequence[bytes]:
        """Those of the data blobs (ids joined) that no index lists."""

    def missing_trees(self, tree_ids: bytes) -> Sequence[bytes]:
        """Those of the trees (ids joined) that no index lists."""

    def find_tree(self, tree_id: bytes) -> list[Location]:
        """Every place of a tree."""

    def find_trees(self, tree_ids: Sequence[bytes]) -> list[list[Location]]:
        """Every place of each of these trees."""


class BlobsOnDisk:
    """The dedup lookup, made equal to the indexes that could be read."""

    def __init__(self, lookup: DedupLookup) -> None:
        self._lookup = lookup

    def add(self, pack_no: int, header: bytes) -> None:
        """Nothing: the lookup holds them."""

    def missing(self, data_ids: bytes) -> Sequence[bytes]:
        """See ``KnownBlobs.missing``."""
        ids = split_ids(data_ids)
        known = self._lookup.contains_many(ids)
        return [identity for identity in ids if identity not in known]

    def find_tree(self, tree_id: bytes) -> list[Location]:
        """See ``KnownBlobs.find_tree``."""
        return self._lookup.find(tree_id, BlobType.TREE)

    def missing_trees(self, tree_ids: bytes) -> Sequence[bytes]:
        """See ``KnownBlobs.missing_trees``."""
        return [tree_id for tree_id in split_ids(tree_ids) if not self.find_tree(tree_id)]

    def find_trees(self, tree_ids: Sequence[bytes]) -> list[list[Location]]:
        """See ``KnownBlobs.find_trees``."""
        return [self.find_tree(tree_id) for tree_id in tree_ids]


class Inventory:
    """All packs, and through ``blobs`` all blobs, of the indexes added so far."""

    def __init__(self, lookup: DedupLookup | None = None, *, keeps_headers: bool = False) -> None:
        self.index_ids: list[bytes] = []
        # By pack, if they are to be kept.
        self.headers: dict[bytes, bytes] | None = {} if keeps_headers else None
        self._packs = IdTable(_PACK.size)
        self._pack_ids = bytearray()
        self.blobs: KnownBlobs = blob_table(self._pack_id) if lookup is None else BlobsOnDisk(lookup)

    @property
    def pack_count(self) -> int:
        """How many packs the indexes list."""
        return len(self._packs)

    def add_index(
        self, index_id: bytes, packs: Sequence[PackListing], twice: Callable[[PackEntry, bool], None]
    ) -> list[str]:
        """Note an index; returns what is wrong with it. A pack that is listed wrongly counts as not listed.

        ``twice`` is called with each pack that was listed before, and whether the two lists agree.
        """
        wrong: list[str] = []
        index_no = len(self.index_ids)
        self.index_ids.append(index_id)
        for pack in packs:
            if pack.impossible:
                wrong.append(f"it lists pack {pack.id.hex()} wrongly: {pack.impossible}")
                continue
            entry = _new_entry(pack, index_no)
            if self._add_pack(entry):
                if self.headers is not None:
                    self.headers[pack.id] = pack.header
                self.blobs.add(len(self._packs) - 1, pack.header)
            else:
                first = self.pack(pack.id)
                assert first is not None
                twice(first, first.digest == entry.digest)
        return wrong

    def pack(self, pack_id: bytes) -> PackEntry | None:
        """What is known of a pack, None if no index lists it."""
        payload = self._packs.get(pack_id)
        return None if payload is None else _entry(pack_id, payload)

    def mark(self, entry: PackEntry, marks: PackMark) -> None:
        """Add marks to a pack."""
        payload = _PACK.pack(entry.size_bytes, entry.index_no, entry.marks | marks, entry.digest)
        self._packs.replace(entry.id, payload)

    def packs(self) -> Iterator[PackEntry]:
        """All packs, in no order that means anything. Marking them meanwhile is fine."""
        return (_entry(pack_id, payload) for pack_id, payload in self._packs)

    def _add_pack(self, entry: PackEntry) -> bool:
        payload = _PACK.pack(entry.size_bytes, entry.index_no, entry.marks, entry.digest)
        if not self._packs.add(entry.id, payload):
            return False
        self._pack_ids += entry.id
        return True

    def _pack_id(self, pack_no: int) -> bytes:
        return bytes(self._pack_ids[pack_no * 32 : pack_no * 32 + 32])


def _entry(pack_id: bytes, payload: bytes) -> PackEntry:
    size_bytes, index_no, marks, digest = _PACK.unpack(payload)
    return PackEntry(pack_id, size_bytes, index_no, PackMark(marks), digest)


def _new_entry(pack: PackListing, index_no: int) -> PackEntry:
    digest = hashlib.blake2b(pack.header, digest_size=8).digest()
    marks = PackMark.MIXED if pack.has_data and pack.has_trees else PackMark(0)
    return PackEntry(pack.id, pack.size_bytes, index_no, marks, digest)
