"""Directories whose trees wait for results: what is there already, and how much is still to come.

An assembly counts what it waits for: its own scan, its parts in sealed batches, its subdirectories. Its parts are
opaque runs of encoded nodes. When the count reaches zero it is *ready*: its tree can be built, and then the directory
itself becomes one node of its parent's assembly.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

import msgspec

from argosy.state.job_database import JobDatabase, Statement

HOT_MOST = 20_000

_UPSERT = (
    "INSERT OR REPLACE INTO assemblies (directory_id, parent_id, name, prefix, base_tree, deleted, pending, parts)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


class Assembly(msgspec.Struct):
    """One directory's results. ``prefix`` is its own metadata, encoded, without the subtree's id.

    ``base_tree`` is its tree in the parent snapshot: nodes that no part replaces and that are not ``deleted`` (an
    encoded list of names) stand as they are there.
    """

    directory_id: int
    parent_id: int
    name: bytes
    prefix: bytes | None = None
    base_tree: bytes | None = None
    deleted: bytes | None = None
    pending: int = 1
    parts: int = 0
    unsaved: list[tuple[int, bytes]] = msgspec.field(default_factory=list)
    stored: bool = False


class Assemblies:
    """All assemblies of a job; those that are not hot live in the database alone.

    ``ready`` are the directories whose trees can be built; ``became_ready`` is notified, with the mutex held, of each.
    Methods take the mutex. An ``Assembly`` object is only good while its caller holds the mutex: it may be evicted
    at any commit, and then the next ``get`` makes another.
    """

    def __init__(self, job: JobDatabase) -> None:
        self._job = job
        self._hot: dict[int, Assembly] = {}
        # Rows of assemblies that are not in memory. While there are none, no new one is looked for in the file.
        self._cold = 0
        self._changed: dict[int, Assembly] = {}
        self._gone: set[int] = set()
        # Closed, and their rows may still be read: the transaction that deletes them is under way.
        self._leaving: set[int] = set()
        self._saving: dict[int, Assembly] = {}
        self.ready: deque[int] = deque()
        self.became_ready = threading.Condition(job.mutex)
        job.attach(self)

    def load(self) -> None:
        """Take up what the file has, before anything else: whatever waits for nothing is ready again."""
        self._cold = int(self._job.read("SELECT count(*) FROM assemblies")[0][0])
        rows = self._job.read("SELECT directory_id FROM assemblies WHERE pending = 0")
        self.ready.extend(row[0] for row in rows)

    def open(self, assembly: Assembly) -> Assembly:
        """Begin to collect for a directory; a second scan of it finds the assembly that is there."""
        with self._job.mutex:
            there = self.find(assembly.directory_id)
            if there is not None:
                return there
            self._hot[assembly.directory_id] = assembly
            self._changed[assembly.directory_id] = assembly
            return assembly

    def find(self, directory_id: int) -> Assembly | None:
        """The assembly of a directory, from memory or from the database."""
        with self._job.mutex:
            assembly = self._hot.get(directory_id)
            if assembly is None:
                if not self._cold or directory_id in self._gone or directory_id in self._leaving:
                    return None
                rows = self._job.read(
                    "SELECT directory_id, parent_id, name, prefix, base_tree, deleted, pending, parts"
                    " FROM assemblies WHERE directory_id = ?",
                    (directory_id,),
                )
                if not rows:
                    return None
                assembly = Assembly(*rows[0])
                assembly.stored = True
                self._hot[directory_id] = assembly
                self._cold -= 1
            return assembly

    def get(self, directory_id: int) -> Assembly:
        """As ``find``, for a directory that must have one."""
        assembly = self.find(directory_id)
        assert assembly is not None, f"directory {directory_id} has no assembly"
        return assembly

    def changed(self, assembly: Assembly) -> None:
        """Make the assembly's fields part of the next commit."""
        with self._job.mutex:
            self._changed[assembly.directory_id] = assembly

    def add_part(self, directory_id: int, nodes: bytes) -> None:
        """Add one encoded run of nodes; where names meet, a later part wins."""
        with self._job.mutex:
            assembly = self.get(directory_id)
            assembly.unsaved.append((assembly.parts, nodes))
            assembly.parts += 1
            self._changed[assembly.directory_id] = assembly

    def expect(self, directory_id: int, count: int) -> None:
        """Wait for ``count`` more results."""
        with self._job.mutex:
            assembly = self.get(directory_id)
            assembly.pending += count
            self._changed[assembly.directory_id] = assembly

    def settle(self, directory_id: int, count: int = 1) -> None:
        """``count`` results have come; at zero the assembly is ready."""
        with self._job.mutex:
            assembly = self.get(directory_id)
            assembly.pending -= count
            assert assembly.pending >= 0, f"directory {assembly.directory_id} settled more than it waited for"
            self._changed[assembly.directory_id] = assembly
            if assembly.pending == 0:
                self.ready.append(assembly.directory_id)
                self.became_ready.notify()

    def parts(self, assembly: Assembly) -> Iterator[bytes]:
        """All its parts, oldest first."""
        with self._job.mutex:
            unsaved = dict(assembly.unsaved)
            saved: list[tuple[object, ...]] = []
            if len(unsaved) < assembly.parts:
                saved = self._job.read(
                    "SELECT part, nodes FROM parts WHERE directory_id = ? ORDER BY part", (assembly.directory_id,)
                )
        for number, nodes in saved:
            assert isinstance(nodes, bytes)
            if number not in unsaved:
                yield nodes
        for number in sorted(unsaved):
            yield unsaved[number]

    def close(self, assembly: Assembly) -> None:
        """The directory's tree is built and stands in its parent: its rows go."""
        with self._job.mutex:
            self._hot.pop(assembly.directory_id, None)
            self._changed.pop(assembly.directory_id, None)
            if assembly.stored:
                self._gone.add(assembly.directory_id)

    @property
    def open_count(self) -> int:
        """Assemblies in memory (for tests of boundedness)."""
        return len(self._hot)

    def changes(self) -> list[Statement]:
        """Rows to write or delete since the last commit."""
        statements: list[Statement] = []
        statements += [("DELETE FROM parts WHERE directory_id = ?", (gone,)) for gone in self._gone]
        statements += [("DELETE FROM assemblies WHERE directory_id = ?", (gone,)) for gone in self._gone]
        statements += [(_UPSERT, _to_row(assembly)) for assembly in self._changed.values()]
        for assembly in self._changed.values():
            statements += [
                ("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", (assembly.directory_id, number, nodes))
                for number, nodes in assembly.unsaved
            ]
            assembly.stored = True
        self._leaving, self._gone = self._gone, set()
        self._saving = self._changed
        self._changed = {}
        return statements

    def committed(self) -> None:
        """Free the parts that are durable, and the coldest assemblies."""
        for assembly in self._saving.values():
            if assembly.directory_id not in self._changed:
                assembly.unsaved = []
        self._leaving = set()
        surplus = len(self._hot) - HOT_MOST
        if surplus > 0:
            cold = [key for key in self._hot if key not in self._changed][:surplus]
            for key in cold:
                del self._hot[key]
            self._cold += len(cold)


def _to_row(assembly: Assembly) -> tuple[object, ...]:
    return (
        assembly.directory_id,
        assembly.parent_id,
        assembly.name,
        assembly.prefix,
        assembly.base_tree,
        assembly.deleted,
        assembly.pending,
        assembly.parts,
    )
