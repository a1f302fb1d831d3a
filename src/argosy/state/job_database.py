"""One job's database: the writer connection, the mutex of the models, and the commit that joins them."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from argosy.errors import StateBusy, StateError
from argosy.sqlite import Database, migrate, open_database
from argosy.state.schema import MIGRATIONS

Statement = tuple[str, Sequence[Any]]


class Model(Protocol):
    """A table's state in memory."""

    def changes(self) -> list[Statement]:
        """Statements that bring the table up to the model; called under the mutex, forgets what it returned."""

    def committed(self) -> None:
        """Called after those statements are durable."""


class JobDatabase:
    """An open job file. ``commit`` is called by one thread; the models' mutators by any, under ``mutex``."""

    def __init__(self, path: Path, database: Database, lock_descriptor: int) -> None:
        self.path = path
        self.mutex = threading.RLock()
        self.commits = 0
        self._database = database
        self._lock_descriptor = lock_descriptor
        self._models: list[Model] = []
        self._journal: list[Statement] = []
        self._reader: Database | None = None
        self._reader_mutex = threading.Lock()

    def attach(self, model: Model) -> None:
        """Let ``model`` take part in every commit, in the order of attachment."""
        self._models.append(model)

    def detached(self) -> JobDatabase:
        """The same file without the models attached so far: for a job whose results are thrown away."""
        with self.mutex:
            self._models.clear()
            self._journal.clear()
        return self

    def journal(self, sql: str, bindings: Sequence[Any] = ()) -> None:
        """Add one statement to the next commit, in order."""
        with self.mutex:
            self._journal.append((sql, bindings))

    def commit(self) -> bool:
        """Write everything that changed since the last commit in one transaction; False when nothing had.

        Safe to die here: before COMMIT the last moment stands, after it the new one.
        """
        with self.mutex:
            statements = self._journal
            self._journal = []
            for model in self._models:
                statements += model.changes()
        if statements:
            with self._database.transaction():
                for sql, bindings in statements:
                    self._database.execute(sql, bindings)
            self.commits += 1
        with self.mutex:
            for model in self._models:
                model.committed()
        return bool(statements)

    def read(self, sql: str, bindings: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows as of the last commit, from a connection of its own; safe from any thread."""
        with self._reader_mutex:
            if self._reader is None:
                self._reader = open_database(self.path, durable=False, read_only=True)
            return self._reader.execute(sql, bindings)

    def close(self) -> None:
        """Close the connections and let go of the job."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._database.close()
        os.close(self._lock_descriptor)

    def delete(self) -> None:
        """Remove the job file; called once the job is closed and stands in the history."""
        for suffix in ("-wal", "-shm", ""):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        self.path.with_name(self.path.name + ".lock").unlink(missing_ok=True)


def open_job_database(path: Path) -> JobDatabase:
    """Open or make the job file at ``path`` and hold it alone; StateBusy names the pid that has it."""
    descriptor = _hold(path)
    try:
        database = open_database(path, durable=True)
        migrate(database, MIGRATIONS)
    except BaseException:
        os.close(descriptor)
        raise
    return JobDatabase(path, database, descriptor)


def _hold(path: Path) -> int:
    lock_path = path.with_name(path.name + ".lock")
    try:
        descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(
            f"cannot open {lock_path}: {error.strerror}", hint="Check the state directory's owner and mode."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise StateBusy(
            f"job {path.stem} is already being run by process {holder}",
            hint="Wait for it, or watch it with 'argosy status'.",
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
    return descriptor
