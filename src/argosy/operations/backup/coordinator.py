"""The loop that drives a backup: hand out batches, hear of results, record packs, build trees, commit.

One thread, the engine's owner and the only one that commits. Order (R1): a pack is durable, then recorded, then the
batches that need it complete, then trees are built, then indexes name the packs; the snapshot is the closing's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec

from argosy.archiver.confirming import first_contradiction
from argosy.archiver.ledger import Ledger
from argosy.archiver.messages import (
    BatchProgress,
    BatchResult,
    Notice,
    PackReport,
    SourceLost,
    WorkerError,
    decode,
    decode_failure,
    encode,
)
from argosy.archiver.results import Results
from argosy.archiver.scan import Scanner
from argosy.archiver.source import Source
from argosy.archiver.suspects import MOST_FAILURES, Suspects
from argosy.archiver.tree_threads import TreeThreads
from argosy.archiver.trees import TreeBuilder
from argosy.engine.interface import (
    Engine,
    Event,
    MemberJoined,
    MemberLeft,
    Report,
    TaskComplete,
    TaskFailed,
    TaskLapsed,
    TaskProgress,
    TaskTaken,
)
from argosy.errors import Interrupted
from argosy.operations.backup.handing_out import HandingOut, batch_of
from argosy.operations.backup.indexing import Indexer
from argosy.operations.backup.misfits import Misfits
from argosy.operations.backup.options import BackupObserver
from argosy.operations.backup.watching import Watcher
from argosy.repository.packer import StoredPack
from argosy.restic_format.blob import BlobType

COMMIT_SECONDS = 0.25
LOCK_ALONE_SECONDS = 0.2
_MEMBER_SECONDS = 1.0
_STOP_GRACE_SECONDS = 20.0


class CoordinatorOptions(msgspec.Struct, frozen=True):
    """``after_scan`` holds all batches back until the scan has ended; times in seconds."""

    tree_threads: int
    after_scan: bool
    stop_after_seconds: float | None
    crash_point: Callable[[str], None]


class Coordinator:
    """Runs one job from its frontier to its root tree."""

    def __init__(
        self,
        ledger: Ledger,
        source: Source,
        engine: Engine,
        scanner: Scanner,
        trees: TreeBuilder,
        results: Results,
        indexer: Indexer,
        observer: BackupObserver,
        confirm_lock: Callable[[], None],
        lease_seconds: Callable[[], float],
        options: CoordinatorOptions,
    ) -> None:
        self._ledger = ledger
        self._source = source
        self._engine = engine
        self._scanner = scanner
        self._trees = trees
        self._tree_threads = TreeThreads(ledger.assemblies, trees.build, engine.wake, threads=options.tree_threads)
        self._results = results
        self._suspects = Suspects(ledger, results)
        self._misfits = Misfits()
        self._expelled: set[str] = set()
        self._handing_out = HandingOut(ledger, engine, scanner, after_scan=options.after_scan)
        self._indexer = indexer
        self._observer = observer
        self._confirm_lock = confirm_lock
        self._lease_seconds = lease_seconds
        # Scan and workers start while the lock must stand alone; nothing is written before it is confirmed.
        self._confirm_at: float | None = time.monotonic() + LOCK_ALONE_SECONDS
        self._crash_point = options.crash_point
        self._watcher = Watcher(ledger, scanner, observer)
        self._next_commit = 0.0
        self._next_members = 0.0
        self._notice_due = False
        self._deadline = None if options.stop_after_seconds is None else time.monotonic() + options.stop_after_seconds

    def run(self) -> bytes:
        """The root tree's id, with every pack of the job recorded. Interrupted when asked to stop."""
        self._ledger.wake = self._engine.wake
        self._engine.expect([member.name for member in self._ledger.map.members() if member.left_at is None])
        self._scanner.start()
        self._tree_threads.start()
        try:
            while not self._finished():
                self._check_stop()
                self._handing_out.offer()
                self._confirm()
                for event in self._engine.events(self._patience_seconds()):
                    self._handle(event)
                self._record_tree_packs()
                self._trees.build_large()
                self._scanner.tick()
                self._revive_scan()
                self._commit()
                self._watcher.look()
        finally:
            self._scanner.stop()
            self._tree_threads.stop()
        self._watcher.look(last=True)
        assert self._trees.root_tree is not None
        return self._trees.root_tree

    def lease_refreshed(self) -> None:
        """The lock was refreshed (called from its own thread): the workers hear of it at the next turn."""
        self._notice_due = True
        self._engine.wake()

    def end_workers(self) -> None:
        """After ``run``. A worker that is busy now is at a batch that another one has done: nothing is waited for."""
        if self._is_any_worker_busy():
            self._engine.cancel()
        else:
            self._engine.close()

    def record_rest(self) -> None:
        """After the last flush, or at a clean stop: record what was stored meanwhile."""
        self._record_tree_packs()
        self._ledger.job.commit()

    def stop_cleanly(self) -> None:
        """Let the workers store what they have packed, wait for packs of trees that are under way, and commit.

        None of it is uploaded again then.
        """
        if self._confirm_at is not None:
            # Workers write nothing before they are told that they may.
            self._confirm_at = 0.0
            self._confirm()
        self._engine.flush()
        deadline = time.monotonic() + _STOP_GRACE_SECONDS
        while time.monotonic() < deadline and self._is_any_worker_busy():
            for event in self._engine.events(0.2):
                self._handle(event)
        self._trees.wait_for_uploads(max(0.0, deadline - time.monotonic()))
        self.record_rest()

    def _is_any_worker_busy(self) -> bool:
        return any(worker.holding for member in self._engine.members() for worker in member.workers)

    def _confirm(self) -> None:
        if self._confirm_at is not None and time.monotonic() >= self._confirm_at:
            self._confirm_lock()
            self._confirm_at = None
            self._engine.broadcast(encode(Notice(self._lease_seconds())))
            # Of an earlier run of the job.
            self._tell_of(self._indexer.unindexed())

    def _finished(self) -> bool:
        return self._confirm_at is None and self._nothing_left()

    def _nothing_left(self) -> bool:
        return self._trees.root_tree is not None and self._ledger.queue.unfinished == 0 and self._ledger.frontier.empty

    def _check_stop(self) -> None:
        error = self._scanner.error or self._tree_threads.error
        if error is not None:
            raise error
        if self._observer.stop_requested():
            raise Interrupted("stopped on request", hint="Run the same command again: it goes on where it stopped.")
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise Interrupted(
                "the time of --stop-after is over", hint="Run the same command again: it goes on where it stopped."
            )

    def _patience_seconds(self) -> float:
        if self._confirm_at is not None:
            return max(0.0, min(COMMIT_SECONDS, self._confirm_at - time.monotonic()))
        if self._nothing_left():
            return 0.0
        return COMMIT_SECONDS

    def _revive_scan(self) -> None:
        """A worker found a directory where a file had been: the scan goes on."""
        if self._scanner.done and self._scanner.error is None and not self._ledger.frontier.empty:
            self._scanner.start()

    def _handle(self, event: Event) -> None:
        ledger = self._ledger
        match event:
            case Report(payload=payload):
                report = decode(payload, PackReport)
                self._indexer.record(StoredPack(report.pack_id, report.size_bytes, report.header), "data")
            case TaskTaken(task_id=task, attempt=attempt, member=member, worker=worker):
                ledger.queue.taken(batch_of(task), attempt, member, worker)
                self._handing_out.taken(batch_of(task))
            case TaskProgress(task_id=task, attempt=attempt, payload=payload):
                progress = decode(payload, BatchProgress)
                ledger.queue.progress(batch_of(task), attempt, progress.files, progress.size_bytes)
            case TaskComplete(payload=payload):
                self._crash_point("batch complete, not recorded")
                self._completed(event, decode(payload, BatchResult))
            case TaskFailed():
                self._failed(event)
            case TaskLapsed(task_id=task, attempt=attempt, taken=taken, reason=reason, worker=worker):
                ledger.reports.log(f"worker {worker} was lost with batch {batch_of(task)}: {reason}")
                self._give_back(batch_of(task), attempt, reason, suspect=taken)
            case MemberJoined(member=name):
                self._see_members(name)
            case MemberLeft(member=name, reason=reason):
                ledger.map.member_left(name)
                ledger.reports.log(f"{name} {reason}")
                self._observer.message(f"{name} {reason}")

    def _completed(self, event: TaskComplete, result: BatchResult) -> None:
        """Take a result, unless a member elsewhere missed what is here (R8): then it sees something else."""
        seq, contradiction = batch_of(event.task_id), first_contradiction(result) if result.elsewhere else ""
        if not contradiction:
            batch = self._ledger.queue.find(seq)
            if self._results.apply(seq, event.attempt, event.member, result) and batch is not None:
                self._handing_out.completed(batch, result)
            self._suspects.completed()
            self._misfits.completed(event.member)
            return
        if self._ledger.queue.give_back(seq, event.attempt) is not None:
            self._handing_out.given_back(seq)
        self._expel(event.member, contradiction)

    def _failed(self, event: TaskFailed) -> None:
        seq = batch_of(event.task_id)
        if event.raised:
            reason = event.payload.decode("utf-8", "replace")
            self._give_back(seq, event.attempt, reason, suspect=True)
            if self._misfits.failed(event.member, seq) and self._has_others(event.member):
                self._expel(event.member, f"it fails at one batch after the other: {reason}")
            return
        failure = decode_failure(event.payload)
        if isinstance(failure, WorkerError):
            self._give_back(seq, event.attempt, failure.message, suspect=False)
            if event.member not in self._expelled and not self._has_others(event.member):
                raise failure.as_error()
            self._expel(event.member, failure.message)
            return
        assert isinstance(failure, SourceLost)
        self._source.check()
        self._ledger.reports.log(f"batch {seq} met {failure.reason}; it is tried again")
        batch = self._ledger.queue.give_back(seq, event.attempt, failed=True)
        if batch is None:
            return
        self._handing_out.given_back(seq)
        if batch.failures >= MOST_FAILURES:
            self._ledger.make_lenient(seq)

    def _has_others(self, member: str) -> bool:
        """Whether the job can go on without this member, or does so already."""
        return any(other.name != member for other in self._engine.members())

    def _expel(self, member: str, reason: str) -> None:
        """Go on without a member: it sees, or lacks, what the others do not. The last one's fault is the job's end."""
        if member in self._expelled:
            return
        self._expelled.add(member)
        self._ledger.reports.log(f"{member} was expelled: {reason}")
        self._engine.expel(member, reason)

    def _give_back(self, seq: int, attempt: int, reason: str, *, suspect: bool) -> None:
        batch = self._ledger.queue.give_back(seq, attempt, suspect=suspect)
        if batch is None:
            return
        self._handing_out.given_back(seq)
        if batch.suspicions >= MOST_FAILURES:
            self._source.check()
            self._crash_point("before a batch is split or set aside")
            self._suspects.narrow(batch, reason)

    def _record_tree_packs(self) -> None:
        """Tree packs that upload threads have made durable: record them, and let go of the trees kept for them."""
        stored = self._trees.stored_packs
        while stored:
            self._indexer.record_tree_pack(stored.popleft())

    def _commit(self) -> None:
        """Commit a few times a second, and at once while workers starve for a batch that is only sealed."""
        now = time.monotonic()
        starving = self._engine.wanted() > 0 and self._ledger.queue.waiting > 0
        if now < self._next_commit and not starving:
            return
        if now >= self._next_members:
            self._next_members = now + _MEMBER_SECONDS
            for member in self._engine.members():
                self._ledger.map.member_seen(member.name, len(member.workers))
        self._crash_point("before a commit")
        self._ledger.job.commit()
        self._crash_point("after a commit")
        self._next_commit = time.monotonic() + COMMIT_SECONDS
        news = self._indexer.take_news()
        if self._notice_due or news:
            self._notice_due = False
            self._engine.broadcast(encode(Notice(self._lease_seconds())))
            self._tell_of(news)
        self._handing_out.told()
        if self._indexer.write_due():
            self._ledger.job.commit()

    def _tell_of(self, packs: Sequence[StoredPack]) -> None:
        """Let workers, those included that begin later, store none of these packs' blobs again."""
        ids = b"".join([pack.blob_ids for pack in packs if pack.blob_type == BlobType.DATA])
        if ids:
            self._engine.broadcast(encode(Notice(blob_ids=ids)), keep=True)

    def _see_members(self, name: str) -> None:
        for member in self._engine.members():
            if member.name == name:
                self._ledger.map.member_joined(name, member.host, member.pid, len(member.workers))
