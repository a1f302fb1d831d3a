"""Packs that are durable (R1, R2), and tree blobs that are sealed and wait for their pack."""

from __future__ import annotations

import msgspec

from argosy.state.job_database import JobDatabase, Statement


class RecordedPack(msgspec.Struct, frozen=True):
    """A durable pack. ``header`` is the pack header's plain bytes; ``kind`` is data or tree."""

    pack_id: bytes
    size_bytes: int
    header: bytes
    kind: str


class RecordedPacks:
    """The job's packs; those that no index names yet are kept in memory."""

    def __init__(self, job: JobDatabase) -> None:
        self._job = job
        self._unindexed: dict[bytes, RecordedPack] = {}
        self.count = 0
        self.size_bytes = 0

    def load(self) -> list[RecordedPack]:
        """Load the packs of an interrupted job; returns all that no index is known to name."""
        rows = self._job.read("SELECT pack_id, size, header, kind FROM packs WHERE index_id IS NULL")
        self._unindexed = {row[0]: RecordedPack(*row) for row in rows}
        totals = self._job.read("SELECT count(*), coalesce(sum(size), 0) FROM packs")
        self.count, self.size_bytes = totals[0]
        return list(self._unindexed.values())

    def record(self, pack: RecordedPack) -> bool:
        """A member has made this pack durable; False (and nothing is done) if that was known."""
        with self._job.mutex:
            if pack.pack_id in self._unindexed or self._is_stored(pack.pack_id):
                return False
            self._unindexed[pack.pack_id] = pack
            self.count += 1
            self.size_bytes += pack.size_bytes
            self._job.journal(
                "INSERT OR IGNORE INTO packs (pack_id, size, header, kind) VALUES (?, ?, ?, ?)",
                (pack.pack_id, pack.size_bytes, pack.header, pack.kind),
            )
            return True

    def unindexed(self) -> list[RecordedPack]:
        """Packs that no index names yet, in the order of their recording."""
        with self._job.mutex:
            return list(self._unindexed.values())

    def indexed(self, pack_ids: list[bytes], index_id: bytes) -> None:
        """An index that names these packs is durable."""
        with self._job.mutex:
            for pack_id in pack_ids:
                self._unindexed.pop(pack_id, None)
                self._job.journal("UPDATE packs SET index_id = ? WHERE pack_id = ?", (index_id, pack_id))

    def _is_stored(self, pack_id: bytes) -> bool:
        """A pack that an index names is no longer in memory; a question to the file for each pack costs nothing."""
        return bool(self._job.read("SELECT 1 FROM packs WHERE pack_id = ?", (pack_id,)))

    def all_ids(self) -> list[tuple[bytes, int]]:
        """(id, size) of every pack of the job as of the last commit."""
        return [(row[0], row[1]) for row in self._job.read("SELECT pack_id, size FROM packs")]

    def of_trees(self) -> set[bytes]:
        """The packs of the job that hold trees, as of the last commit."""
        return {row[0] for row in self._job.read("SELECT pack_id FROM packs WHERE kind = 'tree'")}

    def index_by_pack(self) -> dict[bytes, bytes | None]:
        """The index that names each pack, as of the last commit; None for those that none is known to name."""
        return {row[0]: row[1] for row in self._job.read("SELECT pack_id, index_id FROM packs")}

    def forget_indexes(self, index_ids: list[bytes]) -> None:
        """These indexes are gone: their packs are named by none (``load`` gives them after the next commit)."""
        for index_id in index_ids:
            self._job.journal("UPDATE packs SET index_id = NULL WHERE index_id = ?", (index_id,))

    def index_ids(self) -> list[bytes]:
        """The indexes that this job wrote, as of the last commit."""
        rows = self._job.read("SELECT DISTINCT index_id FROM packs WHERE index_id IS NOT NULL")
        return [row[0] for row in rows]


class OpenTrees:
    """Sealed tree blobs that no durable pack holds yet: a crash must not cost the trees below a finished directory.

    What is packed before the next commit is never written.
    """

    def __init__(self, job: JobDatabase) -> None:
        self._job = job
        self._unsaved: dict[bytes, tuple[bytes, int]] = {}
        self._packed: list[bytes] = []
        job.attach(self)

    def load(self) -> list[tuple[bytes, bytes, int]]:
        """(blob id, sealed bytes, uncompressed length) of each, to be packed again after a crash."""
        rows = self._job.read("SELECT blob_id, sealed, uncompressed_length FROM open_trees")
        return [(row[0], row[1], row[2]) for row in rows]

    def add(self, blob_id: bytes, sealed: bytes, uncompressed_length: int) -> None:
        """Keep a tree blob until its pack is durable."""
        with self._job.mutex:
            self._unsaved.setdefault(blob_id, (sealed, uncompressed_length))

    def packed(self, blob_ids: list[bytes]) -> None:
        """A durable pack holds these."""
        with self._job.mutex:
            self._packed += [blob_id for blob_id in blob_ids if self._unsaved.pop(blob_id, None) is None]

    def changes(self) -> list[Statement]:
        """Rows to delete or write since the last commit."""
        statements: list[Statement] = [
            ("DELETE FROM open_trees WHERE blob_id = ?", (blob_id,)) for blob_id in self._packed
        ]
        statements += [
            ("INSERT OR IGNORE INTO open_trees VALUES (?, ?, ?)", (blob_id, *kept))
            for blob_id, kept in self._unsaved.items()
        ]
        self._unsaved, self._packed = {}, []
        return statements

    def committed(self) -> None:
        """Nothing is kept in memory."""
