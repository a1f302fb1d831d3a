"""What the indexes say of the packs, whatever is wrong with them: of each pack its header, in memory, 41 bytes a blob.

A prune reads the indexes as well, and refuses what is accepted here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from argosy.errors import Damaged
from argosy.repository.layout import FileKind
from argosy.repository.repository import Repository
from argosy.restic_format.blob import PackedBlob
from argosy.restic_format.index import IndexedPack
from argosy.restic_format.pack import decode_header, encode_header, impossible, in_order

OnDamaged = Callable[[bytes, IndexedPack | None, Damaged], None]
"""Hears of an index that cannot be read (None), or of a pack that it lists wrongly or unlike another index."""


class ListedPacks:
    """All packs of all indexes that can be read. Of a pack on which two disagree the first counts."""

    def __init__(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._packs_of_index: dict[bytes, list[bytes]] = {}
        self._twice: set[bytes] = set()

    @classmethod
    def load(cls, repository: Repository, on_damaged: OnDamaged) -> ListedPacks:
        """Read all indexes."""
        listed = cls()
        for index_id in repository.list_ids(FileKind.INDEX):
            listed._load_index(repository, index_id, on_damaged)
        return listed

    def __iter__(self) -> Iterator[tuple[bytes, list[PackedBlob]]]:
        """Each pack with its blobs."""
        return ((pack_id, self.blobs(pack_id)) for pack_id in self._headers)

    def __contains__(self, pack_id: bytes) -> bool:
        return pack_id in self._headers

    def ids(self) -> set[bytes]:
        """All packs."""
        return set(self._headers)

    def blobs(self, pack_id: bytes) -> list[PackedBlob]:
        """What a pack holds."""
        return decode_header(self._headers[pack_id], "header")

    def indexes_to_replace(self, leaving: set[bytes]) -> list[bytes]:
        """The indexes that cannot be read, list a pack that leaves or that another lists too, or list nothing."""
        changed = leaving | self._twice
        return [
            index_id for index_id, packs in self._packs_of_index.items() if not packs or not changed.isdisjoint(packs)
        ]

    def staying(self, index_ids: Sequence[bytes], leaving: set[bytes]) -> Iterator[IndexedPack]:
        """The packs of these indexes that do not leave, each once."""
        told: set[bytes] = set()
        for index_id in index_ids:
            for pack_id in self._packs_of_index[index_id]:
                if pack_id not in leaving and pack_id not in told and pack_id in self:
                    told.add(pack_id)
                    yield IndexedPack(pack_id, self.blobs(pack_id))

    def _load_index(self, repository: Repository, index_id: bytes, on_damaged: OnDamaged) -> None:
        packs = self._packs_of_index.setdefault(index_id, [])
        try:
            index = repository.load_index(index_id)
        except Damaged as error:
            on_damaged(index_id, None, error)
            return
        for pack in index.packs:
            if pack.blobs:
                packs.append(pack.id)
                if reason := self._add(pack):
                    on_damaged(
                        index_id, pack, Damaged(f"index {index_id.hex()}: it lists pack {pack.id.hex()} {reason}")
                    )

    def _add(self, pack: IndexedPack) -> str:
        """Note a pack; returns what is wrong with the list of its blobs."""
        blobs = in_order(pack.blobs)
        if reason := impossible(blobs):
            return f"wrongly: {reason}"
        header = encode_header(blobs)
        known = self._headers.setdefault(pack.id, header)
        if known is header:
            return ""
        if known != header:
            return "unlike another index"
        self._twice.add(pack.id)
        return ""
