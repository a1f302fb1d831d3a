"""The only door to SQLite (apsw: Debian 12's own 3.40 can corrupt a WAL database).

``open_database`` gives a connection with WAL, a busy time-out and the durability asked for. Files are made with
mode 0600. Library errors leave as StateFull, Damaged or StateError, each naming the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw

from argosy.errors import ArgosyError, Damaged, StateError, StateFull, StateNewer

BUSY_TIMEOUT_MILLISECONDS = 10_000

Row = tuple[Any, ...]
Migration = Callable[["Database"], None]


class Database:
    """One connection. Not shared between threads at the same time: callers hold their own lock."""

    def __init__(self, path: Path, connection: apsw.Connection) -> None:
        self.path = path
        self._connection = connection

    def execute(self, sql: str, bindings: Sequence[Any] = ()) -> list[Row]:
        """Run one statement and return all its rows."""
        # No context manager here: it would add half a microsecond to each of a backup's lookups.
        try:
            return list(self._connection.execute(sql, bindings))
        except apsw.Error as error:
            raise _as_ours(self.path, error) from error

    def iterate(self, sql: str, bindings: Sequence[Any] = ()) -> Iterator[Row]:
        """Run one query and stream its rows (bounded memory)."""
        with _translated(self.path):
            yield from self._connection.execute(sql, bindings)

    def first(self, sql: str, bindings: Sequence[Any] = ()) -> Row | None:
        """The first row of a query, or None."""
        with _translated(self.path):
            for row in self._connection.execute(sql, bindings):
                return tuple(row)
            return None

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row of bindings."""
        with _translated(self.path):
            self._connection.executemany(sql, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """BEGIN IMMEDIATE … COMMIT; rolled back on any exception."""
        with _translated(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            with _translated(self.path):
                self._connection.execute("COMMIT")
        except BaseException:
            # The first error is the one to report; SQLite may have rolled back by itself already.
            with suppress(apsw.Error):
                self._connection.execute("ROLLBACK")
            raise

    def leave_as_it_is(self) -> None:
        """Let ``close`` not merge the write-ahead log into a file that is to be deleted."""
        self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)

    def close(self) -> None:
        """Close the connection; further calls fail."""
        self._connection.close()


def open_database(path: Path, *, durable: bool, read_only: bool = False) -> Database:
    """Open (or make, mode 0600) the database at ``path``.

    ``durable`` means synchronous=FULL: a committed transaction survives power loss. Without it a power loss may
    cost the last transactions, never the file's integrity (WAL).
    """
    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    if not read_only:
        _make_private(path)
    with _translated(path):
        connection = apsw.Connection(str(path), flags=flags)
        connection.set_busy_timeout(BUSY_TIMEOUT_MILLISECONDS)
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute("PRAGMA temp_store = MEMORY")
    return Database(path, connection)


def migrate(database: Database, migrations: Sequence[Migration]) -> None:
    """Bring ``PRAGMA user_version`` to ``len(migrations)``, one transaction a step; a newer file is refused."""
    rows = database.execute("PRAGMA user_version")
    version = int(rows[0][0])
    if version > len(migrations):
        raise StateNewer(
            f"{database.path} was written by a newer Argosy (schema {version}, this one knows {len(migrations)})",
            hint="Use that version, or another --state-dir.",
        )
    for number in range(version, len(migrations)):
        with database.transaction():
            migrations[number](database)
            database.execute(f"PRAGMA user_version = {number + 1}")


def _make_private(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StateError(
            f"cannot open {path}: {error.strerror}", hint="Check the directory's owner and mode."
        ) from error


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        raise _as_ours(path, error) from error


def _as_ours(path: Path, error: apsw.Error) -> ArgosyError:
    if isinstance(error, apsw.FullError):
        return StateFull(f"no room left for {path}", hint="Free some space and run the command again.")
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return Damaged(f"{path} is damaged: {error}", hint="Remove it and run the command again.")
    return StateError(f"{path}: {error}", hint="Check the disk and the file's owner, then run it again.")
