"""Hard links: the content of a file with several names is read once; the other names wait for its node.

A row is written by the transaction that seals the first name's batch, so that after a crash no name waits for a first
that nobody reads.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from argosy.state.job_database import JobDatabase, Statement

_HOT_MOST = 50_000

Waiter = tuple[int, bytes, bytes]
"""(directory id, directory's path, name)"""


class _Link:
    __slots__ = ("node", "waiting")

    def __init__(self, node: bytes | None, waiting: list[Waiter]) -> None:
        self.node = node
        self.waiting = waiting


class HardLinks:
    """(device, inode) of files with several names. Every method is called with the job's mutex held."""

    def __init__(self, job: JobDatabase) -> None:
        self._job = job
        self._hot: dict[tuple[int, int], _Link] = {}
        self._changed: set[tuple[int, int]] = set()
        self._gone: set[tuple[int, int]] = set()
        # Forgotten, and their rows may still be read: the transaction that deletes them is under way.
        self._leaving: set[tuple[int, int]] = set()
        job.attach(self)

    def is_first(self, device: int, inode: int) -> bool:
        """Whether this file was not met before; from now on it was."""
        if self._find(device, inode) is not None:
            return False
        self._hot[device, inode] = _Link(None, [])
        self._changed.add((device, inode))
        self._gone.discard((device, inode))
        return True

    def node(self, device: int, inode: int) -> bytes | None:
        """The node of the first name, once it was read."""
        link = self._find(device, inode)
        return None if link is None else link.node

    def wait(self, device: int, inode: int, waiter: Waiter) -> None:
        """Another name waits for the node."""
        link = self._find(device, inode)
        assert link is not None
        link.waiting.append(waiter)
        self._changed.add((device, inode))

    def resolve(self, device: int, inode: int, node: bytes) -> Sequence[Waiter]:
        """The first name was read; returns the names that waited."""
        link = self._find(device, inode)
        if link is None:
            return ()
        waiting, link.waiting, link.node = link.waiting, [], node
        self._changed.add((device, inode))
        return waiting

    def forget(self, device: int, inode: int) -> Sequence[Waiter]:
        """The first name could not be read: the next name to be met is a first again; returns those that waited."""
        link = self._find(device, inode)
        if link is None:
            return ()
        del self._hot[device, inode]
        self._changed.discard((device, inode))
        self._gone.add((device, inode))
        return link.waiting

    def changes(self) -> list[Statement]:
        """Rows that changed since the last commit."""
        statements: list[Statement] = [
            ("DELETE FROM hard_links WHERE device = ? AND inode = ?", (_signed(device), _signed(inode)))
            for device, inode in self._gone
        ]
        for device, inode in self._changed:
            link = self._hot[device, inode]
            waiting = msgspec.msgpack.encode(link.waiting) if link.waiting else None
            statements.append(
                (
                    "INSERT OR REPLACE INTO hard_links VALUES (?, ?, ?, ?)",
                    (_signed(device), _signed(inode), link.node, waiting),
                )
            )
        self._leaving = self._gone
        self._changed, self._gone = set(), set()
        return statements

    def committed(self) -> None:
        """Forget the coldest links; their rows hold them."""
        self._leaving = set()
        surplus = len(self._hot) - _HOT_MOST
        if surplus > 0:
            for key in [key for key in self._hot if key not in self._changed][:surplus]:
                del self._hot[key]

    def _find(self, device: int, inode: int) -> _Link | None:
        link = self._hot.get((device, inode))
        if link is None and (device, inode) not in self._gone and (device, inode) not in self._leaving:
            rows = self._job.read(
                "SELECT node, waiting FROM hard_links WHERE device = ? AND inode = ?",
                (_signed(device), _signed(inode)),
            )
            if rows:
                waiting = [] if rows[0][1] is None else msgspec.msgpack.decode(rows[0][1], type=list[Waiter])
                link = self._hot[device, inode] = _Link(rows[0][0], waiting)
        return link


def _signed(value: int) -> int:
    """SQLite's integers are signed; some file systems use all 64 bits of an inode number."""
    return value - (1 << 64) if value >= 1 << 63 else value
