"""Which data blobs there are, and where trees stand: filled pack by pack from what the indexes say, in little memory.

With the native kernel a data blob takes 20 bytes and a tree about 56; without it ``IdTable`` holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from argosy import native
from argosy.operations.id_table import IdTable
from argosy.repository.blob_location import PLACE, Location
from argosy.restic_format.blob import BlobType
from argosy.restic_format.ids import ID_BYTES
from argosy.restic_format.pack import decode_header

if TYPE_CHECKING:
    from argosy.native.ids import NativeIds
    from argosy.native.tables import NativeTable

PackIdOf = Callable[[int], bytes]


class BlobTable(Protocol):
    """Ids of data blobs, places of trees. Not thread-safe."""

    def add(self, pack_no: int, header: bytes) -> None:
        """Note the blobs of a pack, given by its number and its header (not sealed)."""

    def missing(self, data_ids: bytes) -> Sequence[bytes]:
        """Those of the data blobs (ids joined) that were not added."""

    def missing_trees(self, tree_ids: bytes) -> Sequence[bytes]:
        """Those of the trees (ids joined) that were not added."""

    def find_tree(self, tree_id: bytes) -> list[Location]:
        """Every place of a tree."""

    def find_trees(self, tree_ids: Sequence[bytes]) -> list[list[Location]]:
        """Every place of each of these trees."""


def blob_table(pack_id_of: PackIdOf, *, with_data: bool = True) -> BlobTable:
    """A new table; ``pack_id_of`` tells a pack's id from its number. Without data it knows of trees alone."""
    kernel = native.kernel()
    if kernel is None:
        return PythonBlobTable(pack_id_of, with_data=with_data)
    from argosy.native.ids import NativeIds
    from argosy.native.tables import NativeTable

    data = NativeIds(kernel.library) if with_data else None
    return NativeBlobTable(pack_id_of, data, NativeTable(kernel.library, PLACE.size))


class PythonBlobTable:
    """See ``BlobTable``."""

    def __init__(self, pack_id_of: PackIdOf, *, with_data: bool) -> None:
        self._pack_id_of = pack_id_of
        self._data = IdTable() if with_data else None
        self._trees = IdTable(PLACE.size)

    def add(self, pack_no: int, header: bytes) -> None:
        """See ``BlobTable.add``."""
        blobs = decode_header(header, "header")
        if self._data is not None:
            self._data.extend([blob.id for blob in blobs if blob.type == BlobType.DATA])
        for blob in blobs:
            if blob.type == BlobType.TREE:
                place = PLACE.pack(pack_no, blob.offset, blob.length, blob.uncompressed_length)
                self._trees.add_again(blob.id, place)

    def missing(self, data_ids: bytes) -> Sequence[bytes]:
        """See ``BlobTable.missing``."""
        ids = split_ids(data_ids)
        return ids if self._data is None else self._data.missing(ids)

    def missing_trees(self, tree_ids: bytes) -> Sequence[bytes]:
        """See ``BlobTable.missing_trees``."""
        return self._trees.missing(split_ids(tree_ids))

    def find_tree(self, tree_id: bytes) -> list[Location]:
        """See ``BlobTable.find_tree``."""
        return _locations(self._trees.all(tree_id), self._pack_id_of)

    def find_trees(self, tree_ids: Sequence[bytes]) -> list[list[Location]]:
        """See ``BlobTable.find_trees``."""
        return [self.find_tree(tree_id) for tree_id in tree_ids]


class NativeBlobTable:
    """See ``BlobTable``; few calls of the kernel a pack, one a tree."""

    def __init__(self, pack_id_of: PackIdOf, data: NativeIds | None, trees: NativeTable) -> None:
        self._pack_id_of = pack_id_of
        self._data = data
        self._trees = trees

    def add(self, pack_no: int, header: bytes) -> None:
        """See ``BlobTable.add``."""
        if self._data is not None:
            self._data.add_data(header)
        self._trees.add_trees(pack_no, header)

    def missing(self, data_ids: bytes) -> Sequence[bytes]:
        """See ``BlobTable.missing``."""
        return split_ids(data_ids if self._data is None else self._data.missing(data_ids))

    def missing_trees(self, tree_ids: bytes) -> Sequence[bytes]:
        """See ``BlobTable.missing_trees``."""
        return split_ids(self._trees.missing(tree_ids))

    def find_tree(self, tree_id: bytes) -> list[Location]:
        """See ``BlobTable.find_tree``."""
        return _locations(self._trees.payloads(tree_id), self._pack_id_of)

    def find_trees(self, tree_ids: Sequence[bytes]) -> list[list[Location]]:
        """See ``BlobTable.find_trees``."""
        firsts, numbers = self._trees.firsts(b"".join(tree_ids))
        return [
            [Location(self._pack_id_of(place[0]), *place[1:])] if number == 1 else self.find_tree(tree_id)
            for tree_id, place, number in zip(tree_ids, PLACE.iter_unpack(firsts), numbers, strict=True)
        ]


def split_ids(joined: bytes) -> list[bytes]:
    """Ids that stand one after the other."""
    return [joined[at : at + ID_BYTES] for at in range(0, len(joined), ID_BYTES)]


def _locations(places: Sequence[bytes], pack_id_of: PackIdOf) -> list[Location]:
    return [Location(pack_id_of(pack_no), *place) for pack_no, *place in map(PLACE.unpack, places)]
