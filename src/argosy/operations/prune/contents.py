"""What the indexes say of the packs: of each its header, in memory (41 bytes a blob), and which index lists it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from argosy.errors import Damaged
from argosy.operations.prune.plan import INDEX_HINT
from argosy.repository.repository import Repository
from argosy.restic_format.blob import PackedBlob
from argosy.restic_format.index import IndexedPack
from argosy.restic_format.pack import decode_header, encode_header, impossible, in_order


class PackContents:
    """All packs of all indexes."""

    def __init__(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._packs_of_index: dict[bytes, list[bytes]] = {}
        self._twice: set[bytes] = set()

    @classmethod
    def load(cls, repository: Repository, index_ids: Sequence[bytes]) -> PackContents:
        """Read all indexes. Damaged if one cannot be read, or lists a pack wrongly, or two disagree on one."""
        contents = cls()
        for index_id in index_ids:
            packs = contents._packs_of_index.setdefault(index_id, [])
            for pack in repository.load_index(index_id).packs:
                if pack.blobs:
                    packs.append(contents._add(pack, index_id))
        return contents

    def __iter__(self) -> Iterator[tuple[bytes, list[PackedBlob]]]:
        """Each pack with its blobs, in an order that is the same each time."""
        return ((pack_id, decode_header(header, "header")) for pack_id, header in self._headers.items())

    def blobs(self, pack_id: bytes) -> list[PackedBlob]:
        """What a pack holds."""
        return decode_header(self._headers[pack_id], "header")

    def indexes_to_replace(self, leaving: set[bytes]) -> list[bytes]:
        """The indexes that list a pack that leaves, a pack that another lists too, or nothing."""
        changed = leaving | self._twice
        return [
            index_id for index_id, packs in self._packs_of_index.items() if not packs or not changed.isdisjoint(packs)
        ]

    def staying(self, index_ids: Sequence[bytes], leaving: set[bytes]) -> Iterator[IndexedPack]:
        """The packs of these indexes that do not leave, each once."""
        told: set[bytes] = set()
        for index_id in index_ids:
            for pack_id in self._packs_of_index[index_id]:
                if pack_id not in leaving and pack_id not in told:
                    told.add(pack_id)
                    yield IndexedPack(pack_id, self.blobs(pack_id))

    def _add(self, pack: IndexedPack, index_id: bytes) -> bytes:
        blobs = in_order(pack.blobs)
        if reason := impossible(blobs):
            raise Damaged(f"index {index_id.hex()} lists pack {pack.id.hex()} wrongly: {reason}", hint=INDEX_HINT)
        header = encode_header(blobs)
        known = self._headers.setdefault(pack.id, header)
        if known is not header:
            if known != header:
                raise Damaged(f"two indexes differ on what is in pack {pack.id.hex()}", hint=INDEX_HINT)
            self._twice.add(pack.id)
        return pack.id
