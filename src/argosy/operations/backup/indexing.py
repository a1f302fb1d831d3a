"""From recorded packs to indexes (R2): the workers hear of a pack at the next commit, the lookup soon after.

Its table is in the order of the ids: many packs that are written together change each of its pages once.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from argosy.archiver.known_blobs import TOLD_AHEAD_MOST
from argosy.archiver.ledger import Ledger
from argosy.repository.index_writer import MAX_INDEX_BLOBS, write_indexes_of_headers
from argosy.repository.lookup import DedupLookup
from argosy.repository.packer import StoredPack
from argosy.repository.repository import Repository
from argosy.state.packs import RecordedPack

INDEX_SECONDS = 600.0
LOOKUP_SECONDS = 2.0


class IndexQueue:
    """Keeps the packs that no index names yet. Used by one thread; ``on_indexed`` hears of each index and its packs,
    ``on_looked_up`` of packs that are in the lookup.
    """

    def __init__(
        self,
        repository: Repository,
        lookup: DedupLookup | None,
        check_lock: Callable[[], None],
        on_indexed: Callable[[bytes, list[bytes]], None] = lambda _index_id, _pack_ids: None,
    ) -> None:
        self._repository = repository
        self._lookup = lookup
        self._check_lock = check_lock
        self._on_indexed = on_indexed
        self.on_looked_up: Callable[[list[StoredPack]], None] = lambda _packs: None
        self._unheard: list[StoredPack] = []
        self._late: list[StoredPack] = []
        self._late_since = 0.0
        self._unindexed: dict[bytes, StoredPack] = {}
        self._blobs = 0
        self._oldest = time.monotonic()

    def recorded(self, pack: StoredPack) -> None:
        """A pack is durable and recorded, from now on or from an earlier run."""
        if pack.id in self._unindexed:
            return
        if not self._unindexed:
            self._oldest = time.monotonic()
        self._unheard.append(pack)
        self._unindexed[pack.id] = pack
        self._blobs += pack.blob_count

    def take_news(self) -> list[StoredPack]:
        """After a commit: the packs that the workers are to be told of now. The lookup has them soon."""
        news, self._unheard = self._unheard, []
        if news and not self._late:
            self._late_since = time.monotonic()
        self._late += news
        many = sum(pack.blob_count for pack in self._late) > TOLD_AHEAD_MOST
        if many or (self._late and time.monotonic() - self._late_since > LOOKUP_SECONDS):
            self.tell_lookup()
        return news

    def tell_lookup(self) -> None:
        """After a commit: write what was recorded into the lookup."""
        packs, self._unheard, self._late = [*self._late, *self._unheard], [], []
        if packs and self._lookup is not None:
            self._lookup.add_pending(packs)
        self.on_looked_up(packs)

    def unindexed(self) -> list[StoredPack]:
        """The packs that no index names yet, but for those that ``take_news`` is still to tell of."""
        unheard = {pack.id for pack in self._unheard}
        return [pack for pack in self._unindexed.values() if pack.id not in unheard]

    def write_due(self) -> bool:
        """Write indexes if enough blobs or minutes have gathered; True if it did (commit then)."""
        late = self._unindexed and time.monotonic() - self._oldest > INDEX_SECONDS
        if self._blobs < MAX_INDEX_BLOBS and not late:
            return False
        self.write()
        return True

    def write(self) -> None:
        """Write indexes of everything that has none."""
        self.tell_lookup()
        packs = list(self._unindexed.values())
        if packs:
            headers = ((pack.id, pack.header) for pack in packs)
            write_indexes_of_headers(self._repository, headers, check=self._check_lock, on_written=self._written)

    def _written(self, index_id: bytes, pack_ids: list[bytes]) -> None:
        self._on_indexed(index_id, pack_ids)
        if self._lookup is not None:
            self._lookup.promote_pending(index_id, pack_ids)
        for pack_id in pack_ids:
            self._blobs -= self._unindexed.pop(pack_id).blob_count


class Indexer(IndexQueue):
    """The queue of a job that is recorded in a checkpoint database. Used by the coordinator's thread alone."""

    def __init__(
        self, repository: Repository, ledger: Ledger, lookup: DedupLookup | None, check_lock: Callable[[], None]
    ) -> None:
        super().__init__(
            repository, lookup, check_lock, lambda index_id, pack_ids: ledger.packs.indexed(pack_ids, index_id)
        )
        self._ledger = ledger

    def record(self, pack: StoredPack, kind: str) -> None:
        """A pack is durable: record it in the checkpoint database (with the next commit)."""
        if self._ledger.packs.record(RecordedPack(pack.id, pack.size_bytes, pack.header, kind)):
            self.recorded(pack)

    def record_tree_pack(self, pack: StoredPack) -> None:
        """A tree pack is durable: record it, and let go of the sealed trees that were kept for it."""
        with self._ledger.job.mutex:
            self.record(pack, "tree")
            self._ledger.open_trees.packed([blob.id for blob in pack.blobs])
