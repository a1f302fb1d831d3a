"""The history of jobs: one small file with what each ended job was, came to, could not read and survived."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from argosy.sqlite import Database, Migration, migrate, open_database


class JobHistory(msgspec.Struct, frozen=True):
    """One ended job. ``outcome`` is done, incomplete (some data unread), failed or closed; times are Unix seconds."""

    id: str
    kind: str
    location: str
    paths: list[str]
    started: float
    ended: float
    outcome: str
    snapshot: str = ""
    message: str = ""
    counters: dict[str, Any] = {}
    unread: list[tuple[str, str]] = []
    log: list[tuple[float, str]] = []


def _first_schema(database: Database) -> None:
    database.execute("CREATE TABLE jobs (id TEXT PRIMARY KEY, started REAL NOT NULL, document BLOB NOT NULL)")


_MIGRATIONS: tuple[Migration, ...] = (_first_schema,)


class History:
    """Ended jobs, by id."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, job: JobHistory) -> None:
        """Keep an ended job; safe to repeat."""
        database = self._open()
        try:
            document = msgspec.json.encode(job)
            with database.transaction():
                database.execute("INSERT OR REPLACE INTO jobs VALUES (?, ?, ?)", (job.id, job.started, document))
        finally:
            database.close()

    def all(self, most: int = 1000) -> list[JobHistory]:
        """Ended jobs, newest first."""
        database = self._open()
        try:
            rows = database.execute("SELECT document FROM jobs ORDER BY started DESC LIMIT ?", (most,))
        finally:
            database.close()
        return [msgspec.json.decode(row[0], type=JobHistory) for row in rows]

    def find(self, job_id: str) -> JobHistory | None:
        """One ended job, or None."""
        database = self._open()
        try:
            row = database.first("SELECT document FROM jobs WHERE id = ?", (job_id,))
        finally:
            database.close()
        return None if row is None else msgspec.json.decode(row[0], type=JobHistory)

    def _open(self) -> Database:
        database = open_database(self._path, durable=True)
        migrate(database, _MIGRATIONS)
        return database
