"""A backup of one stream: what comes through standard input, or what a command prints, as one file of a snapshot.

It cannot be resumed, since what was read is gone: there is no job file, and this process does all the work. Indexes are
written as it goes and also when it fails, so that the next run finds by deduplication what was stored.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import msgspec

from argosy.archiver.placing import BlobPlacer
from argosy.archiver.streams import place_stream, stream_directory_node, stream_file_node
from argosy.errors import ArgosyError, SourceShrunk, UsageError
from argosy.filesystem.streams import CommandStream, PipeStream, Stream
from argosy.operations.backup.closing import make_snapshot, refuse_lost_indexes
from argosy.operations.backup.indexing import IndexQueue
from argosy.operations.backup.options import BackupObserver, BackupOptions, BackupProgress, BackupResult
from argosy.operations.jobs import add_to_history, new_job_id, prepare_state_directory
from argosy.operations.session import Access, Session, open_session
from argosy.repository.encoder import BlobEncoder
from argosy.repository.layout import FileKind
from argosy.repository.packer import Packer, StoredPack
from argosy.repository.repository import Repository
from argosy.repository.snapshots import StoredSnapshot, find_parent, load_snapshots, resolve_snapshot
from argosy.restic_format.blob import BlobType, blob_id
from argosy.restic_format.chunker import Chunker
from argosy.restic_format.snapshot import encode_snapshot
from argosy.restic_format.tree import encode_tree
from argosy.state.history import JobHistory
from argosy.storage.interface import Storage

_UPLOAD_THREADS = 2


class StreamOptions(msgspec.Struct, frozen=True):
    """``file_name`` is the file's place in the snapshot. Without a ``command`` it is ``fd`` that is read."""

    file_name: bytes
    command: tuple[str, ...] = ()
    fd: int = 0

    def components(self) -> list[bytes]:
        """The names on the way to the file; UsageError if there is none."""
        names = [name for name in os.path.normpath(b"/" + self.file_name).split(b"/") if name]
        if not names:
            raise UsageError("the name for what is read is empty", hint="Give one with --stdin-filename.")
        return names

    def open(self, observer: BackupObserver) -> Stream:
        """The stream; SourceError if the command cannot be started."""
        if self.command:
            return CommandStream(self.command, observer.stop_requested, observer.message)
        return PipeStream(self.fd, observer.stop_requested)


def run_stream_backup(
    access: Access,
    options: BackupOptions,
    source: StreamOptions,
    state_directory: Path,
    observer: BackupObserver,
    *,
    create: Callable[[Storage], Repository] | None = None,
) -> BackupResult:
    """Back up a stream. Raises ArgosyError; a command that ends with another code than 0 makes no snapshot."""
    names = source.components()
    if not options.dry_run:
        prepare_state_directory(state_directory)
    with ExitStack() as stack:
        session = stack.enter_context(open_session(access, create=create, discard_writes=options.dry_run))
        backup = _StreamBackup(session, options, names, observer)
        try:
            with closing(source.open(observer)) as stream:
                result = backup.run(stream, parent=_parent(session.repository, options, source, names))
        except (ArgosyError, KeyboardInterrupt) as error:
            with suppress(ArgosyError):
                backup.keep_what_is_stored()
            backup.note(state_directory, "failed", str(error) or "interrupted")
            raise
        backup.note(state_directory, "done", "", result.snapshot_id or b"")
        return result


def _parent(
    repository: Repository, options: BackupOptions, source: StreamOptions, names: list[bytes]
) -> StoredSnapshot | None:
    """The snapshot that --skip-if-unchanged compares with. As in restic, standard input has none unless named."""
    if options.force:
        return None
    if options.parent is not None:
        return resolve_snapshot(repository, options.parent)[0]
    if not source.command:
        return None
    before_ns = time.time_ns() if options.time_ns is None else options.time_ns
    return find_parent(load_snapshots(repository), host=options.host, paths=_paths(names), before_ns=before_ns)


def _paths(names: list[bytes]) -> list[str]:
    return ["/" + b"/".join(names).decode("utf-8", "replace")]


