"""Builds the parts of a running backup from its options: scanner, workers' setup, parent's trees, tree builder."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from argosy.archiver.ledger import Ledger
from argosy.archiver.messages import PROTOCOL, WorkerOptions, WorkerSetup
from argosy.archiver.nodes import NodeEncoder
from argosy.archiver.open_batch import BatchLimits
from argosy.archiver.parent import CompareOptions
from argosy.archiver.parent_trees import ParentTrees
from argosy.archiver.quick_listing import quick_listings
from argosy.archiver.scan import Scanner
from argosy.archiver.scan_context import ScanContext
from argosy.archiver.source import Source
from argosy.archiver.targets import Target
from argosy.archiver.trees import TreeBuilder
from argosy.filesystem.mounts import is_network_filesystem
from argosy.operations.backup.indexing import Indexer
from argosy.operations.backup.options import BackupOptions
from argosy.operations.session import Session
from argosy.repository.encoder import BlobEncoder
from argosy.repository.large_blob import store_large_blob
from argosy.repository.lookup import DedupLookup
from argosy.repository.packer import Packer, StoredPack
from argosy.repository.snapshots import StoredSnapshot
from argosy.restic_format.blob import BlobType
from argosy.restic_format.config import encode_config

UPLOAD_THREADS = 2
MOST_SCAN_THREADS = 64

_WITHOUT_LOCK_SECONDS = 1e9

NETWORK_READ_CONCURRENCY = 16
# Measured on tmpfs with small files: 61 µs of processor time a file one by one, 88 µs with two threads; the workers
# already read side by side.
LOCAL_READ_CONCURRENCY = 1


class Wiring:
    """What the parts of one run share."""

    def __init__(
        self,
        session: Session,
        options: BackupOptions,
        targets: list[Target],
        source: Source,
        lookup: DedupLookup,
        spill_directory: Path,
    ) -> None:
        self._session = session
        self._repository = session.repository
        self._options = options
        self._targets = targets
        self._source = source
        self._lookup = lookup
        self._spill_directory = spill_directory
        self._confirming = threading.Lock()
        self._confirmed = False
        self.nodes = NodeEncoder(with_atime=options.with_atime, device_id_always=options.device_id_always)

    def confirm_lock(self) -> None:
        """Make the lock count; RepositoryLocked if another one conflicts after all. Nothing is written before.

        Called by whichever thread comes first: the coordinator once the wait is over, or one that has to write earlier
        (a resumed job may have packs of trees ready at once).
        """
        lock = self._session.lock
        with self._confirming:
            if lock is not None and not self._confirmed:
                lock.confirm()
                self._confirmed = True

    def check_lock(self) -> None:
        """LeaseLost unless writing is allowed."""
        if self._session.lock is not None:
            if not self._confirmed:
                self.confirm_lock()
            self._session.lock.check()

    def lease_seconds(self) -> float:
        """For how long a worker may write from now on; without a lock, as long as it likes."""
        return _WITHOUT_LOCK_SECONDS if self._session.lock is None else self._session.lock.lease_remaining_seconds()

    def indexer(self, ledger: Ledger) -> Indexer:
        """A dry run stores no packs, so the lookup must not hear of any."""
        lookup = None if self._options.dry_run else self._lookup
        return Indexer(self._repository, ledger, lookup, self.check_lock)

    def parent_trees(self, parent: StoredSnapshot | None, *, provable: bool = True) -> ParentTrees:
        """The parent snapshot's trees; without a parent nothing is ever asked of them.

        Not ``provable``: others are among them, of which nothing is known.
        """
        blobs, lookup = self._session.blob_reader(self._lookup), self._lookup
        proved = provable and parent is not None and lookup.proved(parent.snapshot.tree)
        return ParentTrees(blobs, lookup.contains_many, proved=proved)

    def scanner(self, ledger: Ledger, parents: ParentTrees, workers: int) -> Scanner:
        """The scan with its threads."""
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
            self.nodes,
            parents,
            compare,
            self._spill_directory,
            options.rules,
            self._shown_as(),
            devices,
            new_quick_listing=quick_listings(parents, compare, options.rules, self.nodes, ledger.owners),
        )
        return Scanner(
            context,
            BatchLimits(options.batch_files, options.batch_bytes),
            threads=options.scan_threads,
            most_threads=MOST_SCAN_THREADS,
            workers=workers,
        )

    def worker_setup(self, job_id: str, workers: int) -> WorkerSetup:
        """What each of so many workers is told first; they share the limits on upload and download."""
        options, repository = self._options, self._repository
        concurrency = options.read_concurrency
        if concurrency is None:
            network = any(is_network_filesystem(target.path) for target in self._targets)
            concurrency = NETWORK_READ_CONCURRENCY if network else LOCAL_READ_CONCURRENCY
        return WorkerSetup(
            protocol=PROTOCOL,
            job_id=job_id,
            location=self._session.access.location,
            storage_options=self._session.access.storage_options.shared_by(workers),
            master_key=repository.key.material,
            repository_config=encode_config(repository.config),
            lookup_path=str(self._lookup.path),
            options=WorkerOptions(
                compression=options.compression,
                verify=options.verify,
                pack_size_bytes=options.pack_size_bytes,
                upload_threads=UPLOAD_THREADS,
                read_concurrency=concurrency,
                with_atime=options.with_atime,
                device_id_always=options.device_id_always,
                allow_slow_chunker=options.allow_slow_chunker,
                dry_run=options.dry_run,
            ),
        )

    def tree_builder(self, ledger: Ledger, parents: ParentTrees, indexer: Indexer) -> TreeBuilder:
        """What joins results into trees and packs them."""
        options, repository, lookup = self._options, self._repository, self._lookup

        def store_large(pieces: Iterator[bytes], total: int, *, directory: Path) -> StoredPack:
            return store_large_blob(
                repository.storage,
                repository.key,
                BlobType.TREE,
                pieces,
                total,
                directory=directory,
                lease=self.check_lock,
            )

        def make_packer(on_stored: Callable[[StoredPack], None]) -> Packer:
            return Packer(
                repository.storage,
                repository.key,
                BlobType.TREE,
                lease=self.check_lock,
                on_stored=on_stored,
                pack_size_bytes=options.pack_size_bytes,
                upload_threads=UPLOAD_THREADS,
                verify=options.verify,
                # In the upload's thread: trees are built in one, which everything waits for in the end.
                verify_blobs=options.verify,
            )

        return TreeBuilder(
            ledger,
            parents,
            lambda: BlobEncoder(repository.key, options.compression, verify=False),
            make_packer,
            lambda identity: lookup.contains(identity, BlobType.TREE),
            store_large,
            indexer.record_tree_pack,
            self._spill_directory,
        )

    def _shown_as(self) -> Callable[[bytes], bytes] | None:
        shown = self._options.shown_as
        if shown is None:
            return None
        root, place = self._targets[0].path, os.path.normpath(shown)
        return lambda path: place + path[len(root) :]
