"""One job's database: the writer connection, the mutex of the models, and the commit that joins them."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

from argosy.errors import StateBusy, StateError
from argosy.sqlite import Database, migrate, open_database
from argosy.state.schema import MIGRATIONS

_HOLD_PATIENCE_SECONDS = 0.5
_HOLD_PAUSE_SECONDS = 0.02

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
        self._failure: BaseException | None = None
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

        Safe to die here: before COMMIT the last moment stands, after it the new one. A failure is final and raised by
        every later commit: what the models handed over is lost, and a later moment without it was never one.
        """
        if self._failure is not None:
            raise self._failure
        with self.mutex:
            statements = self._journal
            self._journal = []
            for model in self._models:
                statements += model.changes()
        if statements:
            self._write(statements)
            self.commits += 1
        with self.mutex:
            for model in self._models:
                model.committed()
        return bool(statements)

    def _write(self, statements: list[Statement]) -> None:
        try:
            with self._database.transaction():
                # Like ones that follow one another are prepared once.
                for sql, alike in groupby(statements, itemgetter(0)):
                    self._database.execute_many(sql, [bindings for _, bindings in alike])
        except BaseException as error:
            self._failure = error
            raise

    def read(self, sql: str, bindings: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows as of the last commit, from a connection of its own; safe from any thread."""
        with self._reader_mutex:
            if self._reader is None:
                self._reader = open_database(self.path, durable=False, read_only=True)
            return self._reader.execute(sql, bindings)

    def close(self) -> None:
        """Close the connections and let go of the job; safe to repeat."""
        if self._lock_descriptor < 0:
            return
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._database.close()
        os.close(self._lock_descriptor)
        self._lock_descriptor = -1

    def delete(self) -> None:
        """Remove the job file; called once the job stands in the history. ``close`` follows, or came before."""
        if self._lock_descriptor >= 0:
            self._database.leave_as_it_is()
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


def _lock_patiently(descriptor: int) -> None:
    """Lock the file alone. Whoever only looks whether a job runs holds it for a moment too: that one is waited for."""
    deadline = time.monotonic() + _HOLD_PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(_HOLD_PAUSE_SECONDS)


def _hold(path: Path) -> int:
    lock_path = path.with_name(path.name + ".lock")
    try:
        descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(
            f"cannot open {lock_path}: {error.strerror}", hint="Check the state directory's owner and mode."
        ) from error
    try:
        _lock_patiently(descriptor)
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
