"""The global queue: sealed batches in scan order, each queued, in progress or gone (S1, S3, S4, S10).

A batch is handed out lowest number first and only once its row is durable. While a member works on it, it is
*in progress*; when that member is lost it stays so until another one takes it. Completion is a compare-and-set on the
attempt: the first attempt to complete wins, later ones are told so. A completed batch has no row.

No two hand-outs of a batch have the same attempt, those of other runs of the job included: a member may outlive the
master that it worked for.
"""

from __future__ import annotations

import heapq
import time

import msgspec

from argosy.state.job_database import JobDatabase, Statement

QUEUED = "queued"
IN_PROGRESS = "in progress"

PAYLOADS_IN_MEMORY_BYTES = 32 << 20

_FIRST = 1

MOST_RUNS = 8
"""So often a batch is handed out beside attempts of it that go on."""

ATTEMPTS_OF_A_RUN = 1_000_000
"""More than a batch can be handed out while one process runs the job: each run counts from a multiple of this."""


class Batch(msgspec.Struct):
    """A batch's row. ``files_done`` and ``bytes_done`` are the current attempt's progress.

    Of this run, so in no row: ``leased`` (handed out and not given back), ``runs`` (attempts that go on), ``earlier``
    (the first of several, or 0), ``overtaken`` (its worker has begun another batch since) and ``suspicions`` (those of
    its ``failures`` that may be its own fault).
    """

    seq: int
    files: int
    bytes: int
    state: str = QUEUED
    attempt: int = 0
    member: str | None = None
    worker: int | None = None
    files_done: int = 0
    bytes_done: int = 0
    updated: float | None = None
    failures: int = 0
    leased: bool = False
    runs: int = 0
    earlier: int = 0
    overtaken: bool = False
    suspicions: int = 0

    @property
    def run(self) -> int:
        """The number of the latest of its attempts that go on beside each other: 0 where there is one."""
        return self.attempt - self.earlier if self.earlier else 0


