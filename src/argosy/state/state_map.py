"""The state map: each member with what it does, and each scan thread with the batch that it fills (S2, S6)."""

from __future__ import annotations

import time

import msgspec

from argosy.state.job_database import JobDatabase, Statement


class MemberRow(msgspec.Struct):
    """A member. ``files`` and ``bytes`` are what it completed in this job."""

    name: str
    host: str
    pid: int
    workers: int
    joined: float
    last_seen: float
    left_at: float | None = None
    files: int = 0
    bytes: int = 0
    batches: int = 0


class ScanThreadRow(msgspec.Struct):
    """What a scan thread is at, and what it has put into its open batch."""

    thread: int
    path: bytes = b""
    directories: int = 0
    files: int = 0
    bytes: int = 0
    updated: float = 0.0


class StateMap:
    """Members and scan threads. Every method takes the job's mutex."""

    def __init__(self, job: JobDatabase) -> None:
        self._job = job
        self._members: dict[str, MemberRow] = {}
        self._threads: dict[int, ScanThreadRow] = {}
        self._ended: list[int] = []
        self._changed_members: set[str] = set()
        self._changed_threads: set[int] = set()
        job.attach(self)

    def load(self) -> None:
        """The members of an interrupted run keep what they completed; its scan threads are gone."""
        rows = self._job.read(
            "SELECT name, host, pid, workers, joined, last_seen, left_at, files, bytes, batches FROM members"
        )
        self._members = {row[0]: MemberRow(*row) for row in rows}
        self._job.journal("DELETE FROM scan_threads")

    def member_joined(self, name: str, host: str, pid: int, workers: int) -> None:
        """A member takes part from now on."""
        now = time.time()
        with self._job.mutex:
            row = self._members.setdefault(name, MemberRow(name, host, pid, workers, now, now))
            row.host, row.pid, row.workers, row.last_seen, row.left_at = host, pid, workers, now, None
            self._changed_members.add(name)

    def member_seen(self, name: str, workers: int | None = None) -> None:
        """Something came from the member."""
        with self._job.mutex:
            row = self._members.get(name)
            if row is not None:
                row.last_seen = time.time()
                if workers is not None:
                    row.workers = workers
                self._changed_members.add(name)

    def member_left(self, name: str) -> None:
        """The member is gone."""
        with self._job.mutex:
            row = self._members.get(name)
            if row is not None:
                row.left_at = time.time()
                self._changed_members.add(name)

    def member_completed(self, name: str, files: int, size_bytes: int) -> None:
        """A batch of this member was accepted."""
        with self._job.mutex:
            row = self._members.get(name)
            if row is not None:
                row.files += files
                row.bytes += size_bytes
                row.batches += 1
                row.last_seen = time.time()
                self._changed_members.add(name)

    def members(self) -> list[MemberRow]:
        """All members that ever took part in this job."""
        with self._job.mutex:
            return list(self._members.values())

    def filling(self, thread: int, path: bytes, directories: int, files: int, size_bytes: int) -> None:
        """A scan thread's progress with the batch that it fills."""
        with self._job.mutex:
            row = self._threads.setdefault(thread, ScanThreadRow(thread))
            row.path, row.directories, row.files, row.bytes = path, directories, files, size_bytes
            row.updated = time.time()
            self._changed_threads.add(thread)

    def thread_ended(self, thread: int) -> None:
        """A scan thread has ended, with nothing in its batch."""
        with self._job.mutex:
            self._changed_threads.discard(thread)
            if self._threads.pop(thread, None) is not None:
                self._ended.append(thread)

    def changes(self) -> list[Statement]:
        """Rows that changed since the last commit."""
        statements: list[Statement] = [("DELETE FROM scan_threads WHERE thread = ?", (ended,)) for ended in self._ended]
        for thread in self._changed_threads:
            row = self._threads[thread]
            values = (thread, row.path, row.directories, row.files, row.bytes, row.updated)
            statements.append(("INSERT OR REPLACE INTO scan_threads VALUES (?, ?, ?, ?, ?, ?)", values))
        for name in self._changed_members:
            member = self._members[name]
            statements.append(
                (
                    "INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        name,
                        member.host,
                        member.pid,
                        member.workers,
                        member.joined,
                        member.last_seen,
                        member.left_at,
                        member.files,
                        member.bytes,
                        member.batches,
                    ),
                )
            )
        self._ended, self._changed_threads, self._changed_members = [], set(), set()
        return statements

    def committed(self) -> None:
        """Nothing to forget: members and threads are few."""
