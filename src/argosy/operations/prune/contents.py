"""What the indexes say of the packs: of each its header, in memory (41 bytes a blob), and which index lists it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from argosy.errors import Damaged
from argosy.operations.blob_tables import blob_table
from argosy.operations.prune.plan import INDEX_HINT
from argosy.repository.blob_location import Location
from argosy.repository.repository import Repository
from argosy.restic_format.blob import BlobType
from argosy.restic_format.index import PackListing
from argosy.restic_format.pack import decode_header


class PackContents:
    """All packs of all indexes. It says where blobs are, too, for a ``BlobReader``."""

    def __init__(self) -> None:
        self._packs: dict[bytes, PackListing] = {}
        self._pack_ids: list[bytes] = []
        self._packs_of_index: dict[bytes, list[bytes]] = {}
        self._twice: set[bytes] = set()
        self._trees = blob_table(self._pack_ids.__getitem__, with_data=False)

    @classmethod
    def load(cls, repository: Repository, index_ids: Sequence[bytes]) -> PackContents:
        """Read all indexes. Damaged if one cannot be read, or lists a pack wrongly, or two disagree on one."""
        contents = cls()
        for index_id in index_ids:
            packs = contents._packs_of_index.setdefault(index_id, [])
            for pack in repository.load_listing(index_id):
                contents._add(pack, index_id)
                packs.append(pack.id)
        return contents

    def __iter__(self) -> Iterator[PackListing]:
        """Each pack, in an order that is the same each time."""
        return iter(self._packs.values())

    def __getitem__(self, pack_id: bytes) -> PackListing:
        return self._packs[pack_id]

    def take(self, pack_id: bytes) -> PackListing:
        """A pack that leaves, forgotten here: the headers of all of them together are large."""
        return self._packs.pop(pack_id)

    def find(self, blob_id: bytes, blob_type: int = BlobType.DATA, /) -> list[Location]:
        """Every place of a blob. Of a tree at once; data are searched for, since only damage asks for them.

        Nothing of packs that were taken.
        """
        if blob_type == BlobType.TREE:
            return self._trees.find_tree(blob_id)
        return [
            Location(pack.id, blob.offset, blob.length, blob.uncompressed_length)
            for pack in self
            if blob_id in pack.header
            for blob in decode_header(pack.header, "header")
            if blob.id == blob_id and blob.type == blob_type
        ]

    def indexes_to_replace(self, leaving: set[bytes]) -> list[bytes]:
        """The indexes that list a pack that leaves, a pack that another lists too, or nothing."""
        changed = leaving | self._twice
        return [
            index_id for index_id, packs in self._packs_of_index.items() if not packs or not changed.isdisjoint(packs)
        ]

    def staying(self, index_ids: Sequence[bytes], leaving: set[bytes]) -> Iterator[PackListing]:
        """The packs of these indexes that do not leave, each once."""
        told: set[bytes] = set()
        for index_id in index_ids:
            for pack_id in self._packs_of_index[index_id]:
                if pack_id not in leaving and pack_id not in told:
                    told.add(pack_id)
                    yield self._packs[pack_id]

    def _add(self, pack: PackListing, index_id: bytes) -> None:
        if pack.impossible:
            raise Damaged(
                f"index {index_id.hex()} lists pack {pack.id.hex()} wrongly: {pack.impossible}", hint=INDEX_HINT
            )
        known = self._packs.setdefault(pack.id, pack)
        if known is pack:
            self._pack_ids.append(pack.id)
            if pack.has_trees:
                self._trees.add(len(self._pack_ids) - 1, pack.header)
            return
        if known.header != pack.header:
            raise Damaged(f"two indexes differ on what is in pack {pack.id.hex()}", hint=INDEX_HINT)
        self._twice.add(pack.id)
