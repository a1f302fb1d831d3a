"""`argosy copy` from its options to its result."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from argosy.errors import Damaged, Interrupted, UsageError
from argosy.operations.copy.options import CopyObserver, CopyOptions, CopyProgress
from argosy.operations.copy.transfer import Transfer
from argosy.operations.saving import BlobSaver
from argosy.operations.selection import select_snapshots
from argosy.operations.session import Access, Session, open_session
from argosy.repository.snapshots import StoredSnapshot, load_snapshots, save_snapshot
from argosy.restic_format.snapshot import Snapshot

_OTHER_CUTS = (
    "the repositories cut files differently (other chunker parameters): what is backed up to the target as well as"
    " copied there is stored twice. `argosy init --copy-chunker-params --from-repo …` makes a target that cuts alike"
)


def run_copy(source: Access, target: Access, options: CopyOptions, observer: CopyObserver) -> CopyProgress:
    """Copy snapshots that the target lacks. ``no_lock`` counts for the source alone, as in restic.

    UsageError if both are one repository. A snapshot of which a blob is damaged is not copied, and told.
    """
    with open_session(source) as reading, open_session(replace(target, no_lock=False)) as writing:
        if reading.repository.id == writing.repository.id:
            raise UsageError(
                "the source and the target are the same repository", hint="Check --from-repo, or make a new target."
            )
        if reading.repository.polynomial != writing.repository.polynomial:
            observer.warning(_OTHER_CUTS)
        return _Copy(reading, writing, options, observer).run()


class _Copy:
    def __init__(self, source: Session, target: Session, options: CopyOptions, observer: CopyObserver) -> None:
        assert target.lock is not None, "the target is always locked"
        self._source = source
        self._target = target.repository
        self._check_lock = target.lock.check
        self._options = options
        self._observer = observer
        self._progress = CopyProgress()
        source_lookup = source.open_lookup()
        self._transfer = Transfer(
            source.blob_reader(source_lookup),
            source_lookup,
            target.open_lookup(),
            source.repository.opener,
            BlobSaver(target.repository, options.saving, self._check_lock),
            self._progress,
            self._tick,
        )

    def run(self) -> CopyProgress:
        """See ``run_copy``."""
        there = _by_first_id(load_snapshots(self._target, on_damaged=self._unreadable_there))
        snapshots = select_snapshots(
            self._source.repository, self._options.names, self._options.wanted, on_damaged=self._failed
        )
        self._progress.snapshots = len(snapshots)
        with self._transfer:
            for stored in snapshots:
                copies = there.get(stored.snapshot.original or stored.id, ())
                same = next((copy for copy in copies if is_similar(copy.snapshot, stored.snapshot)), None)
                if same is None:
                    self._copy(stored)
                else:
                    self._progress.skipped += 1
                    self._observer.skipped(stored, same.id)
        return self._progress

    def _copy(self, stored: StoredSnapshot) -> None:
        self._observer.begun(stored)
        try:
            self._transfer.copy_tree(stored.snapshot.tree)
        except Damaged as error:
            self._failed(stored.id, error)
            return
        except Interrupted:
            self._transfer.publish()  # the next run does not copy it again
            raise
        crash_point = self._options.crash_point
        crash_point("blobs are copied")
        self._transfer.publish()
        # Safe to die here: what the indexes list is not copied again, and if nobody comes back a prune removes it.
        crash_point("blobs are listed")
        self._check_lock()
        original = stored.snapshot.original or stored.id
        # A parent of another repository means nothing in this one.
        new_id = save_snapshot(self._target, msgspec.structs.replace(stored.snapshot, parent=None, original=original))
        crash_point("a snapshot is copied")
        self._progress.copied += 1
        self._observer.copied(stored, new_id)

    def _failed(self, snapshot_id: bytes, error: Damaged) -> None:
        self._progress.failed += 1
        self._observer.failed(snapshot_id, error)

    def _unreadable_there(self, _snapshot_id: bytes, error: Damaged) -> None:
        self._observer.warning(f"in the target {error.message}")

    def _tick(self) -> None:
        self._observer.progress(self._progress)
        if self._observer.stop_requested():
            raise Interrupted("stopped on request", hint="Snapshots that were copied are there. Run it again.")


def _by_first_id(snapshots: Sequence[StoredSnapshot]) -> dict[bytes, list[StoredSnapshot]]:
    """Snapshots by their own ids and by those that they had first."""
    found: dict[bytes, list[StoredSnapshot]] = {}
    for stored in snapshots:
        for identity in {stored.id, stored.snapshot.original or stored.id}:
            found.setdefault(identity, []).append(stored)
    return found


def is_similar(one: Snapshot, other: Snapshot) -> bool:
    """Whether one may be a copy of the other: all but parent and first id is the same (restic's rule)."""
    return (
        one.time_ns() == other.time_ns()
        and (one.tree, one.hostname, one.username, one.uid, one.gid)
        == (other.tree, other.hostname, other.username, other.uid, other.gid)
        and list(one.excludes) == list(other.excludes)
        and _has_same(one.paths, other.paths)
        and _has_same(one.tags, other.tags)
    )


def _has_same(one: Sequence[str], other: Sequence[str]) -> bool:
    return len(one) == len(other) and set(other) <= set(one)
