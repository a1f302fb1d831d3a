"""Which files with several names were met before: on disk, because a snapshot may hold any number of them.

Two nodes are names of one file if device, inode and content agree; a file that changed between the reading of its names
is restored as several. A row goes when all names have been met.
"""

from __future__ import annotations

from contextlib import ExitStack
from hashlib import blake2b
from pathlib import Path

import msgspec

from argosy.restic_format.node import Node
from argosy.sqlite import Database, open_database

_CREATE = """CREATE TABLE firsts (key BLOB PRIMARY KEY, path BLOB NOT NULL, name BLOB NOT NULL, work INTEGER NOT NULL,
                                  unmet INTEGER NOT NULL) WITHOUT ROWID"""
_FIND = "SELECT path, name, work, unmet FROM firsts WHERE key = ?"


class First(msgspec.Struct, frozen=True, array_like=True):
    """The first name of a file. ``work`` is the number of the task, or of the large file, that restores it."""

    path: bytes
    name: bytes
    work: int


class FirstNames:
    """First names by the file that they are names of. Not thread-safe; errors are StateError and StateFull."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._database: Database | None = None
        self._stack = ExitStack()

    def first_of(self, node: Node, path: bytes, name: bytes, work: int) -> First | None:
        """The first name of the node's file; None if this is it, which is remembered from now on."""
        database = self._database or self._open()
        key = _key(node)
        row = database.first(_FIND, (key,))
        if row is None:
            sql = "INSERT INTO firsts VALUES (?, ?, ?, ?, ?)"
            database.execute(sql, (key, path, name, work, node.links - 1))
            return None
        unmet = row[3] - 1
        if unmet > 0:
            database.execute("UPDATE firsts SET unmet = ? WHERE key = ?", (unmet, key))
        else:
            database.execute("DELETE FROM firsts WHERE key = ?", (key,))
        return First(*row[:3])

    def close(self) -> None:
        """Close the file. It is of no use to anyone else."""
        self._stack.close()

    def _open(self) -> Database:
        database = self._database = open_database(self._directory / "first-names.sqlite", durable=False)
        self._stack.callback(database.close)
        # One transaction from begin to end: nobody else reads this, and a row then costs no system call.
        self._stack.enter_context(database.transaction())
        database.execute(_CREATE)
        return database


def _key(node: Node) -> bytes:
    said = (node.type, node.inode, node.device_id, node.linktarget, node.linktarget_raw, node.device, node.content)
    return blake2b(msgspec.msgpack.encode(said), digest_size=32).digest()
