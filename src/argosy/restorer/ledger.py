"""The directories that a restore has begun and not finished: what each still waits for.

A directory waits for the tasks that hold some of its entries and for the directories in it; it is finished when
nothing is awaited any more, children before their parent. At any moment these are the directories on the way to what is
in work.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class LedgerEntry(msgspec.Struct, eq=False):
    """A directory that was begun. ``node`` is its own, as JSON (b"" for the target).

    ``kept`` are the names that the snapshot has in it, where that matters. ``awaited`` counts tasks and directories.
    ``touched``: it, or something below it, is restored, so that it gets its metadata. ``broken``: nothing can be
    restored in it.
    ``over``: a worker has finished it.
    """

    number: int
    parent: LedgerEntry | None
    path: bytes
    node: bytes
    awaited: int = 0
    kept: list[bytes] | None = None
    touched: bool = False
    broken: bool = False
    over: bool = False

    @property
    def lost(self) -> bool:
        """Whether it, or a directory above it, cannot be restored."""
        entry: LedgerEntry | None = self
        while entry is not None:
            if entry.broken:
                return True
            entry = entry.parent
        return False


class Ledger:
    """All unfinished directories. ``finish`` is called with each that is touched, when its time has come.

    ``touched`` counts those that are, or were, to be finished.
    """

    def __init__(self, finish: Callable[[LedgerEntry], None]) -> None:
        self._finish = finish
        self._entries: dict[int, LedgerEntry] = {}
        self._by_path: dict[bytes, LedgerEntry] = {}
        self._numbers = 0
        self.touched = 0

    def __len__(self) -> int:
        return len(self._entries)

    def begin(self, parent: LedgerEntry | None, path: bytes, node: bytes) -> LedgerEntry:
        """Begin a directory, which its parent waits for already. It waits until ``walked``."""
        self._numbers += 1
        entry = LedgerEntry(self._numbers, parent, path, node, awaited=1)
        self._entries[entry.number] = entry
        self._by_path[path] = entry
        return entry

    def touch(self, entry: LedgerEntry) -> None:
        """Something in the directory is restored: it and all above it are to be finished. Counts all but the target."""
        current: LedgerEntry | None = entry
        while current is not None and not current.touched:
            current.touched = True
            self.touched += current.parent is not None
            current = current.parent

    def walked(self, entry: LedgerEntry) -> None:
        """All that the directory waits for has been counted."""
        self.settle(entry)

    def settle(self, entry: LedgerEntry) -> None:
        """Something that the directory waited for is done; it, and those above it, may be at their end."""
        current: LedgerEntry | None = entry
        while current is not None:
            current.awaited -= 1
            if current.awaited:
                return
            del self._entries[current.number]
            self._by_path.pop(current.path, None)
            if current.touched and not current.over and not current.lost:
                self._finish(current)
            current = current.parent

    def entry(self, number: int) -> LedgerEntry:
        """The unfinished directory of that number."""
        return self._entries[number]

    def break_off(self, path: bytes) -> bool:
        """The directory at ``path`` cannot be had; False if that is known already."""
        entry = self._by_path.get(path)
        if entry is None or entry.lost:
            return False
        entry.broken = True
        return True
