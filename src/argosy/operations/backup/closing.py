"""The end of a backup: indexes, the last proofs, the snapshot, the history (R2, R6, R8)."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from argosy import __version__
from argosy.archiver.ledger import Ledger
from argosy.errors import RepositoryError, SourceShrunk
from argosy.operations.backup.options import BackupOptions, JobSpec
from argosy.operations.backup.reopening import REFUSED
from argosy.operations.jobs import add_to_history
from argosy.repository.layout import FileKind
from argosy.repository.repository import Repository
from argosy.repository.snapshots import StoredSnapshot
from argosy.restic_format.snapshot import Snapshot, SnapshotSummary, encode_snapshot
from argosy.restic_format.times import format_time
from argosy.state.history import JobHistory
from argosy.state.record import JobRecord

_SUMMARY_COUNTERS = (
    "files_new",
    "files_changed",
    "files_unmodified",
    "dirs_new",
    "dirs_changed",
    "dirs_unmodified",
    "data_blobs",
    "tree_blobs",
    "data_added",
    "data_added_packed",
    "total_files_processed",
    "total_bytes_processed",
)


class SealedSnapshot(msgspec.Struct, frozen=True):
    """The snapshot's file, kept in the job before it is put: a resume puts these bytes again, or nothing."""

    id: bytes
    sealed: bytes
    tree: bytes


def refuse_shrunk_source(ledger: Ledger, parent: StoredSnapshot | None, *, allowed: bool) -> None:
    """SourceShrunk if the source holds under half the files of its parent snapshot (R8); the job remembers it."""
    if allowed or parent is None or parent.snapshot.summary is None:
        return
    before = parent.snapshot.summary.total_files_processed
    now = ledger.state.counters.get("total_files_processed", 0)
    if now * 2 < before:
        ledger.state.put(REFUSED, b"1")
        ledger.job.commit()
        raise SourceShrunk(
            f"the source holds {now} files, its parent snapshot {parent.id.hex()[:8]} had {before}",
            hint="If that is right, run the same command again with --allow-shrink: the job goes on at once.",
        )


def require_indexes(repository: Repository, ledger: Ledger) -> None:
    """Every index that the job relied on must still exist, or blobs may have gone with it (R2)."""
    value = ledger.state.get("relied_indexes")
    relied = [] if value is None else msgspec.msgpack.decode(value, type=list[bytes])
    refuse_lost_indexes(repository, {*relied, *ledger.packs.index_ids()})


def refuse_lost_indexes(repository: Repository, relied: set[bytes]) -> None:
    """RepositoryError unless all of these indexes are there."""
    gone = relied.difference(repository.list_ids(FileKind.INDEX))
    if gone:
        raise RepositoryError(
            f"{len(gone)} index files that this backup relied on were removed while it ran",
            hint="Some program ignored the repository's lock. Run the same command again: it checks everything anew.",
        )


def seal_snapshot(
    repository: Repository,
    ledger: Ledger,
    record: JobRecord,
    options: BackupOptions,
    paths: list[str],
    tree: bytes,
    parent: StoredSnapshot | None,
) -> SealedSnapshot:
    """The snapshot's bytes, kept in the checkpoint database before they are put (R6)."""
    snapshot = make_snapshot(options, paths, tree, parent, record.started_ns, ledger.state.counters)
    identity, sealed = repository.seal_unpacked(encode_snapshot(snapshot))
    kept = SealedSnapshot(identity, sealed, tree)
    ledger.state.put("sealed_snapshot", msgspec.msgpack.encode(kept))
    ledger.job.commit()
    return kept


def make_snapshot(
    options: BackupOptions,
    paths: list[str],
    tree: bytes,
    parent: StoredSnapshot | None,
    started_ns: int,
    counters: Mapping[str, int],
) -> Snapshot:
    """The snapshot's document, of this moment."""
    return Snapshot(
        time=format_time(options.time_ns if options.time_ns is not None else started_ns),
        tree=tree,
        paths=paths,
        parent=None if parent is None else parent.id,
        hostname=options.host,
        username=_username(),
        uid=os.getuid(),
        gid=os.getgid(),
        excludes=options.excludes,
        tags=options.tags,
        program_version=f"argosy {__version__}",
        summary=SnapshotSummary(
            backup_start=format_time(started_ns),
            backup_end=format_time(time.time_ns()),
            **{name: counters.get(name, 0) for name in _SUMMARY_COUNTERS},
        ),
    )


def sealed_before(ledger: Ledger) -> SealedSnapshot | None:
    """The snapshot that an earlier run of this job had sealed."""
    value = ledger.state.get("sealed_snapshot")
    return None if value is None else msgspec.msgpack.decode(value, type=SealedSnapshot)


def put_snapshot(
    repository: Repository, sealed: SealedSnapshot, check_lock: Callable[[], None], crash_point: Callable[[str], None]
) -> None:
    """Make the snapshot visible; putting the same one again changes nothing."""
    check_lock()
    crash_point("before the snapshot is put")
    repository.put_sealed(FileKind.SNAPSHOT, sealed.id, sealed.sealed)
    crash_point("after the snapshot is put")


def keep_history(
    state_directory: Path, ledger: Ledger, record: JobRecord, outcome: str, message: str, snapshot: bytes
) -> None:
    """What is kept of a job that ended: its report, with every file that could not be read."""
    spec = msgspec.msgpack.decode(record.spec, type=JobSpec)
    add_to_history(
        state_directory,
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
            unread=[(path.decode("utf-8", "replace"), reason) for path, reason in ledger.reports.unread_entries()],
            log=ledger.reports.log_entries(),
        ),
    )


def _username() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return ""