class _StreamBackup:
    """One run, in one thread and those of its uploads."""

    def __init__(self, session: Session, options: BackupOptions, names: list[bytes], observer: BackupObserver) -> None:
        self._repository = session.repository
        self._options = options
        self._names = names
        self._observer = observer
        self._job_id = new_job_id()
        self._started_ns = time.time_ns()
        self._lookup = session.open_lookup(job=self._job_id)
        self._relied = self._lookup.index_ids()
        self._lock = session.lock
        lookup = None if options.dry_run else self._lookup
        self._indexes = IndexQueue(self._repository, lookup, self._check_lock)
        self._stored: deque[StoredPack] = deque()
        self._stored_bytes = 0
        self._encoder = BlobEncoder(self._repository.key, options.compression, verify=options.verify)
        self._data, self._trees = self._packer(BlobType.DATA), self._packer(BlobType.TREE)
        self._placer = BlobPlacer(self._encoder, self._data, self._lookup.contains_many)
        self.counters: dict[str, int] = {}

    def run(self, stream: Stream, *, parent: StoredSnapshot | None) -> BackupResult:
        """Read to the end, then store the tree, the indexes and the snapshot, in this order (R1)."""
        chunker = Chunker(self._repository.config.chunker_polynomial, allow_slow=self._options.allow_slow_chunker)
        content, length = place_stream(stream, chunker, self._placer.place, self._look)
        if not length and not self._options.allow_shrink:
            raise SourceShrunk(
                "nothing came to be saved: no snapshot was made",
                hint="If an empty file is right, add --allow-shrink.",
            )
        self._count(length)
        tree = self._build_trees(content, length)
        self._data.flush()
        self._trees.flush()
        self._record()
        self._indexes.write()
        skipped = self._options.skip_if_unchanged and parent is not None and parent.snapshot.tree == tree
        snapshot = None if skipped or self._options.dry_run else self._put_snapshot(tree, parent)
        return BackupResult(
            snapshot_id=snapshot,
            tree_id=tree,
            parent=None if parent is None else parent.id,
            job_id=self._job_id,
            counters=self.counters,
            unread=0,
            started_ns=self._started_ns,
            ended_ns=time.time_ns(),
            resumed=False,
        )

    def keep_what_is_stored(self) -> None:
        """After a failure: let indexes name what was stored, and store no more."""
        self._data.flush()
        self._record()
        self._indexes.write()

    def note(self, state_directory: Path, outcome: str, message: str, snapshot: bytes = b"") -> None:
        """Put the job into the history, unless this was a dry run."""
        if self._options.dry_run:
            return
        add_to_history(
            state_directory,
            JobHistory(
                id=self._job_id,
                kind="backup",
                location=self._repository.storage.location,
                paths=_paths(self._names),
                started=self._started_ns / 1e9,
                ended=time.time(),
                outcome=outcome,
                snapshot=snapshot.hex(),
                message=message,
                counters=self.counters,
            ),
        )

    def _check_lock(self) -> None:
        if self._lock is not None:
            self._lock.check()

    def _packer(self, kind: BlobType) -> Packer:
        options = self._options
        return Packer(
            self._repository.storage,
            self._repository.key,
            kind,
            lease=self._check_lock,
            on_stored=self._stored.append,
            pack_size_bytes=options.pack_size_bytes,
            upload_threads=_UPLOAD_THREADS,
            verify=options.verify,
        )

    def _look(self, length: int) -> None:
        """Between two buffers: write indexes that are due, and show how far it has come."""
        self._record()
        self._indexes.write_due()
        self._observer.progress(
            BackupProgress(
                files_done=0,
                bytes_done=length,
                files_unmodified=0,
                entries_scanned=1,
                scan_done=False,
                scan_threads=0,
                queue_batches=0,
                queue_bytes=0,
                packed_bytes=self._stored_bytes,
                unread=0,
                members=[],
                current=[],
            )
        )

    def _record(self) -> None:
        while self._stored:
            pack = self._stored.popleft()
            self._stored_bytes += pack.size_bytes
            self._indexes.recorded(pack)
        self._indexes.tell_lookup()

    def _build_trees(self, content: list[bytes], length: int) -> bytes:
        """The tree of each directory on the way to the file, from below; the root's id."""
        options = self._options
        time_ns = self._started_ns if options.time_ns is None else options.time_ns
        *above, name = self._names
        tree_id = self._store_tree(stream_file_node(name, time_ns, content, length))
        for directory in reversed(above):
            tree_id = self._store_tree(stream_directory_node(directory, time_ns, tree_id))
        return tree_id

    def _store_tree(self, node: bytes) -> bytes:
        tree = encode_tree([node])
        tree_id = blob_id(tree)
        if not self._lookup.contains(tree_id, BlobType.TREE):
            blob = self._encoder.encode(BlobType.TREE, tree_id, tree)
            self._trees.add(blob)
            self._add("tree_blobs", 1)
            self._add("data_added", len(tree))
            self._add("data_added_packed", len(blob.sealed))
        return tree_id

    def _count(self, length: int) -> None:
        self._add("files_new", 1)
        self._add("dirs_new", len(self._names) - 1)
        self._add("total_files_processed", 1)
        self._add("total_bytes_processed", length)
        self._add("data_blobs", self._placer.blobs)
        self._add("data_added", self._placer.added_bytes)
        self._add("data_added_packed", self._placer.added_packed_bytes)

    def _add(self, counter: str, number: int) -> None:
        self.counters[counter] = self.counters.get(counter, 0) + number

    def _put_snapshot(self, tree: bytes, parent: StoredSnapshot | None) -> bytes:
        refuse_lost_indexes(self._repository, self._relied)
        snapshot = make_snapshot(self._options, _paths(self._names), tree, parent, self._started_ns, self.counters)
        self._check_lock()
        return self._repository.save_unpacked(FileKind.SNAPSHOT, encode_snapshot(snapshot))
