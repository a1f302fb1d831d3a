"""A backup in an open repository: decide what to resume, run, close."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec

from argosy.archiver.ledger import Ledger
from argosy.archiver.messages import encode
from argosy.archiver.parent_trees import ParentTrees
from argosy.archiver.results import Results
from argosy.archiver.source import Source, read_roots
from argosy.archiver.targets import Target, plan_top
from argosy.archiver.trees import TreeBuilder
from argosy.engine.interface import MakeEngine
from argosy.engine.local import worker_count
from argosy.errors import ArgosyError, Interrupted
from argosy.filesystem.metadata import OwnerNames
from argosy.operations.backup.closing import (
    SealedSnapshot,
    keep_history,
    put_snapshot,
    refuse_shrunk_source,
    require_indexes,
    seal_snapshot,
    sealed_before,
)
from argosy.operations.backup.coordinator import Coordinator, CoordinatorOptions
from argosy.operations.backup.gathering import GATHERED, close_results, gather
from argosy.operations.backup.handler import HANDLER
from argosy.operations.backup.indexing import Indexer
from argosy.operations.backup.options import BackupObserver, BackupOptions, BackupResult
from argosy.operations.backup.planning import Plan, Planner, snapshot_paths
from argosy.operations.backup.reopening import Loss, forget_lost, reopen, start_afresh, take_up_packs
from argosy.operations.backup.seeding import Seeder
from argosy.operations.backup.wiring import Wiring
from argosy.operations.session import Session
from argosy.repository.lookup import DedupLookup


class Backup:
    """One run of a job."""

    def __init__(
        self,
        session: Session,
        options: BackupOptions,
        targets: list[Target],
        state_directory: Path,
        observer: BackupObserver,
        refresh_listeners: list[Callable[[], None]],
        make_engine: MakeEngine,
    ) -> None:
        self._session = session
        self._repository = session.repository
        self._options = options
        self._targets = targets
        self._state_directory = state_directory
        self._observer = observer
        self._refresh_listeners = refresh_listeners
        self._make_engine = make_engine
        self._source = Source(read_roots([target.path for target in targets]))
        self._owners = OwnerNames()
        self._excluded = self._snapshot_directories = 0

    def run(self, stack: ExitStack) -> BackupResult:
        plan = Planner(
            self._repository,
            self._options,
            self._targets,
            self._source,
            self._owners,
            self._state_directory,
            self._observer.message,
            stack,
        ).plan()
        self._observer.begun(plan.record.id)
        lookup = self._session.open_lookup(job=plan.record.id)
        wiring = Wiring(self._session, self._options, self._targets, self._source, lookup, self._state_directory)
        loss = self._reopen(plan, lookup, wiring) if plan.resumed else Loss()
        sealed = sealed_before(plan.ledger) if plan.resumed and not (loss.reason or loss.indexes) else None
        if sealed is not None:
            self._observer.message("the snapshot of this job was sealed before; it is put now")
            wiring.confirm_lock()
            put_snapshot(self._repository, sealed, wiring.check_lock, self._options.crash_point)
            return self._close(plan, sealed, sealed.tree)
        tree = self._work(plan, lookup, wiring, loss)
        return self._close(plan, self._finish(plan, lookup, wiring, tree), tree)

    def _reopen(self, plan: Plan, lookup: DedupLookup, wiring: Wiring) -> Loss:
        """Load the job; empty it where its results cannot be used any more as they are."""
        loss = reopen(self._repository, plan.ledger, lookup, shrink_allowed=self._options.allow_shrink)
        if loss.reason:
            # Below a tree that is gone nothing is known of what was done, and more of what stands in the parent.
            gathers = loss.source_stands and not (loss.trees and plan.parent is not None)
            spared = ", but what misses nothing is not read again" if gathers else ""
            self._observer.message(f"{loss.reason}: the job is scanned again from its beginning{spared}")
            forget_lost(plan.job, lookup, loss)
            self._options.crash_point("the loss is noted")
            gathered = self._gather(plan, wiring) if gathers else None
            plan.ledger = start_afresh(plan.job, loss, self._source.roots, self._owners, gathered)
        elif loss.indexes:
            self._observer.message(
                f"{len(loss.indexes)} index files that the job wrote are gone: they are written again"
            )
        return loss

    def _gather(self, plan: Plan, wiring: Wiring) -> bytes | None:
        """Join what the job had done into a tree for its new scan to compare with. If nothing, the one before."""
        ledger = Ledger(plan.job.detached(), self._source.roots, self._owners)
        indexer = wiring.indexer(ledger)
        take_up_packs(ledger, indexer)
        parents = wiring.parent_trees(plan.parent, provable=False)
        close_results(plan.job, parents)
        self._options.crash_point("the results are closed")
        ledger.load()
        root = gather(ledger, wiring.tree_builder(ledger, parents, indexer), indexer)
        self._options.crash_point("what was done is gathered")
        return root or ledger.state.get(GATHERED)

    def _work(self, plan: Plan, lookup: DedupLookup, wiring: Wiring, loss: Loss) -> bytes:
        """Scan, upload, build: the root tree's id, with everything below it in durable packs that indexes name."""
        ledger = plan.ledger
        indexer = wiring.indexer(ledger)
        if plan.resumed:
            take_up_packs(ledger, indexer)
        gathered = ledger.state.get(GATHERED)
        parents = wiring.parent_trees(plan.parent, provable=gathered is None)
        trees = wiring.tree_builder(ledger, parents, indexer)
        indexer.on_looked_up = trees.heard
        results = Results(ledger, trees.keep_sealed)
        if plan.resumed and not loss.reason:
            trees.load()
            results.load()
        else:
            ledger.state.put("relied_indexes", msgspec.msgpack.encode(sorted(lookup.index_ids())))
            base = gathered
            if base is None and plan.parent is not None:
                base = plan.parent.snapshot.tree
            Seeder(ledger, wiring.nodes, parents).seed(plan_top(self._targets), base)
            ledger.state.count(started=1)
            ledger.job.commit()
        ledger.reports.listener = self._observer.unread
        self._options.crash_point("the job's row exists")
        return self._coordinate(plan, wiring, parents, trees, results, indexer)

    def _write_indexes(self, plan: Plan, indexer: Indexer) -> None:
        """Name all packs of the job in indexes, unless the source turns out not to be what it was."""
        refuse_shrunk_source(plan.ledger, plan.parent, allowed=self._options.allow_shrink)
        self._source.check()
        self._options.crash_point("before the indexes")
        indexer.write()
        plan.ledger.job.commit()
        self._options.crash_point("after the indexes")

    def _coordinate(
        self,
        plan: Plan,
        wiring: Wiring,
        parents: ParentTrees,
        trees: TreeBuilder,
        results: Results,
        indexer: Indexer,
    ) -> bytes:
        """From the frontier to the indexes; the workers' end, whatever happens."""
        options, ledger = self._options, plan.ledger
        workers = options.workers or worker_count()
        scanner = wiring.scanner(ledger, parents, workers)
        engine = self._make_engine(workers, options.host or "local")
        if plan.parent is None:
            # Everything is new: all will be needed.
            engine.prepare(HANDLER, workers)
        engine.start(encode(wiring.worker_setup(plan.record.id, workers)), HANDLER)
        coordinator = Coordinator(
            ledger,
            self._source,
            engine,
            scanner,
            trees,
            results,
            indexer,
            self._observer,
            wiring.confirm_lock,
            wiring.lease_seconds,
            CoordinatorOptions(workers, options.queue_after_scan, options.stop_after_seconds, options.crash_point),
        )
        self._refresh_listeners.append(coordinator.lease_refreshed)
        try:
            tree = coordinator.run()
            trees.send()
            # To end takes a process that has read much as long as to write an index.
            with ThreadPoolExecutor(1, "end-workers") as beside:
                ending = beside.submit(coordinator.end_workers)
                trees.flush()
                coordinator.record_rest()
                self._write_indexes(plan, indexer)
                ending.result()
        except Interrupted as error:
            ledger.reports.log(error.message)
            with suppress(ArgosyError):
                coordinator.stop_cleanly()
            raise
        except ArgosyError as error:
            ledger.reports.log(f"failed: {error.message}")
            raise
        finally:
            self._refresh_listeners.clear()
            engine.cancel()
            with suppress(ArgosyError):
                # What was recorded since the last commit need not be done again.
                ledger.job.commit()
        self._excluded, self._snapshot_directories = scanner.left_out
        return tree

    def _finish(self, plan: Plan, lookup: DedupLookup, wiring: Wiring, tree: bytes) -> SealedSnapshot | None:
        """The last proofs and the snapshot. None where no snapshot is to be written."""
        options, repository, ledger = self._options, self._repository, plan.ledger
        unchanged = plan.parent is not None and plan.parent.snapshot.tree == tree
        if options.dry_run or (options.skip_if_unchanged and unchanged):
            return None
        require_indexes(repository, ledger)
        lookup.mark_proved(tree)
        paths = snapshot_paths(options, self._targets)
        sealed = seal_snapshot(repository, ledger, plan.record, options, paths, tree, plan.parent)
        options.crash_point("the snapshot is sealed")
        put_snapshot(repository, sealed, wiring.check_lock, options.crash_point)
        return sealed

    def _close(self, plan: Plan, sealed: SealedSnapshot | None, tree: bytes) -> BackupResult:
        ledger, record = plan.ledger, plan.record
        ledger.job.commit()
        counters = dict(ledger.state.counters)
        unread = counters.get("unread", 0)
        if not self._options.dry_run:
            outcome = "incomplete" if unread else "done"
            snapshot = b"" if sealed is None else sealed.id
            keep_history(self._state_directory, ledger, record, outcome, "", snapshot)
        self._options.crash_point("the history has the job")
        plan.job.delete()
        return BackupResult(
            snapshot_id=None if sealed is None else sealed.id,
            tree_id=tree,
            parent=None if plan.parent is None else plan.parent.id,
            job_id=record.id,
            counters=counters,
            unread=unread,
            started_ns=record.started_ns,
            ended_ns=time.time_ns(),
            resumed=plan.resumed,
            excluded=self._excluded,
            snapshot_directories=self._snapshot_directories,
        )
