"""The dedup lookup: which blobs the repository has, on disk, shared by this machine's workers (DESIGN.md R4).

It is made equal to the repository's indexes by ``synchronize``; a pack stored by the running job and not
indexed yet is *pending*, and counts for that job alone: if the job dies, no index may ever list it. "Exists"
is a match of all 256 bits of the masked id; a lookup that is behind can only say "absent", which costs an
upload and harms nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from argosy.errors import Damaged
from argosy.repository.blob_location import Location
from argosy.repository.lookup_file import LookupRow, Mask, mark_damaged, open_lookup_file, uncover_place
from argosy.repository.packer import StoredPack
from argosy.restic_format.blob import BlobType
from argosy.restic_format.crypto import MasterKey
from argosy.restic_format.index import Index
from argosy.sqlite import Row

if TYPE_CHECKING:
    from concurrent.futures import Future

# Indexes fetched ahead while one is inserted: hides a remote store's latency. One of 50,000 blobs takes 10
# MB.
_INDEXES_AHEAD = 4
# Pending packs of a job that was never seen again. Dropping those of a living job would only cost uploads.
_PENDING_KEPT_SECONDS = 7 * 24 * 3600
# Rows of packs that are gone cost room and nothing else, and a sweep reads the whole table.
_DEAD_ROWS_KEPT = 100_000
# A sweep's transactions are short, since another job's writer waits 10 s for its turn at most.
_SWEEP_STEPS = 256
# Look-ups under one read transaction: taking SQLite's lock for each is half of the cost.
_LOOKUPS_AT_ONCE = 4096

# A subquery, not a join: SQLite spends 3 µs more on starting a join, whether a row is found or not.
_FIND = """SELECT b.place,
                  (SELECT p.pack_id FROM packs p WHERE p.pack_no = b.pack_no AND (p.owner > 0 OR p.owner = ?))
           FROM blobs b WHERE b.masked = ?"""


class DedupLookup:
    """One repository's lookup. Thread-safe; any number of processes may have it open, most of them read-only.

    ``job`` names the job whose pending packs count; the master opens the lookup before its workers do.
    Errors: StateError, StateFull; Damaged if the file is: the next opening for writing then makes it anew.
    """

    def __init__(
        self,
        path: Path,
        key: MasterKey,
        *,
        job: str = "",
        read_only: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self._now = now
        self._mask = Mask(key)
        self._database = open_lookup_file(path, read_only=read_only)
        self._lock = threading.Lock()
        self._job = job
        self._owner = 0
        if job:
            self._join_job(read_only=read_only)

    def contains(self, blob_id: bytes, blob_type: int = BlobType.DATA) -> bool:
        """Whether the blob is in an indexed pack, or in one of this job's pending packs."""
        for row in self._find(self._mask.digest(blob_id, blob_type)[:32]):  # noqa: SIM110 - any() costs 0.5 µs
            if row[1]:
                return True
        return False

    def contains_many(self, blob_ids: Iterable[bytes], blob_type: int = BlobType.DATA) -> set[bytes]:
        """Those of the ids that ``contains`` holds for. Half its cost an id."""
        found: set[bytes] = set()
        remaining = iter(blob_ids)
        while chunk := list(islice(remaining, _LOOKUPS_AT_ONCE)):
            with self._reading():
                for blob_id in chunk:
                    masked = self._mask.digest(blob_id, blob_type)[:32]
                    if any(row[1] for row in self._database.execute(_FIND, (self._owner, masked))):
                        found.add(blob_id)
        return found

    def find(self, blob_id: bytes, blob_type: int = BlobType.DATA) -> list[Location]:
        """Every place where the blob is; empty if there is none."""
        digest = self._mask.digest(blob_id, blob_type)
        rows = self._find(digest[:32])
        return [Location(pack_id, *uncover_place(digest, place)) for place, pack_id in rows if pack_id]

    @property
    def blob_count(self) -> int:
        """How many blobs ``contains`` holds for; one that is in several packs counts several times."""
        sql = "SELECT coalesce(sum(blobs), 0) FROM packs WHERE owner > 0 OR owner = ?"
        with self._reading():
            return int(self._database.execute(sql, (self._owner,))[0][0])

    def index_ids(self) -> set[bytes]:
        """The indexes that the lookup is made of."""
        with self._reading():
            return {row[0] for row in self._database.execute("SELECT index_id FROM indexes")}

    def pack_ids(self) -> set[bytes]:
        """All packs that indexes list."""
        with self._reading():
            return {row[0] for row in self._database.iterate("SELECT pack_id FROM packs WHERE owner > 0")}

    def index_of_packs(self, pack_ids: Iterable[bytes]) -> dict[bytes, bytes]:
        """For those of these packs that an index lists: the index's id."""
        wanted = set(pack_ids)
        sql = "SELECT p.pack_id, i.index_id FROM packs p JOIN indexes i ON i.index_no = p.owner"
        with self._reading():
            return {row[0]: row[1] for row in self._database.iterate(sql) if row[0] in wanted}

    def synchronize(self, index_ids: Iterable[bytes], load: Callable[[bytes], Index]) -> None:
        """Make the lookup equal to the repository's list of indexes: removals first, then each new index.

        ``load`` reads one index; it is called from several threads. If it fails, its error leaves: the
        indexes that went in before stay, so the lookup knows less than the repository, never more.
        """
        wanted = dict.fromkeys(index_ids)
        known = self.index_ids()
        gone = [index_id for index_id in known if index_id not in wanted]
        self._forget(gone)
        missing = [index_id for index_id in wanted if index_id not in known]
        for index_id, index in _loaded_ahead(missing, load):
            self._insert_index(index_id, index)
        self._sweep_if_worthwhile()

    def add_pending(self, packs: Iterable[StoredPack]) -> None:
        """Record packs that this job has made durable and not indexed yet. One recorded twice counts once."""
        if not self._owner:
            raise ValueError("pending packs belong to a job: open the lookup with its name")
        with self._writing():
            known = {
                row[0] for row in self._database.execute("SELECT pack_id FROM packs WHERE owner = ?", (self._owner,))
            }
            new = [pack for pack in packs if pack.id not in known]
            numbered = [(pack.header, self._add_pack(pack.id, self._owner, pack.blob_count)) for pack in new]
            self._insert_rows(self._mask.sorted_rows_of_headers(numbered))
            self._touch_job()

    def promote_pending(self, index_id: bytes, pack_ids: Iterable[bytes]) -> None:
        """Turn pending packs into packs of the index that was just stored, and that lists exactly them."""
        wanted = list(pack_ids)
        with self._writing():
            sql = "SELECT pack_no FROM packs WHERE owner = ? AND pack_id = ?"
            numbers = [row[0] for pack_id in wanted for row in self._database.execute(sql, (self._owner, pack_id))]
            # Without all of its packs the index would count as known, and the rest would stay absent for
            # ever: left unknown, it is loaded by the next synchronize.
            if len(numbers) == len(wanted) and not self._is_known(index_id):
                index_no = self._add_index(index_id)
                self._database.execute_many(
                    "UPDATE packs SET owner = ? WHERE pack_no = ?", [(index_no, number) for number in numbers]
                )

    def drop_pending(self) -> None:
        """Forget this job's pending packs."""
        with self._writing():
            self._drop_packs_of(self._owner)

    def forget_packs(self, pack_ids: Iterable[bytes]) -> None:
        """These packs are gone, though indexes may name them: their blobs count as absent, and no proof holds."""
        with self._writing():
            for pack_id in pack_ids:
                dropped = self._database.execute("DELETE FROM packs WHERE pack_id = ? RETURNING blobs", (pack_id,))
                self._count_dead(dropped)
                self._database.execute("DELETE FROM proved")

    def mark_proved(self, tree_id: bytes) -> None:
        """Remember that everything below this tree is in the present set of indexes.

        ValueError while the job has pending packs: the proof may rest on them.
        """
        masked = self._mask.digest(tree_id, BlobType.TREE)[:32]
        with self._writing():
            if self._owner and self._database.first("SELECT 1 FROM packs WHERE owner = ?", (self._owner,)):
                raise ValueError("a tree is proved against indexes: promote the pending packs first")
            self._database.execute(
                "INSERT OR REPLACE INTO proved SELECT ?, coalesce(max(index_no), 0) FROM indexes", (masked,)
            )

    def proved(self, tree_id: bytes) -> bool:
        """Whether the tree was proved complete and every index of that time still exists."""
        masked = self._mask.digest(tree_id, BlobType.TREE)[:32]
        with self._reading():
            return self._database.first("SELECT 1 FROM proved WHERE masked = ?", (masked,)) is not None

    def close(self) -> None:
        """Close the file; idempotent."""
        with self._lock:
            self._database.close()

    def _find(self, masked: bytes) -> list[Row]:
        try:
            with self._lock:
                return self._database.execute(_FIND, (self._owner, masked))
        except Damaged:
            mark_damaged(self.path)
            raise

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """One view of the file, alone among this object's threads."""
        with self._marking_damage(), self._lock:
            self._database.execute("BEGIN")
            try:
                yield
            finally:
                self._database.execute("COMMIT")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._marking_damage(), self._lock, self._database.transaction():
            yield

    @contextmanager
    def _marking_damage(self) -> Iterator[None]:
        try:
            yield
        except Damaged:
            mark_damaged(self.path)
            raise

    def _join_job(self, *, read_only: bool) -> None:
        if not read_only:
            with self._writing():
                self._touch_job()
        with self._reading():
            row = self._database.first("SELECT job_no FROM jobs WHERE name = ?", (self._job,))
            self._owner = -int(row[0]) if row else 0

    def _touch_job(self) -> None:
        sql = """INSERT INTO jobs (job_no, name, used_at) VALUES (?, ?, ?)
                 ON CONFLICT (name) DO UPDATE SET used_at = excluded.used_at"""
        self._database.execute(sql, (-self._owner or None, self._job, int(self._now())))

    def _is_known(self, index_id: bytes) -> bool:
        return self._database.first("SELECT 1 FROM indexes WHERE index_id = ?", (index_id,)) is not None

    def _add_index(self, index_id: bytes) -> int:
        rows = self._database.execute("INSERT INTO indexes (index_id) VALUES (?) RETURNING index_no", (index_id,))
        return int(rows[0][0])

    def _insert_index(self, index_id: bytes, index: Index) -> None:
        with self._writing():
            # Another job of this machine may have been quicker.
            if not self._is_known(index_id):
                index_no = self._add_index(index_id)
                numbered = [(pack.blobs, self._add_pack(pack.id, index_no, len(pack.blobs))) for pack in index.packs]
                self._insert_rows(self._mask.sorted_rows(numbered))

    def _add_pack(self, pack_id: bytes, owner: int, blobs: int) -> int:
        sql = "INSERT INTO packs (pack_id, owner, blobs) VALUES (?, ?, ?) RETURNING pack_no"
        return int(self._database.execute(sql, (pack_id, owner, blobs))[0][0])

    def _insert_rows(self, rows: Iterable[LookupRow]) -> None:
        """In the order of the table: scattered inserts slow down once it outgrows memory."""
        # A pack may hold a blob twice: one place is enough.
        self._database.execute_many("INSERT OR IGNORE INTO blobs VALUES (?, ?, ?)", rows)

    def _forget(self, index_ids: Sequence[bytes]) -> None:
        """Remove indexes, their packs, the proofs that rest on them, and packs of jobs long gone."""
        with self._writing():
            for index_id in index_ids:
                for (index_no,) in self._database.execute(
                    "DELETE FROM indexes WHERE index_id = ? RETURNING index_no", (index_id,)
                ):
                    self._drop_packs_of(index_no)
                    self._database.execute("DELETE FROM proved WHERE newest_index_no >= ?", (index_no,))
            oldest = int(self._now()) - _PENDING_KEPT_SECONDS
            for (job_no,) in self._database.execute(
                "DELETE FROM jobs WHERE used_at < ? AND job_no <> ? RETURNING job_no", (oldest, -self._owner)
            ):
                self._drop_packs_of(-job_no)

    def _drop_packs_of(self, owner: int) -> None:
        dropped = self._database.execute("DELETE FROM packs WHERE owner = ? RETURNING blobs", (owner,))
        self._count_dead(dropped)

    def _count_dead(self, dropped: Sequence[Row]) -> None:
        self._database.execute("UPDATE swept SET dead_rows = dead_rows + ?", (sum(row[0] for row in dropped),))

    def _sweep_if_worthwhile(self) -> None:
        """Remove the rows of packs that are gone, once they are many and a third of the file."""
        with self._reading():
            dead_rows = self._database.execute("SELECT dead_rows FROM swept")[0][0]
        # In this order: to count the blobs takes a second where there are a hundred million.
        if dead_rows < _DEAD_ROWS_KEPT or dead_rows < self.blob_count // 2:
            return
        sql = """DELETE FROM blobs WHERE masked >= ? AND masked < ?
                 AND pack_no NOT IN (SELECT pack_no FROM packs)"""
        for step in range(_SWEEP_STEPS):
            above = bytes([step + 1]) if step + 1 < _SWEEP_STEPS else b"\xff" * 33
            with self._writing():
                self._database.execute(sql, (bytes([step]), above))
        with self._writing():
            self._database.execute("UPDATE swept SET dead_rows = 0")


def _loaded_ahead(index_ids: Sequence[bytes], load: Callable[[bytes], Index]) -> Iterator[tuple[bytes, Index]]:
    """Each index with its id, in order, a few being loaded while one is used."""
    if len(index_ids) == 1:
        yield index_ids[0], load(index_ids[0])
        return
    from concurrent.futures import ThreadPoolExecutor  # 10 ms, and most processes never load an index

    with ThreadPoolExecutor(_INDEXES_AHEAD, thread_name_prefix="load-index") as threads:
        waiting: list[tuple[bytes, Future[Index]]] = []
        try:
            for index_id in index_ids:
                waiting.append((index_id, threads.submit(load, index_id)))
                if len(waiting) > _INDEXES_AHEAD:
                    first_id, first = waiting.pop(0)
                    yield first_id, first.result()
            for first_id, first in waiting:
                yield first_id, first.result()
        finally:
            for _, future in waiting:
                future.cancel()