class BatchQueue:
    """The queue of record. Every method takes the job's mutex."""

    def __init__(self, job: JobDatabase) -> None:
        self._job = job
        self._waiting: list[int] = []
        self._sizes: dict[int, Batch] = {}
        self._running: dict[int, Batch] = {}
        self._begun_last: dict[tuple[str, int], Batch] = {}
        self._unfinished_files = self._unfinished_bytes = 0
        self._payloads: dict[int, bytes] = {}
        self._payload_bytes = 0
        # Replaced ones whose rows are still to be written, or are being written.
        self._replaced: dict[int, bytes] = {}
        self._saving: dict[int, bytes] = {}
        self._durable: set[int] = set()
        self._fresh: list[int] = []
        self._changed: set[int] = set()
        self._next_seq = _FIRST
        runs = int(job.read("SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM job WHERE key = 'runs'")[0][0])
        self._first_attempt = runs * ATTEMPTS_OF_A_RUN
        job.journal("INSERT OR REPLACE INTO job VALUES ('runs', ?)", (str(runs + 1).encode("ascii"),))
        job.attach(self)

    def load(self) -> int:
        """Load the rows of an interrupted job; returns how many batches wait (from the next commit on)."""
        rows = self._job.read(
            "SELECT seq, files, bytes, state, attempt, member, worker, files_done, bytes_done, updated, failures"
            " FROM batches ORDER BY seq"
        )
        for row in rows:
            batch = Batch(*row)
            batch.attempt = self._first_attempt
            self._sizes[batch.seq] = batch
            self._unfinished_files += batch.files
            self._unfinished_bytes += batch.bytes
            if batch.state == IN_PROGRESS:
                self._running[batch.seq] = batch
        # Handed out only once this run's number is durable.
        self._fresh = [row[0] for row in rows]
        stored = self._job.read("SELECT value FROM job WHERE key = 'next_batch'")
        self._next_seq = int(stored[0][0]) if stored else _FIRST
        return len(rows)

    def enqueue(self, payload: bytes, files: int, size_bytes: int, *, suspicions: int = 0) -> int:
        """Seal a batch: give it the next number and make it part of the next commit."""
        with self._job.mutex:
            seq = self._next_seq
            self._next_seq += 1
            self._sizes[seq] = Batch(seq, files, size_bytes, attempt=self._first_attempt, suspicions=suspicions)
            self._unfinished_files += files
            self._unfinished_bytes += size_bytes
            self._fresh.append(seq)
            self._job.journal(
                "INSERT INTO batches (seq, state, attempt, files, bytes, payload) VALUES (?, ?, 0, ?, ?, ?)",
                (seq, QUEUED, files, size_bytes, payload),
            )
            self._job.journal("INSERT OR REPLACE INTO job VALUES ('next_batch', ?)", (str(self._next_seq).encode(),))
            if self._payload_bytes < PAYLOADS_IN_MEMORY_BYTES:
                self._payloads[seq] = payload
                self._payload_bytes += len(payload)
            return seq

    @property
    def next_number(self) -> int:
        """The number of the batch that will be sealed next; good while the caller holds the mutex."""
        return self._next_seq

    @property
    def is_fresh(self) -> bool:
        """Whether no batch has been sealed in this job."""
        return self._next_seq == _FIRST

    def lowest(self, count: int) -> list[int]:
        """The lowest batches that may be leased now, in order."""
        with self._job.mutex:
            return self._waiting[:1] if count == 1 else heapq.nsmallest(count, self._waiting)

    def lease(self, chosen: int | None = None) -> tuple[Batch, bytes] | None:
        """The lowest waiting batch, or the one chosen of those, as a new attempt, with its payload.

        None when none is durable yet.
        """
        with self._job.mutex:
            if not self._waiting:
                return None
            if chosen is None or chosen == self._waiting[0]:
                seq = heapq.heappop(self._waiting)
            else:
                seq = chosen
                self._waiting.remove(seq)
                heapq.heapify(self._waiting)
            batch = self._sizes[seq]
            batch.attempt += 1
            batch.leased, batch.overtaken = True, False
            batch.runs, batch.earlier = 1, 0
            batch.files_done = batch.bytes_done = 0
            self._changed.add(seq)
            payload = self._replaced.get(seq) or self._saving.get(seq) or self._drop_payload(seq)
            if payload:
                return batch, payload
        row = self._job.read("SELECT payload FROM batches WHERE seq = ?", (seq,))
        return batch, row[0][0]

    def lease_again(self, seq: int) -> bytes | None:
        """Hand a batch in progress out once more, beside the attempts that go on: its payload.

        None if it is complete or waits, or was handed out ``MOST_RUNS`` times.
        """
        with self._job.mutex:
            batch = self._sizes.get(seq)
            if batch is None or not batch.leased or batch.run >= MOST_RUNS - 1:
                return None
            batch.earlier = batch.earlier or batch.attempt
            batch.attempt += 1
            batch.runs += 1
            self._changed.add(seq)
        return self.payload(seq)

    def find(self, seq: int) -> Batch | None:
        """A batch that is not complete."""
        return self._sizes.get(seq)

    def taken(self, seq: int, attempt: int, member: str, worker: int) -> None:
        """A worker has begun this attempt."""
        with self._job.mutex:
            batch = self._current(seq, attempt)
            if batch is not None:
                batch.state = IN_PROGRESS
                before = self._begun_last.get((member, worker))
                if before is not None and before is not batch:
                    before.overtaken = True
                self._begun_last[member, worker] = batch
                self._running[seq] = batch
                batch.member, batch.worker, batch.updated = member, worker, time.time()
                self._changed.add(seq)

    def progress(self, seq: int, attempt: int, files: int, size_bytes: int) -> None:
        """How far this attempt has come."""
        with self._job.mutex:
            batch = self._current(seq, attempt)
            if batch is not None:
                batch.files_done, batch.bytes_done, batch.updated = files, size_bytes, time.time()
                self._changed.add(seq)

    def complete(self, seq: int, attempt: int) -> bool:
        """Accept this attempt's result; False when another attempt was accepted before (drop the result then)."""
        with self._job.mutex:
            batch = self._current(seq, attempt)
            if batch is None:
                return False
            if not batch.leased:
                # Given back, and the lost worker's result came after all.
                self._waiting.remove(seq)
                heapq.heapify(self._waiting)
            del self._sizes[seq]
            self._unfinished_files -= batch.files
            self._unfinished_bytes -= batch.bytes
            self._running.pop(seq, None)
            self._forget_worker(batch)
            self._changed.discard(seq)
            self._durable.discard(seq)
            self._job.journal("DELETE FROM batches WHERE seq = ?", (seq,))
            return True

    def give_back(self, seq: int, attempt: int, *, failed: bool = False, suspect: bool = False) -> Batch | None:
        """The attempt's worker was lost, or failed: the batch waits again and still reads `in progress`.

        ``failed``: on the source. ``suspect``: the batch itself may be the cause, unless its worker had left it behind
        for another one and held it only until its packs were durable.
        None if the attempt is over: another one was handed out, or accepted, or it was given back before. None also if
        another one goes on.
        """
        with self._job.mutex:
            batch = self._current(seq, attempt)
            if batch is None or not batch.leased:
                return None
            batch.runs -= 1
            if batch.runs:
                return None
            batch.leased = False
            suspected = suspect and not batch.overtaken
            batch.failures += failed or suspected
            batch.suspicions += suspected
            self._forget_worker(batch)
            heapq.heappush(self._waiting, seq)
            self._changed.add(seq)
            return batch

    def payload(self, seq: int) -> bytes | None:
        """The payload of a batch, None if it is complete."""
        with self._job.mutex:
            at_hand = self._replaced.get(seq) or self._saving.get(seq) or self._payloads.get(seq)
        if at_hand:
            return at_hand
        rows = self._job.read("SELECT payload FROM batches WHERE seq = ?", (seq,))
        return bytes(rows[0][0]) if rows else None

    def replace_payload(self, seq: int, payload: bytes) -> None:
        """Let later attempts have another payload."""
        with self._job.mutex:
            if seq in self._sizes:
                self._drop_payload(seq)
                self._replaced[seq] = payload
                self._job.journal("UPDATE batches SET payload = ? WHERE seq = ?", (payload, seq))

    @property
    def waiting(self) -> int:
        """Batches that a member may take now or after the next commit."""
        with self._job.mutex:
            return len(self._waiting) + len(self._fresh)

    @property
    def unfinished(self) -> int:
        """Batches that are not complete."""
        with self._job.mutex:
            return len(self._sizes)

    def remaining(self) -> tuple[int, int]:
        """Files and bytes of all batches that are not complete, but for what their workers have read."""
        with self._job.mutex:
            done = sum(batch.files_done for batch in self._running.values())
            return self._unfinished_files - done, self.remaining_bytes()

    def remaining_bytes(self) -> int:
        """Bytes of all batches that are not complete (for the estimate of the end)."""
        with self._job.mutex:
            return self._unfinished_bytes - sum(batch.bytes_done for batch in self._running.values())

    def handed_out(self) -> list[Batch]:
        """The batches that are with members, those included that wait there for their turn."""
        with self._job.mutex:
            return [batch for batch in self._sizes.values() if batch.leased]

    def in_progress(self) -> list[Batch]:
        """The batches that members hold, or held when they were lost."""
        with self._job.mutex:
            return list(self._running.values())

    def changes(self) -> list[Statement]:
        """Rows whose state changed since the last commit."""
        statements: list[Statement] = []
        for seq in self._changed:
            batch = self._sizes[seq]
            statements.append(
                (
                    "UPDATE batches SET state = ?, attempt = ?, member = ?, worker = ?, files_done = ?,"
                    " bytes_done = ?, updated = ?, failures = ? WHERE seq = ?",
                    (
                        batch.state,
                        batch.attempt,
                        batch.member,
                        batch.worker,
                        batch.files_done,
                        batch.bytes_done,
                        batch.updated,
                        batch.failures,
                        seq,
                    ),
                )
            )
        self._changed = set()
        self._saving, self._replaced = self._replaced, {}
        self._durable.update(self._fresh)
        return statements

    def committed(self) -> None:
        """Batches whose rows are durable by now may be handed out."""
        self._saving = {}
        ready = [seq for seq in self._fresh if seq in self._durable]
        for seq in ready:
            heapq.heappush(self._waiting, seq)
        self._fresh = [seq for seq in self._fresh if seq not in self._durable]

    def _drop_payload(self, seq: int) -> bytes:
        payload = self._payloads.pop(seq, b"")
        self._payload_bytes -= len(payload)
        return payload

    def _forget_worker(self, batch: Batch) -> None:
        if batch.member is not None and batch.worker is not None:
            place = (batch.member, batch.worker)
            if self._begun_last.get(place) is batch:
                del self._begun_last[place]

    def _current(self, seq: int, attempt: int) -> Batch | None:
        batch = self._sizes.get(seq)
        return batch if batch is not None and (batch.earlier or batch.attempt) <= attempt <= batch.attempt else None
