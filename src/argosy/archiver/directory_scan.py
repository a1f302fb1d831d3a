"""What the scan does with one directory: list it, compare it, put what is fresh into the open batch.

The outcomes, from cheap to dear: unchanged and without subdirectories (its node goes to its parent at once); all of
its entries fresh and within one batch (*whole*: the worker builds its tree); anything else (an assembly collects).
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from argosy.archiver.comparison import Comparison
from argosy.archiver.directory_filling import DirectoryFilling
from argosy.archiver.ledger import decode_names, encode_names
from argosy.archiver.messages import SEGMENT_BYTES
from argosy.archiver.open_batch import OpenBatch
from argosy.archiver.opened_directory import OpenedDirectory
from argosy.archiver.parent import ParentTree
from argosy.archiver.quick_listing import QuickListing
from argosy.archiver.scan_context import ScanContext
from argosy.archiver.source import GOING_AWAY
from argosy.errors import Damaged
from argosy.filesystem.directory import Entry, UnreadableEntry, iter_directory_sorted, open_directory
from argosy.restic_format.node import finish_directory
from argosy.state.assemblies import Assembly
from argosy.state.frontier import ScanDirectory

HUGE_DIRECTORY_ENTRIES = 100_000
"""Above this a directory is listed through the disk and handled in runs of RUN_ENTRIES."""

RUN_ENTRIES = 10_000

_LISTING_TRIES = 3
_LISTING_PAUSE_SECONDS = 0.5


class DirectoryScanner:
    """Belongs to one scan thread; ``batch`` is the batch that it fills. Close it when done."""

    def __init__(self, context: ScanContext, new_batch: Callable[[], OpenBatch], thread: int) -> None:
        self._context = context
        self._ledger = context.ledger
        self._new_batch = new_batch
        self._thread = thread
        self.batch = new_batch()
        self.quick = None if context.new_quick_listing is None else context.new_quick_listing()

    def close(self) -> None:
        """Free what the kernel holds for it."""
        if self.quick is not None:
            self.quick.close()

    def seal(self, partial: tuple[ScanDirectory, bytes] | None = None) -> None:
        """Put the open batch onto the queue and begin another."""
        if not self.batch.empty or partial is not None:
            self._ledger.seal(self.batch, partial)
            self.batch = self._new_batch()

    def scan(self, directory: ScanDirectory) -> None:
        """List ``directory`` and settle what becomes of each entry."""
        fd = self._open(directory)
        if fd is None:
            return
        try:
            _Listing(self, self._context, directory, fd).work()
        finally:
            os.close(fd)
        batch = self.batch
        self._ledger.map.filling(self._thread, directory.path, len(batch.ended), batch.files, batch.bytes)
        if batch.full:
            self.seal()

    def _open(self, directory: ScanDirectory) -> int | None:
        for left in reversed(range(_LISTING_TRIES)):
            try:
                return open_directory(directory.path)
            except OSError as error:
                if error.errno in GOING_AWAY and left:
                    time.sleep(_LISTING_PAUSE_SECONDS)
                    continue
                self.leave_out(directory, error)
                return None
        return None

    def leave_out(self, directory: ScanDirectory, error: OSError) -> None:
        """A directory that cannot be listed: gone, or named as unread; never in silence, never with its old tree."""
        self._context.source.check()
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            self._ledger.state.count(vanished=1)
        else:
            self._ledger.reports.unread(directory.path, error.strerror or str(error))
            self._ledger.state.count(unread=1)
        self._ledger.directory_left_out(directory)


class _Listing:
    """One directory being scanned."""

    def __init__(self, scanner: DirectoryScanner, context: ScanContext, directory: ScanDirectory, fd: int) -> None:
        self._scanner = scanner
        self._context = context
        self._ledger = context.ledger
        self._directory = directory
        self._opened = OpenedDirectory(context, directory, fd)
        self._filling = DirectoryFilling(scanner, self._ledger, directory, self._opened)
        self._parent: ParentTree | None = None
        self._parent_opened = False

    def work(self) -> None:
        try:
            self._opened.read_metadata()
            if self._work_quickly():
                return
            unreadable: list[UnreadableEntry] = []
            listing = iter_directory_sorted(
                self._opened.fd, self._context.spill_directory, HUGE_DIRECTORY_ENTRIES, unreadable
            )
            entries = list(islice(listing, HUGE_DIRECTORY_ENTRIES))
            following = next(listing, None)
        except OSError as error:
            self._scanner.leave_out(self._directory, error)
            return
        for item in unreadable:
            self._opened.report_unread(item)
        if following is None:
            self._work_at_once(entries)
        else:
            entries.append(following)
            self._work_in_runs(_in_runs(entries, listing))

    def _work_quickly(self) -> bool:
        """Let the kernel list and judge; False, with nothing done, where it does not decide. OSError if it fails."""
        quick = self._scanner.quick
        if quick is None or not self._is_untouched() or self._opened.is_elsewhere:
            return False
        if self._directory.base_tree is None:
            return self._take_quickly(quick)
        return quick.compares and self._compare_quickly(quick)

    def _take_quickly(self, quick: QuickListing) -> bool:
        """A fresh directory that nothing but files is in, and that one batch takes."""
        limits = self._scanner.batch.limits
        if self._directory.parent_id == 0:
            return False
        fresh = quick.fresh(self._opened, min(limits.files - 1, HUGE_DIRECTORY_ENTRIES), SEGMENT_BYTES)
        if fresh is None or not self._make_room(len(fresh.names), sum(fresh.sizes)):
            return False
        self._context.entries += len(fresh.names)
        self._filling.add_whole_columns(fresh)
        return True

    def _compare_quickly(self, quick: QuickListing) -> bool:
        """A directory that has a parent's tree."""
        opened = self._opened
        count = quick.read(opened.fd, HUGE_DIRECTORY_ENTRIES)
        parent = None if count is None else self._parent_tree
        comparison = None if parent is None else quick.compare(opened, parent)
        if count is None or comparison is None:
            return False
        self._context.entries += count
        self._settle(comparison, parent)
        return True

    def _work_at_once(self, listed: Sequence[Entry]) -> None:
        self._context.entries += len(listed)
        wanted = self._opened.wanted(listed)
        parent = self._parent_tree
        comparison = None if parent is None else self._compare_at_once(wanted, parent)
        if comparison is None:
            parent = None
            self._resume_upon(None)
            comparison = Comparison()
            comparison.add_unjudged(self._still_to_seal(wanted))
        self._settle(comparison, parent)

    def _settle(self, comparison: Comparison, parent: ParentTree | None) -> None:
        """All entries are judged, upon the parent's tree or upon none."""
        directory = self._directory
        if self._is_unchanged_leaf(comparison, parent):
            assert directory.base_tree is not None
            node = finish_directory(self._opened.prefix, directory.base_tree)
            self._ledger.directory_unchanged(directory, node, comparison.unmodified_counts())
        elif self._is_whole(comparison):
            self._filling.add_whole(comparison)
        else:
            self._collect(comparison, parent)

    def _compare_at_once(self, wanted: Sequence[Entry], parent: ParentTree) -> Comparison | None:
        """What the entries come to beside the parent's tree; None if that has a shape that cannot be compared."""
        self._resume_upon(self._directory.base_tree)
        resumed = self._directory.sealed_through
        comparison = Comparison()
        try:
            if resumed is not None:
                parent.skip_through(resumed)
            parent.compare(self._still_to_seal(wanted), self._opened.encode, comparison)
            parent.finish(comparison)
        except Damaged:
            self._context.parents.missing += 1
            return None
        return comparison

    def _resume_upon(self, base: bytes | None) -> None:
        """Skip what an earlier scan has sealed only if that scan built upon the same tree (None: upon none).

        Else what stood there without a batch would be lost: the parent cannot be read any more, or the directory has
        become a huge one meanwhile, or was one.
        """
        directory = self._directory
        if directory.sealed_through is not None:
            there = self._ledger.assemblies.get(directory.id)
            if there.base_tree != base:
                self._ledger.frontier.restart(directory)

    def _still_to_seal(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        resumed = self._directory.sealed_through
        return entries if resumed is None else [entry for entry in entries if entry.name > resumed]

    def _is_untouched(self) -> bool:
        """Whether no earlier scan of the directory has left anything."""
        return self._directory.sealed_through is None and self._directory.known_subdirectories is None

    def _is_unchanged_leaf(self, comparison: Comparison, parent: ParentTree | None) -> bool:
        return (
            parent is not None
            and self._directory.parent_id != 0
            and self._is_untouched()
            and not (comparison.fresh or comparison.reused or comparison.directories or comparison.dropped)
        )

    def _is_whole(self, comparison: Comparison) -> bool:
        if comparison.stands or comparison.reused or comparison.directories or self._directory.parent_id == 0:
            return False
        if not self._is_untouched():
            return False
        size = 0
        for _, stat in comparison.fresh:
            if stat.st_nlink > 1 or stat.st_size > SEGMENT_BYTES:
                return False
            size += stat.st_size
        return self._make_room(len(comparison.fresh), size)

    def _make_room(self, entries: int, size_bytes: int) -> bool:
        """Have the open batch take the whole directory, of so many entries; False if none would, or it is collected."""
        limits = self._scanner.batch.limits
        if entries + 1 > limits.files or size_bytes > limits.bytes:
            return False
        if self._ledger.assemblies.find(self._directory.id) is not None:
            return False
        if not self._scanner.batch.fits(entries + 1, size_bytes):
            self._scanner.seal()
        return True

    def _collect(self, comparison: Comparison, parent: ParentTree | None) -> None:
        directory = self._directory
        base = None
        if parent is not None:
            base = directory.base_tree
            self._context.parents.keep(parent)
        subdirectories = self._subdirectories(comparison.directories)
        dropped = set(comparison.dropped)
        if directory.sealed_through is not None:
            there = self._ledger.assemblies.get(directory.id)
            # Of what is sealed the earlier scan has judged; in a tree of an odd order this one cannot.
            dropped = {name for name in dropped if name > directory.sealed_through}
            dropped.update(name for name in decode_names(there.deleted) if name <= directory.sealed_through)
        assembly = Assembly(
            directory.id,
            directory.parent_id,
            directory.name,
            self._opened.prefix,
            base,
            encode_names(sorted(dropped)),
        )
        self._ledger.directory_listed(directory, assembly, subdirectories, self._reused_run(comparison))
        self._filling.add(comparison)
        self._filling.end(comparison.unmodified_counts())

    def _work_in_runs(self, runs: Iterator[list[Entry]]) -> None:
        """A huge directory: no comparison is kept in memory beyond a run, and its nodes all go to parts."""
        directory, parent = self._directory, self._parent_tree
        self._resume_upon(None)
        assembly = Assembly(directory.id, directory.parent_id, directory.name, self._opened.prefix)
        self._ledger.directory_listed(directory, assembly, [], None)
        for run in runs:
            self._context.entries += len(run)
            parent = self._work_run(run, parent)
        self._filling.end({})

    def _work_run(self, run: list[Entry], parent: ParentTree | None) -> ParentTree | None:
        """Returns the parent's tree for the next run, None once it has turned out to be of no use."""
        directory = self._directory
        entries = self._still_to_seal(self._opened.wanted(run))
        comparison = Comparison()
        try:
            if parent is not None:
                if directory.sealed_through is not None:
                    parent.skip_through(directory.sealed_through)
                parent.compare(entries, self._opened.encode, comparison, keep_standing=True)
        except Damaged:
            self._context.parents.missing += 1
            parent, comparison = None, Comparison()
        if parent is None:
            comparison.add_unjudged(entries)
        assembly = Assembly(directory.id, directory.parent_id, directory.name, self._opened.prefix)
        subdirectories = self._subdirectories(comparison.directories)
        self._ledger.directory_listed(directory, assembly, subdirectories, self._reused_run(comparison))
        self._filling.add(comparison)
        last = entries[-1].name if entries else None
        if last is not None:
            self._filling.seal_part()
            through = OpenBatch(self._scanner.batch.limits)
            through.counts = comparison.unmodified_counts()
            self._ledger.seal(through, (directory, last))
        return parent

    @property
    def _parent_tree(self) -> ParentTree | None:
        # No cached_property: before Python 3.12 that has one lock for all threads, which would load trees in turn.
        base = self._directory.base_tree
        if base is not None and not self._parent_opened:
            self._parent = self._context.parents.open(base, self._context.compare)
            self._parent_opened = True
        return self._parent

    def _subdirectories(self, found: Sequence[tuple[Entry, bytes | None]]) -> list[ScanDirectory]:
        directory = self._directory
        known = directory.known_subdirectories or frozenset()
        base = directory.path if directory.path.endswith(b"/") else directory.path + b"/"
        return [
            ScanDirectory(self._ledger.frontier.new_id(), directory.id, entry.name, base + entry.name, subtree)
            for entry, subtree in found
            if entry.name not in known
        ]

    def _reused_run(self, comparison: Comparison) -> bytes | None:
        if not comparison.reused and not comparison.standing_nodes:
            return None
        named = dict(comparison.standing_nodes)
        for entry, prefix, content in comparison.reused:
            tail = self._opened.encode_xattrs(entry.name)
            named[entry.name] = prefix + tail + b',"content":' + content + b"}"
        names = sorted(named)
        return self._ledger.encode_run(names, [named[name] for name in names])


def _in_runs(first: list[Entry], rest: Iterator[Entry]) -> Iterator[list[Entry]]:
    """All entries in runs; ``first`` is emptied on the way, so that its memory goes as it is worked on."""
    first.reverse()
    while first:
        run = first[: -RUN_ENTRIES - 1 : -1]
        del first[-RUN_ENTRIES:]
        yield run
    while run := list(islice(rest, RUN_ENTRIES)):
        yield run
