"""One restore from its plan to its last directory: tasks out, outcomes in, directories finished as they complete."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from argosy.engine.interface import Engine
from argosy.errors import StorageError
from argosy.operations.crew import Crew
from argosy.operations.restore.options import RestoreObserver, RestoreProgress
from argosy.operations.restore.tally import Tally
from argosy.operations.restore.tasks import TaskLoop
from argosy.operations.restore.verification import WrittenFiles
from argosy.repository.blobs import BlobReader
from argosy.repository.snapshots import StoredSnapshot
from argosy.restic_format.node import Node
from argosy.restorer.content import BlobPlaces
from argosy.restorer.cuts import Cuts
from argosy.restorer.directories import TargetDirectories
from argosy.restorer.file_jobs import FileRestorer
from argosy.restorer.finishing import Finisher
from argosy.restorer.hard_links import FirstNames
from argosy.restorer.large_files import LargeFile, LargeFileTools
from argosy.restorer.lease import NOTICES_A_LEASE
from argosy.restorer.ledger import Ledger, LedgerEntry
from argosy.restorer.messages import Outcome, RestoreSettings, RestoreWork, Work
from argosy.restorer.metadata import MetadataSetter
from argosy.restorer.plan import Plan
from argosy.restorer.selection import Selection
from argosy.restorer.target import open_root
from argosy.restorer.tree_walk import TreeWalk

_LOOK_SECONDS = 0.2


class RestoreSource(msgspec.Struct, frozen=True):
    """What is restored, and where it is read. ``root_tree`` is the tree of ``subpath``."""

    stored: StoredSnapshot
    subpath: str
    root_tree: bytes
    reader: BlobReader
    places: BlobPlaces
    store_is_local: bool


class Coordinator:
    """Runs one restore. ``scratch`` is a directory of its own; ``check`` ends it by raising."""

    def __init__(
        self,
        engine: Engine,
        source: RestoreSource,
        target: bytes,
        settings: RestoreSettings,
        cuts: Cuts,
        observer: RestoreObserver,
        check: Callable[[], None],
        scratch: Path,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._observer = observer
        self._check = check
        self._next_notice = 0.0
        self._crew = Crew(engine, observer.message)
        self._loop = TaskLoop(engine, self._turn, self._crew)
        self._source = source
        self.tally = Tally(observer)
        self._next_look = 0.0
        self._verifying = False
        self._large_bytes_done = 0
        self._outcome = Outcome()
        directories = TargetDirectories(
            open_root(target, create=not settings.dry_run),
            create=not settings.dry_run,
            replace=not settings.overwrite.goes_by_existence,
        )
        self._written = WrittenFiles(scratch) if settings.recorded else None
        self._firsts = FirstNames(scratch)
        selection = Selection(settings.selection)
        is_whole = selection.everything and not source.subpath.strip("/")
        # What the backup counted tells how far a restore is before it has walked all trees.
        self._expected = source.stored.snapshot.summary if is_whole else None
        self._finisher = Finisher(directories, settings, target)
        self._ledger = Ledger(self._finish)
        self._large: dict[int, LargeFile] = {}
        self._tools = self._large_file_tools(source.places, directories, settings, target, cuts)
        walk = TreeWalk(
            source.root_tree,
            source.reader.load_tree,
            selection,
            self._ledger,
            self.tally.error,
            cuts,
            delete=settings.delete,
            tolerated=(StorageError,) if source.store_is_local else (),
            expected_bytes=math.inf if self._expected is None else self._expected.total_bytes_processed,
        )
        self._plan = Plan(walk, self._ledger, self._firsts, self._make_large_file, self.tally.error, cuts)

    def restore(self) -> None:
        """Restore everything that is selected. Raises what ends a restore early."""
        self._loop.run(self._plan.next_work, self._settle)
        self._add_own_outcome()
        assert self._plan.exhausted
        assert not len(self._ledger)
        self._look(last=True)

    def verify(self) -> None:
        """Read again what was written."""
        assert self._written is not None
        self._verifying = True
        work = enumerate(self._written.work())
        self._loop.run(lambda: next(work, None), lambda _number, _work, outcome: self.tally.add(outcome))
        self._look(last=True)

    def close(self) -> None:
        """Close the target, and forget what was noted."""
        self._tools.files.close()
        self._tools.directories.close()
        self._firsts.close()
        if self._written is not None:
            self._written.close()

    def progress(self) -> RestoreProgress:
        """How it stands."""
        tally, expected = self.tally, self._expected
        running = 0 if self._verifying else self._loop.running_bytes + self._large_bytes_done
        return RestoreProgress(
            entries_total=self._plan.entries + self._ledger.touched - tally.skipped,
            entries_restored=tally.restored,
            entries_skipped=tally.skipped,
            deleted=tally.deleted,
            bytes_total=self._plan.size_bytes - tally.skipped_bytes,
            bytes_restored=tally.restored_bytes + running,
            bytes_skipped=tally.skipped_bytes,
            errors=tally.errors,
            planned=self._plan.exhausted,
            expected_files=0 if expected is None else expected.total_files_processed,
            expected_bytes=0 if expected is None else expected.total_bytes_processed,
            verifying=self._verifying,
            verified_files=tally.verified,
            verified_bytes=tally.verified_bytes,
            members=self._crew.looks(),
        )

    def _turn(self) -> None:
        self._check()
        self._renew_leases()
        self._look()

    def _renew_leases(self) -> None:
        """Tell workers on other machines that their master is there."""
        now = time.monotonic()
        if self._settings.is_shared and now >= self._next_notice:
            self._next_notice = now + self._settings.lease_seconds / NOTICES_A_LEASE
            self._engine.broadcast(b"")

    def _look(self, *, last: bool = False) -> None:
        now = time.monotonic()
        if last or now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            self._observer.progress(self.progress())

    # -- outcomes -----------------------------------------------------------------------------------------------

    def _settle(self, number: int, work: Work, outcome: Outcome) -> None:
        assert isinstance(work, RestoreWork)
        for path, reason in outcome.broken:
            if self._ledger.break_off(path):
                self.tally.error(b"/" + path, f"nothing in it could be restored: {reason}")
        self.tally.add(outcome)
        if self._written is not None:
            self._written.add_batch(work, outcome)
        if work.segment is not None:
            assert outcome.segment is not None
            self._large_bytes_done += outcome.segment.size_bytes
            self._large[work.segment.file].segment_done(work.segment, outcome.segment)
        self._plan.done(number)
        for directory in outcome.finished:
            self._ledger.entry(directory).over = True
        for directory in [part.directory for part in work.parts] + [link.directory for link in work.links]:
            self._ledger.settle(self._ledger.entry(directory))
        self._add_own_outcome()

    def _finish(self, entry: LedgerEntry) -> None:
        self._finisher.finish(entry.path, entry.node, entry.kept, self._outcome)

    def _add_own_outcome(self) -> None:
        """What the master did itself: directories that it finished, large files."""
        outcome, self._outcome = self._outcome, Outcome()
        self._tools.files.outcome = self._outcome
        self.tally.add(outcome)

    # -- large files --------------------------------------------------------------------------------------------

    def _large_file_tools(
        self,
        places: BlobPlaces,
        directories: TargetDirectories,
        settings: RestoreSettings,
        target: bytes,
        cuts: Cuts,
    ) -> LargeFileTools:
        # What was written of a large file is known from its segments.
        settings = msgspec.structs.replace(settings, recorded=False)
        setter = MetadataSetter(settings.xattr_exclude, settings.xattr_include, self.tally.error)
        setter.notes = self.tally.notes
        files = FileRestorer(directories, setter, settings, target)
        files.outcome = self._outcome
        return LargeFileTools(places, directories, files, settings, target, cuts, self._large_file_over)

    def _make_large_file(self, number: int, entry: LedgerEntry, name: bytes, node: Node) -> LargeFile:
        large_file = self._large[number] = LargeFile(number, entry, name, node, self._tools)
        return large_file

    def _large_file_over(self, large_file: LargeFile) -> None:
        del self._large[large_file.number]
        self._large_bytes_done -= large_file.done_bytes
        if self._written is not None and large_file.is_restored:
            self._written.add_large(large_file)
        self._plan.done(large_file.number)
        self._ledger.settle(large_file.entry)
