"""The frontier: directories that the scan has found and not finished (S5 to S8, R7).

Directories are handed out depth first: the one found last, and among the subdirectories of one directory the smallest
name first, so that the frontier stays as small as the tree's depth times its fan-out. A directory stays until the batch
that holds its last entry is sealed; a resume scans it again, skips names up to ``sealed_through`` (entries are sealed
in name order, so one name stands for all before it) and the subdirectories that it had already handed out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from argosy.state.job_database import JobDatabase, Statement

IN_MEMORY_MOST = 50_000
_RELOAD = 10_000

_UPSERT = (
    "INSERT OR REPLACE INTO frontier (directory_id, parent_id, name, path, base_tree, thread, sealed_through,"
    " known_subdirectories) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_COLUMNS = "directory_id, parent_id, name, path, base_tree, thread, sealed_through, known_subdirectories"


class ScanDirectory(msgspec.Struct):
    """A directory to scan. ``base_tree`` is its tree in the parent snapshot, if it was there."""

    id: int
    parent_id: int
    name: bytes
    path: bytes
    base_tree: bytes | None
    thread: int | None = None
    sealed_through: bytes | None = None
    known_subdirectories: frozenset[bytes] | None = None
    stored: bool = False


class Frontier:
    """The scan rows. Every method takes the job's mutex."""

    def __init__(self, job: JobDatabase) -> None:
        self._job = job
        self._stack: list[ScanDirectory] = []
        self._in_progress: dict[int, ScanDirectory] = {}
        self._changed: dict[int, ScanDirectory] = {}
        self._gone: list[int] = []
        self._leaving: list[int] = []
        self._spilled = 0
        self._next_id = 1
        self._saved_next_id = 1
        self.finished_directories = 0
        job.attach(self)

    def load(self) -> int:
        """Load the rows of an interrupted scan; returns how many directories had been in progress."""
        rows = self._job.read(f"SELECT {_COLUMNS} FROM frontier WHERE thread IS NOT NULL ORDER BY directory_id")
        self._stack = [_from_row(row) for row in rows]
        self._spilled = int(self._job.read("SELECT count(*) FROM frontier WHERE thread IS NULL")[0][0])
        for directory in self._stack:
            directory.thread = None
        highest = self._job.read(
            "SELECT max(coalesce((SELECT max(directory_id) FROM frontier), 0),"
            " coalesce((SELECT max(directory_id) FROM assemblies), 0),"
            " coalesce((SELECT cast(value AS INTEGER) FROM job WHERE key = 'next_directory_id'), 0))"
        )
        self._next_id = self._saved_next_id = int(highest[0][0]) + 1
        return len(rows)

    def new_id(self) -> int:
        """A directory id that was never used in this job."""
        with self._job.mutex:
            self._next_id += 1
            return self._next_id - 1

    def add(self, directories: Sequence[ScanDirectory]) -> None:
        """Put new directories on top of the frontier; the first of them is handed out first."""
        with self._job.mutex:
            for directory in reversed(directories):
                self._stack.append(directory)
                self._changed[directory.id] = directory

    def take(self, thread: int) -> ScanDirectory | None:
        """Hand the next directory to a scan thread; None when none is pending."""
        with self._job.mutex:
            if not self._stack and self._spilled:
                self._reload()
            if not self._stack:
                return None
            directory = self._stack.pop()
            directory.thread = thread
            self._in_progress[directory.id] = directory
            self._changed[directory.id] = directory
            return directory

    def register_subdirectories(self, directory: ScanDirectory, found: Sequence[ScanDirectory]) -> None:
        """Hand out the subdirectories of ``directory``, once: a second scan of it knows their names."""
        with self._job.mutex:
            known = directory.known_subdirectories or frozenset()
            directory.known_subdirectories = known.union(child.name for child in found)
            self._changed[directory.id] = directory
            self.add(found)

    def advance(self, directory: ScanDirectory, sealed_through: bytes) -> None:
        """All entries of ``directory`` up to this name are in sealed batches."""
        with self._job.mutex:
            directory.sealed_through = sealed_through
            self._changed[directory.id] = directory

    def restart(self, directory: ScanDirectory) -> None:
        """Scan all entries of ``directory`` once more; its subdirectories that were handed out stay so."""
        with self._job.mutex:
            directory.sealed_through = None
            self._changed[directory.id] = directory

    def finish(self, directory: ScanDirectory) -> None:
        """All entries of ``directory`` are sealed or need no batch: its row goes."""
        with self._job.mutex:
            del self._in_progress[directory.id]
            self._changed.pop(directory.id, None)
            if directory.stored:
                self._gone.append(directory.id)
            self.finished_directories += 1

    @property
    def empty(self) -> bool:
        """Whether the scan has nothing pending and nothing in progress."""
        with self._job.mutex:
            return not self._stack and not self._in_progress and not self._spilled

    @property
    def pending(self) -> int:
        """Directories that no thread has taken yet."""
        with self._job.mutex:
            return len(self._stack) + self._spilled

    @property
    def in_progress(self) -> int:
        """Directories that scan threads have taken and not finished."""
        with self._job.mutex:
            return len(self._in_progress)

    def changes(self) -> list[Statement]:
        """Rows to write or delete since the last commit."""
        statements: list[Statement] = [("DELETE FROM frontier WHERE directory_id = ?", (gone,)) for gone in self._gone]
        for directory in self._changed.values():
            statements.append((_UPSERT, _to_row(directory)))
            directory.stored = True
        if self._next_id != self._saved_next_id:
            # Even if all directories that had the new ids are gone: batches and assemblies may name them.
            self._saved_next_id = self._next_id
            value = str(self._next_id).encode("ascii")
            statements.append(("INSERT OR REPLACE INTO job VALUES ('next_directory_id', ?)", (value,)))
        self._leaving = self._gone
        self._gone = []
        self._changed = {}
        return statements

    def committed(self) -> None:
        """Forget what need not be in memory: the rows hold it."""
        self._leaving = []
        surplus = len(self._stack) - IN_MEMORY_MOST
        if surplus > 0 and not any(item.id in self._changed for item in self._stack[:surplus]):
            # `_reload` takes the newest ids first, so only the oldest ids may leave.
            self._stack.sort(key=lambda item: item.id)
            del self._stack[:surplus]
            self._spilled += surplus

    def _reload(self) -> None:
        busy = set(self._in_progress) | set(self._changed) | set(self._gone) | set(self._leaving)
        rows = self._job.read(
            f"SELECT {_COLUMNS} FROM frontier ORDER BY directory_id DESC LIMIT ?", (_RELOAD + len(busy),)
        )
        found = [_from_row(row) for row in rows if row[0] not in busy][:_RELOAD]
        self._stack = list(reversed(found))
        self._spilled -= len(found)


def _to_row(directory: ScanDirectory) -> tuple[object, ...]:
    known = directory.known_subdirectories
    return (
        directory.id,
        directory.parent_id,
        directory.name,
        directory.path,
        directory.base_tree,
        directory.thread,
        directory.sealed_through,
        None if known is None else msgspec.msgpack.encode(sorted(known)),
    )


def _from_row(row: tuple[Any, ...]) -> ScanDirectory:
    directory_id, parent_id, name, path, base_tree, _, sealed_through, known = row
    names = None if known is None else frozenset(msgspec.msgpack.decode(known, type=list[bytes]))
    return ScanDirectory(directory_id, parent_id, name, path, base_tree, None, sealed_through, names, stored=True)
