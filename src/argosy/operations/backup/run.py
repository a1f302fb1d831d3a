"""A backup from its options to its snapshot: open, decide what to resume, run, close."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from argosy.archiver.directory_scan import ScanContext
from argosy.archiver.ledger import Ledger
from argosy.archiver.messages import PROTOCOL, WorkerOptions, WorkerSetup, encode
from argosy.archiver.nodes import NodeEncoder
from argosy.archiver.open_batch import BatchLimits
from argosy.archiver.parent import CompareOptions
from argosy.archiver.parent_trees import ParentTrees
from argosy.archiver.pipeline import worker_count
from argosy.archiver.results import Results
from argosy.archiver.scan import Scanner
from argosy.archiver.source import Source, read_roots
from argosy.archiver.targets import Target, plan_top, resolve_targets
from argosy.archiver.trees import TreeBuilder
from argosy.engine.local import LocalEngine
from argosy.errors import ArgosyError, Interrupted, SourceShrunk
from argosy.filesystem.metadata import OwnerNames
from argosy.filesystem.mounts import is_network_filesystem
from argosy.operations.backup.closing import (
    SealedSnapshot,
    put_snapshot,
    refuse_shrunk_source,
    require_indexes,
    seal_snapshot,
    sealed_before,
)
from argosy.operations.backup.coordinator import Coordinator, CoordinatorOptions
from argosy.operations.backup.indexing import Indexer
from argosy.operations.backup.options import BackupObserver, BackupOptions, BackupResult, JobSpec
from argosy.operations.backup.reopening import reopen, start_afresh
from argosy.operations.backup.resume import decide_resume
from argosy.operations.backup.seeding import Seeder
from argosy.operations.jobs import (
    find_jobs,
    job_path,
    new_job_id,
    open_history,
    open_job,
    prepare_state_directory,
)
from argosy.operations.session import Access, Session, open_session
from argosy.repository.encoder import BlobEncoder
from argosy.repository.large_blob import store_large_blob
from argosy.repository.lookup import DedupLookup
from argosy.repository.packer import Packer, StoredPack
from argosy.repository.repository import Repository
from argosy.repository.snapshots import StoredSnapshot, find_parent, load_snapshots, resolve_snapshot
from argosy.restic_format.blob import BlobType
from argosy.restic_format.config import encode_config
from argosy.state.history import JobHistory
from argosy.state.job_database import JobDatabase
from argosy.state.record import JobRecord
from argosy.storage.interface import Storage

_UPLOAD_THREADS = 2
_MOST_SCAN_THREADS = 64
_NETWORK_READ_CONCURRENCY = 16

CreateRepository = Callable[[Storage], Repository]


def run_backup(
    access: Access,
    options: BackupOptions,
    state_directory: Path,
    observer: BackupObserver,
    *,
    create: CreateRepository | None = None,
) -> BackupResult:
    """Back up ``options.paths``; ``create`` makes the repository instead of opening one.

    Raises ArgosyError; Interrupted means that the job can be resumed by the same call.
    """
    targets = resolve_targets(options.paths, options.working_directory, shown_as=options.shown_as)
    _refuse_empty_roots(targets, allowed=options.allow_shrink)
    with ExitStack() as stack:
        if options.dry_run:
            temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="argosy-dry-run-"))
            state_directory = Path(temporary)
        prepare_state_directory(state_directory)
        refreshed: list[Callable[[], None]] = []
        session = stack.enter_context(
            open_session(
                access,
                create=create,
                confirm=False,
                discard_writes=options.dry_run,
                on_refresh=lambda _seconds: _tell(refreshed),
            )
        )
        return _Backup(session, options, targets, state_directory, observer, stack, refreshed).run()


@dataclass(slots=True)
class _Plan:
    """A job that is about to run."""

    job: JobDatabase
    record: JobRecord
    ledger: Ledger
    parent: StoredSnapshot | None
    resumed: bool
    tree: bytes = b""
    excluded: int = 0
    snapshot_directories: int = 0


class _Backup:
    """One run of a job."""

    def __init__(
        self,
        session: Session,
        options: BackupOptions,
        targets: list[Target],
        state_directory: Path,
        observer: BackupObserver,
        stack: ExitStack,
        refreshed: list[Callable[[], None]],
    ) -> None:
        self._session = session
        self._repository = session.repository
        self._options = options
        self._targets = targets
        self._state_directory = state_directory
        self._observer = observer
        self._stack = stack
        self._refreshed = refreshed
        self._source = Source(read_roots([target.path for target in targets]))
        self._owners = OwnerNames()
        self._nodes = NodeEncoder(with_atime=options.with_atime, device_id_always=options.device_id_always)

    def run(self) -> BackupResult:
        plan = self._plan()
        lookup = self._session.open_lookup(job=plan.record.id)
        if self._session.lock is not None:
            self._session.lock.confirm()
        sealed = sealed_before(plan.ledger) if plan.resumed else None
        if sealed is None:
            sealed = self._work(plan, lookup)
        elif plan.resumed:
            self._observer.message("the snapshot of this job was sealed before; it is put now")
            put_snapshot(self._repository, sealed, self._check_lock, self._options.crash_point)
        return self._close(plan, sealed)

    def _check_lock(self) -> None:
        if self._session.lock is not None:
            self._session.lock.check()

    # -- deciding ---------------------------------------------------------------------------------------------

    def _plan(self) -> _Plan:
        spec = self._spec()
        decision = decide_resume(
            find_jobs(self._state_directory),
            self._repository.id,
            spec,
            now=time.time(),
            within_seconds=self._options.resume_within_seconds,
            allowed=self._options.resume,
        )
        for job, reason in decision.close:
            self._observer.message(f"job {job.record.id} was unfinished and is closed: {reason}")
            self._close_unfinished(job.path, reason)
        if decision.resume is not None:
            return self._resume(decision.resume.path)
        return self._begin(spec)

    def _spec(self) -> JobSpec:
        options = self._options
        return JobSpec(
            targets=[(target.path, list(target.components)) for target in self._targets],
            host=options.host,
            tags=list(options.tags),
            parent=options.parent or "",
            force=options.force,
            content_key=list(options.content_key),
            ignore_inode=options.ignore_inode,
            ignore_ctime=options.ignore_ctime,
            with_atime=options.with_atime,
            device_id_always=options.device_id_always,
            one_file_system=options.one_file_system,
            time_ns=options.time_ns,
        )

    def _begin(self, spec: JobSpec) -> _Plan:
        parent = self._find_parent()
        job_id = new_job_id()
        record = JobRecord(
            id=job_id,
            kind="backup",
            repository_id=self._repository.id,
            location=self._repository.storage.location,
            started_ns=time.time_ns(),
            spec=msgspec.msgpack.encode(spec),
            parent="" if parent is None else parent.id.hex(),
        )
        job = self._open_job(job_path(self._state_directory, job_id))
        ledger = Ledger(job, self._source.roots, self._owners)
        ledger.state.put("roots", msgspec.msgpack.encode(self._source.roots))
        ledger.state.create(record)
        return _Plan(job, record, ledger, parent, resumed=False)

    def _resume(self, path: Path) -> _Plan:
        job = self._open_job(path)
        ledger = Ledger(job, self._source.roots, self._owners)
        record = ledger.state.record()
        assert record is not None
        started = time.strftime("%a %H:%M", time.localtime(record.started_ns / 1e9))
        self._observer.message(f"resumed job of {started} ({record.id})")
        ledger.reports.log("resumed")
        parent = None
        if record.parent:
            parent = next((s for s in load_snapshots(self._repository) if s.id.hex() == record.parent), None)
        return _Plan(job, record, ledger, parent, resumed=True)

    def _open_job(self, path: Path) -> JobDatabase:
        job = open_job(path)
        self._stack.callback(job.close)
        return job

    def _find_parent(self) -> StoredSnapshot | None:
        options = self._options
        if options.force:
            return None
        if options.parent is not None:
            return resolve_snapshot(self._repository, options.parent)[0]
        before = options.time_ns if options.time_ns is not None else time.time_ns()
        return find_parent(
            load_snapshots(self._repository, on_damaged=lambda _id, error: self._observer.message(error.message)),
            host=options.host,
            paths=self._paths(),
            before_ns=before,
        )

    def _paths(self) -> list[str]:
        shown = self._options.shown_as
        paths = [target.path if shown is None else os.path.normpath(shown) for target in self._targets]
        if len(self._options.paths) == 1 and shown is None:
            paths = [self._targets[0].path]
        return sorted(path.decode("utf-8", "surrogateescape") for path in paths)

    def _close_unfinished(self, path: Path, reason: str) -> None:
        job = open_job(path)
        try:
            ledger = Ledger(job, [], self._owners)
            record = ledger.state.record()
            assert record is not None
            ledger.state.load_counters()
            self._keep_history(ledger, record, "closed", reason, b"")
        finally:
            job.close()
        job.delete()

    # -- running ----------------------------------------------------------------------------------------------

    def _work(self, plan: _Plan, lookup: DedupLookup) -> SealedSnapshot | None:
        options, ledger, repository = self._options, plan.ledger, self._repository
        parents = self._parent_trees(plan.parent, lookup)
        indexer = Indexer(repository, ledger, None if options.dry_run else lookup, self._check_lock)
        trees = self._tree_builder(ledger, parents, lookup, indexer)
        results = Results(ledger, trees.keep_sealed)
        base = None if plan.parent is None else plan.parent.snapshot.tree
        afresh = False
        if plan.resumed:
            missing = reopen(repository, ledger, lookup, indexer)
            if missing:
                self._observer.message(f"{missing}: the job is scanned again from its beginning")
                ledger = start_afresh(plan.job, missing, self._source.roots, self._owners)
                indexer = Indexer(repository, ledger, None if options.dry_run else lookup, self._check_lock)
                trees = self._tree_builder(ledger, parents, lookup, indexer)
                results = Results(ledger, trees.keep_sealed)
                afresh = True
            else:
                trees.load()
                results.load()
        if not plan.resumed or afresh:
            relied = sorted(lookup.index_ids())
            ledger.state.put("relied_indexes", msgspec.msgpack.encode(relied))
            Seeder(ledger, self._nodes, parents).seed(plan_top(self._targets), base)
            ledger.state.count(started=1)
            ledger.job.commit()
        ledger.reports.listener = self._observer.unread
        options.crash_point("the job's row exists")
        tree = self._coordinate(ledger, trees, results, indexer, parents, lookup, plan.record.id)
        return self._finish(plan, ledger, lookup, tree, indexer)

    def _coordinate(
        self,
        ledger: Ledger,
        trees: TreeBuilder,
        results: Results,
        indexer: Indexer,
        parents: ParentTrees,
        lookup: DedupLookup,
        job_id: str,
    ) -> bytes:
        options = self._options
        workers = options.workers or worker_count()
        scanner = self._scanner(ledger, parents, workers)
        engine = LocalEngine(workers, name=options.host or "local")
        engine.start(encode(self._setup(lookup, job_id)), "argosy.archiver.pipeline:backup_worker")
        coordinator = Coordinator(
            ledger,
            self._source,
            engine,
            scanner,
            trees,
            results,
            indexer,
            self._observer,
            self._lease_seconds,
            CoordinatorOptions(options.queue_after_scan, options.stop_after_seconds, options.crash_point),
        )
        self._refreshed.append(coordinator.lease_refreshed)
        try:
            tree = coordinator.run()
            engine.close()
            trees.flush()
            coordinator.record_rest()
            return tree
        except Interrupted:
            with suppress(ArgosyError):
                coordinator.stop_cleanly()
            raise
        finally:
            self._refreshed.clear()
            engine.cancel()
            with suppress(ArgosyError):
                # What was recorded since the last commit need not be done again.
                ledger.job.commit()

    def _lease_seconds(self) -> float:
        return 1e9 if self._session.lock is None else self._session.lock.lease_remaining_seconds()

    def _scanner(self, ledger: Ledger, parents: ParentTrees, workers: int) -> Scanner:
        options = self._options
        compare = CompareOptions(
            ignore_inode=options.ignore_inode,
            ignore_ctime=options.ignore_ctime,
            prefix_may_stand=not options.ignore_ctime and not options.with_atime,
        )
        devices = None
        if options.one_file_system:
            devices = frozenset(os.lstat(target.path).st_dev for target in self._targets)
        context = ScanContext(
            ledger,
            self._source,
            self._nodes,
            parents,
            compare,
            self._state_directory,
            options.rules,
            self._shown_as(),
            devices,
        )
        return Scanner(
            context,
            BatchLimits(options.batch_files, options.batch_bytes),
            threads=options.scan_threads,
            most_threads=_MOST_SCAN_THREADS,
            workers=workers,
        )

    def _shown_as(self) -> Callable[[bytes], bytes] | None:
        shown = self._options.shown_as
        if shown is None:
            return None
        root, place = self._targets[0].path, os.path.normpath(shown)
        return lambda path: place + path[len(root) :]

    def _setup(self, lookup: DedupLookup, job_id: str) -> WorkerSetup:
        options, repository = self._options, self._repository
        concurrency = options.read_concurrency
        if concurrency is None:
            network = any(is_network_filesystem(target.path) for target in self._targets)
            concurrency = _NETWORK_READ_CONCURRENCY if network else 1
        return WorkerSetup(
            protocol=PROTOCOL,
            job_id=job_id,
            location=self._session.access.location,
            storage_options=self._session.access.storage_options,
            master_key=repository.key.encrypt + repository.key.mac_k + repository.key.mac_r,
            repository_config=encode_config(repository.config),
            lookup_path=str(lookup.path),
            lease_seconds=self._lease_seconds(),
            options=WorkerOptions(
                compression=options.compression,
                verify=options.verify,
                pack_size_bytes=options.pack_size_bytes,
                upload_threads=_UPLOAD_THREADS,
                read_concurrency=concurrency,
                with_atime=options.with_atime,
                device_id_always=options.device_id_always,
                allow_slow_chunker=options.allow_slow_chunker,
                dry_run=options.dry_run,
            ),
        )

    def _parent_trees(self, parent: StoredSnapshot | None, lookup: DedupLookup) -> ParentTrees:
        blobs = self._session.blob_reader(lookup)
        proved = parent is not None and lookup.proved(parent.snapshot.tree)
        return ParentTrees(lambda tree_id: blobs.load_blob(tree_id, BlobType.TREE), lookup.contains_many, proved=proved)

    def _tree_builder(self, ledger: Ledger, parents: ParentTrees, lookup: DedupLookup, indexer: Indexer) -> TreeBuilder:
        options, repository = self._options, self._repository

        def store_large(pieces: Iterator[bytes], total: int, *, directory: Path) -> StoredPack:
            return store_large_blob(
                repository.storage,
                repository.key,
                BlobType.TREE,
                pieces,
                total,
                directory=directory,
                lease=self._check_lock,
            )

        return TreeBuilder(
            ledger,
            parents,
            BlobEncoder(repository.key, options.compression, verify=options.verify),
            lambda on_stored: Packer(
                repository.storage,
                repository.key,
                BlobType.TREE,
                lease=self._check_lock,
                on_stored=on_stored,
                pack_size_bytes=options.pack_size_bytes,
                upload_threads=_UPLOAD_THREADS,
                verify=options.verify,
            ),
            lambda identity: lookup.contains(identity, BlobType.TREE),
            store_large,
            indexer.record_tree_pack,
            self._state_directory,
        )

    # -- closing ----------------------------------------------------------------------------------------------

    def _finish(
        self, plan: _Plan, ledger: Ledger, lookup: DedupLookup, tree: bytes, indexer: Indexer
    ) -> SealedSnapshot | None:
        """Indexes, proofs, the snapshot. None where no snapshot is to be written."""
        options, repository = self._options, self._repository
        refuse_shrunk_source(ledger.state.counters, plan.parent, allowed=options.allow_shrink)
        self._source.check()
        options.crash_point("before the indexes")
        indexer.write()
        ledger.job.commit()
        options.crash_point("after the indexes")
        plan.ledger = ledger
        unchanged = plan.parent is not None and plan.parent.snapshot.tree == tree
        plan.tree = tree
        if options.dry_run or (options.skip_if_unchanged and unchanged):
            return None
        relied = ledger.state.get("relied_indexes")
        require_indexes(repository, set() if relied is None else set(msgspec.msgpack.decode(relied, type=list[bytes])))
        lookup.mark_proved(tree)
        sealed = seal_snapshot(repository, ledger, plan.record, options, self._paths(), tree, plan.parent)
        options.crash_point("the snapshot is sealed")
        put_snapshot(repository, sealed, self._check_lock, options.crash_point)
        return sealed

    def _close(self, plan: _Plan, sealed: SealedSnapshot | None) -> BackupResult:
        ledger, record = plan.ledger, plan.record
        counters = dict(ledger.state.counters)
        ledger.job.commit()
        unread = counters.get("unread", 0)
        if not self._options.dry_run:
            outcome = "incomplete" if unread else "done"
            self._keep_history(ledger, record, outcome, "", b"" if sealed is None else sealed.id)
        self._options.crash_point("the history has the job")
        plan.job.delete()
        return BackupResult(
            snapshot_id=None if sealed is None else sealed.id,
            tree_id=plan.tree if sealed is None else sealed.tree,
            parent=None if plan.parent is None else plan.parent.id,
            job_id=record.id,
            counters=counters,
            unread=unread,
            started_ns=record.started_ns,
            ended_ns=time.time_ns(),
            resumed=plan.resumed,
            excluded=plan.excluded,
            snapshot_directories=plan.snapshot_directories,
        )

    def _keep_history(self, ledger: Ledger, record: JobRecord, outcome: str, message: str, snapshot: bytes) -> None:
        spec = msgspec.msgpack.decode(record.spec, type=JobSpec)
        unread = [
            (os.fsdecode(path).encode("utf-8", "replace").decode(), why)
            for path, why in ledger.reports.unread_entries()
        ]
        open_history(self._state_directory).add(
            JobHistory(
                id=record.id,
                kind=record.kind,
                location=record.location,
                paths=[path.decode("utf-8", "replace") for path, _ in spec.targets],
                started=record.started_ns / 1e9,
                ended=time.time(),
                outcome=outcome,
                snapshot=snapshot.hex(),
                message=message,
                counters=dict(ledger.state.counters),
                unread=unread,
                log=ledger.reports.log_entries(),
            )
        )


def _tell(listeners: list[Callable[[], None]]) -> None:
    for listener in listeners:
        listener()


def _refuse_empty_roots(targets: list[Target], *, allowed: bool) -> None:
    """An empty directory is what a share looks like that is not mounted (R8)."""
    for target in targets:
        with suppress(NotADirectoryError, PermissionError, FileNotFoundError), os.scandir(target.path) as listing:
            if next(listing, None) is None and not allowed:
                raise SourceShrunk(
                    f"the source {os.fsdecode(target.path)} is empty",
                    hint="If the share is not mounted, mount it. If it is really empty, add --allow-shrink.",
                )
