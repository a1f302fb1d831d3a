"""A restore as a master runs it: its members write to the target, as each of them sees it."""

from __future__ import annotations

import os
from typing import cast

import msgspec

from argosy.daemon.kinds import RESTORE
from argosy.daemon.protocol import Request, RestoreOrder
from argosy.daemon.runs import Run
from argosy.daemon.sight import Sight, look_at, sample_paths
from argosy.daemon.target_sight import TargetMark
from argosy.daemon.work import Ending, RecordedWork, Surroundings
from argosy.errors import EngineError
from argosy.operations.restore.options import RestoreObserver, RestoreResult
from argosy.operations.restore.run import run_restore
from argosy.repository.snapshots import StoredSnapshot
from argosy.restorer.cuts import Cuts

# At the end the members wait for whoever has the last batch: over a link of 40 Mbit/s for 2 seconds. One of so many
# entries takes about 100 kB on the wire. Several members write one file of 16 MiB or more.
_CUTS = Cuts(entries=250, size_bytes=4 << 20, large_bytes=16 << 20, segment_bytes=8 << 20)
# A member stops writing well before it is struck off.
_LEASE_SHARE = 0.5


class RestoreWork(RecordedWork):
    """See ``JobWork``."""

    kind = RESTORE

    def __init__(self, request: Request, order: RestoreOrder, surroundings: Surroundings) -> None:
        super().__init__(request, surroundings)
        self._options = msgspec.structs.replace(order.options, cuts=_CUTS)
        self._mark = TargetMark(request.location, order.options.target)
        self._has_begun = False

    @property
    def paths(self) -> list[bytes]:
        """The target."""
        return [self._options.target]

    @property
    def words(self) -> str:
        """What is done, in words."""
        return f"a restore of {self._options.snapshot} from {self.location} to {os.fsdecode(self._options.target)}"

    def look(self) -> Sight:
        """The master's mark in the target, or of one that is not to be written to some entries.

        EngineError before the snapshot is known: till then nothing is made at the target.
        """
        if not self._has_begun:
            raise EngineError("the restore has not begun")
        if self._options.dry_run:
            return Sight(look_at(sample_paths([self._options.target])), self._locks())
        return Sight([], self._locks(), self._mark.probe())

    def _operate(self, run: Run) -> RestoreResult:
        around = self._surroundings
        try:
            return run_restore(
                self._access(run),
                msgspec.structs.replace(self._options, workers=around.workers()),
                self._observer(run),
                make_engine=around.make_engine,
                lease_seconds=around.hub.lease_seconds * _LEASE_SHARE,
            )
        finally:
            if not self._options.dry_run:
                self._mark.remove()

    def _observer(self, run: Run) -> RestoreObserver:
        """What the operation tells: followers hear it, and the diary keeps some of it."""
        told = cast("RestoreObserver", run.observer())

        def message(text: str) -> None:
            self.diary.note(text)
            told.message(text)

        def begun(stored: StoredSnapshot, subpath: str) -> None:
            self._has_begun = True
            told.begun(stored, subpath)

        def error(path: bytes, reason: str) -> None:
            self.diary.fault(os.fsdecode(path), reason)
            told.error(path, reason)

        return msgspec.structs.replace(told, begun=begun, message=message, error=error)

    def _ending(self, result: RestoreResult) -> Ending:
        counters = {
            "total_files": result.entries_total,
            "files_restored": result.entries_restored,
            "files_skipped": result.entries_skipped,
            "files_deleted": result.deleted,
            "total_bytes": result.bytes_total,
            "bytes_restored": result.bytes_restored,
            "bytes_skipped": result.bytes_skipped,
            "unread": result.errors,
        }
        return Ending("incomplete" if result.errors else "done", counters, result.snapshot.id.hex())
