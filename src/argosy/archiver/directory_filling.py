"""Fresh entries of one directory into the open batch of the scan thread, in name order."""

from __future__ import annotations

import stat as stat_module
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from argosy.archiver.comparison import Comparison
from argosy.archiver.ledger import Ledger
from argosy.archiver.messages import SEGMENT_BYTES, DirectoryPart
from argosy.archiver.opened_directory import OpenedDirectory
from argosy.native.listing import Columns
from argosy.state.frontier import ScanDirectory

if TYPE_CHECKING:
    from argosy.archiver.directory_scan import DirectoryScanner


class DirectoryFilling:
    """A directory's part of the batch that the scan thread fills; sealed where that is full, and gone on with."""

    def __init__(
        self, scanner: DirectoryScanner, ledger: Ledger, directory: ScanDirectory, opened: OpenedDirectory
    ) -> None:
        self._scanner = scanner
        self._ledger = ledger
        self._directory = directory
        self._opened = opened
        self._part: DirectoryPart | None = None
        self._last: bytes | None = None

    def add_whole(self, comparison: Comparison) -> None:
        """All of the directory: the worker builds its tree."""
        self._scanner.batch.add_all(self._whole_part(), comparison.fresh)
        self._count(Counter([comparison.counter_of(entry) for entry in comparison.fresh]))

    def add_whole_columns(self, fresh: Columns) -> None:
        """The same of a directory that the kernel has listed."""
        self._scanner.batch.add_columns(self._whole_part(), fresh)
        self._count({"files_new": fresh.files})

    def _whole_part(self) -> DirectoryPart:
        part = self._new_part()
        part.whole = True
        self._scanner.batch.parts.append(part)
        self._scanner.batch.ended.append(self._directory)
        return part

    def add(self, comparison: Comparison) -> None:
        """The fresh entries of a run; files above SEGMENT_BYTES get batches of their own."""
        for entry in comparison.fresh:
            counter = comparison.counter_of(entry)
            if entry.stat.st_size > SEGMENT_BYTES and stat_module.S_ISREG(entry.stat.st_mode):
                self._seal()
                self._ledger.seal_big_file(self._directory, entry, counter=counter)
                self._last = entry.name
                continue
            if self._part is None:
                self._part = self._new_part()
                self._scanner.batch.parts.append(self._part)
            self._scanner.batch.add(self._part, entry)
            self._scanner.batch.count(counter, 1)
            self._last = entry.name
            if self._scanner.batch.full:
                self._seal()

    def seal_part(self) -> None:
        """Seal what was added and is still open."""
        if self._part is not None:
            self._seal()

    def end(self, counts: Mapping[str, int]) -> None:
        """All entries are added; ``counts`` go with the transaction that finishes the directory."""
        if self._part is None:
            self._ledger.directory_ended(self._directory, counts)
        else:
            self._count(counts)
            self._scanner.batch.ended.append(self._directory)

    def _seal(self) -> None:
        """Seal the batch in the midst of this directory: what was added so far is sealed through its last name."""
        self._scanner.seal(None if self._last is None else (self._directory, self._last))
        self._part = None

    def _count(self, counts: Mapping[str, int]) -> None:
        for key, number in counts.items():
            self._scanner.batch.count(key, number)

    def _new_part(self) -> DirectoryPart:
        directory, opened = self._directory, self._opened
        return DirectoryPart(
            directory.id, directory.parent_id, directory.name, directory.path, opened.prefix, opened.device
        )
