"""What a job is: its id, what it was asked to do, its counters, and the closing documents."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from argosy.state.job_database import JobDatabase, Statement

_HEARTBEAT_SECONDS = 30.0


class JobRecord(msgspec.Struct, frozen=True):
    """A job's identity. ``spec`` is what must be equal for a resume (R5), encoded by the operation.

    ``started_ns`` is the first start (the snapshot's time), ``parent`` the parent snapshot's id in hex or "".
    """

    id: str
    kind: str
    repository_id: str
    location: str
    started_ns: int
    spec: bytes
    parent: str = ""
    relied_indexes: tuple[bytes, ...] = ()


class JobState:
    """Key and value rows of a job: its record, counters, what survived, closing documents."""

    def __init__(self, job: JobDatabase) -> None:
        self._job = job
        self._counters: dict[str, Any] = {}
        self._dirty = False
        self._active = time.time()
        job.attach(self)

    def create(self, record: JobRecord) -> None:
        """Write the record of a new job (with the next commit)."""
        self.put("record", msgspec.msgpack.encode(record))

    def record(self) -> JobRecord | None:
        """The record, or None in a file whose first commit never came."""
        value = self.get("record")
        return None if value is None else msgspec.msgpack.decode(value, type=JobRecord)

    def put(self, key: str, value: bytes) -> None:
        """Set one row (with the next commit)."""
        self._job.journal("INSERT OR REPLACE INTO job VALUES (?, ?)", (key, value))

    def get(self, key: str) -> bytes | None:
        """One row as of the last commit."""
        rows = self._job.read("SELECT value FROM job WHERE key = ?", (key,))
        return None if not rows else bytes(rows[0][0])

    def load_counters(self) -> dict[str, Any]:
        """The counters of an interrupted job."""
        value = self.get("counters")
        self._counters = {} if value is None else msgspec.json.decode(value)
        return self._counters

    @property
    def counters(self) -> dict[str, Any]:
        """The live counters; read under the job's mutex."""
        return self._counters

    def count(self, **increments: int) -> None:
        """Add to the counters; they are saved by the commit that saves what they count."""
        with self._job.mutex:
            for key, value in increments.items():
                self._counters[key] = self._counters.get(key, 0) + value
            self._dirty = True

    def changes(self) -> list[Statement]:
        """The counters if one has changed, and every so often the time, which a resume measures the job's age by."""
        now = time.time()
        if not self._dirty and now - self._active < _HEARTBEAT_SECONDS:
            return []
        self._dirty, self._active = False, now
        return [
            ("INSERT OR REPLACE INTO job VALUES ('counters', ?)", (msgspec.json.encode(self._counters),)),
            ("INSERT OR REPLACE INTO job VALUES ('active', ?)", (msgspec.json.encode(now),)),
        ]

    def committed(self) -> None:
        """Nothing to forget."""


class Reports:
    """What could not be read and what happened, in the order of its happening; unread entries are kept whole."""

    def __init__(self, job: JobDatabase) -> None:
        self._job = job
        self.listener: Callable[[bytes, str], None] = lambda _path, _reason: None

    def unread(self, path: bytes, reason: str) -> None:
        """Name a file or directory that could not be saved, to the report and to the listener."""
        self.listener(path, reason)
        self._job.journal("INSERT INTO unread (path, reason) VALUES (?, ?)", (path, reason))

    def log(self, text: str) -> None:
        """Note an event: a resume, a lost worker, a refusal."""
        self._job.journal("INSERT INTO log (time, text) VALUES (?, ?)", (time.time(), text))

    def unread_entries(self, most: int = 1_000_000) -> list[tuple[bytes, str]]:
        """(path, reason) of each unread entry as of the last commit."""
        rows = self._job.read("SELECT path, reason FROM unread ORDER BY number LIMIT ?", (most,))
        return [(row[0], row[1]) for row in rows]

    def log_entries(self) -> list[tuple[float, str]]:
        """(Unix seconds, text) of each event as of the last commit."""
        return [(row[0], row[1]) for row in self._job.read("SELECT time, text FROM log ORDER BY number")]
