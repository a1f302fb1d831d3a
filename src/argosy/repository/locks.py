"""The lock of a running command, as restic takes it (DESIGN.md R3).

Taking it: look for a conflicting lock, write ours, wait 200 ms, look again; who then sees the other gives up.
``begin`` and ``confirm`` are apart so that other work (opening databases, reading the parent) fills the wait.
From ``confirm`` on a thread refreshes the lock every 5 minutes by writing a new file and deleting the old
one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import msgspec

from argosy.errors import LeaseLost, RepositoryError, RepositoryLocked, StorageError, StorageNotFound
from argosy.repository.layout import FileKind, object_name
from argosy.repository.lease import LEASE_SECONDS, WriteLease, boot_seconds
from argosy.repository.lock_files import describe, load_locks
from argosy.repository.process_identity import current_identity, survive_probes
from argosy.repository.repository import Repository
from argosy.restic_format.lock_file import LockFile, encode_lock
from argosy.restic_format.times import format_time

# A refresh that hangs in the store's retries must not hold up the end of a command for longer.
_JOIN_SECONDS = 5.0


class LockTiming(msgspec.Struct, frozen=True):
    """restic's intervals, in seconds."""

    settle_seconds: float = 0.2
    refresh_seconds: float = 5 * 60.0
    lease_seconds: float = LEASE_SECONDS
    unreadable_pause_seconds: float = 5.0
    first_retry_seconds: float = 5.0
    longest_retry_seconds: float = 60.0


_USUAL = LockTiming()


class RepositoryLock:
    """One lock of this process; a context manager that releases it. Thread-safe.

    ``on_refresh`` is called from the refresh thread with the seconds for which writing is allowed from then
    on.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        exclusive: bool,
        timing: LockTiming,
        on_refresh: Callable[[float], None] | None,
        clock: Callable[[], float],
    ) -> None:
        self.exclusive = exclusive
        self.lease = WriteLease(clock=clock)
        self._repository = repository
        self._where = repository.storage.location
        self._timing = timing
        self._on_refresh = on_refresh
        self._clock = clock
        self._mutex = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._id = b""
        self._written_at = 0.0
        self._since = ""
        self._lost = ""
        self._trouble = ""
        self._left_behind: list[bytes] = []

    @classmethod
    def begin(
        cls,
        repository: Repository,
        *,
        exclusive: bool = False,
        timing: LockTiming = _USUAL,
        on_refresh: Callable[[float], None] | None = None,
        clock: Callable[[], float] = boot_seconds,
    ) -> Self:
        """Write a lock unless another conflicts (RepositoryLocked). It does not count before ``confirm``."""
        survive_probes()
        lock = cls(repository, exclusive=exclusive, timing=timing, on_refresh=on_refresh, clock=clock)
        lock._refuse_conflict()
        lock._id = lock._write()
        return lock

    def confirm(self) -> None:
        """Look again once the rest of the 200 ms is over; on a conflict undo, and raise RepositoryLocked.

        A lock that is confirmed stays so.
        """
        if self._thread is not None:
            return
        time.sleep(max(0.0, self._written_at + self._timing.settle_seconds - self._clock()))
        try:
            self._refuse_conflict()
        except BaseException:
            with suppress(StorageError):
                self.release()
            raise
        self._extend()
        self._thread = threading.Thread(target=self._refresh_regularly, name="refresh-lock", daemon=True)
        self._thread.start()

    def confirm_if_due(self) -> None:
        """``confirm`` if the 200 ms are over: for whoever has other work meanwhile."""
        if self._clock() >= self._written_at + self._timing.settle_seconds:
            self.confirm()

    @property
    def id(self) -> bytes:
        """The id of the present lock file."""
        return self._id

    def lease_remaining_seconds(self) -> float:
        """Seconds until writing must stop, time of suspension included."""
        return self.lease.remaining_seconds()

    def check(self) -> None:
        """LeaseLost unless writing is allowed.

        After the machine was suspended the lock is revived here, if nobody has removed it meanwhile.
        """
        if self.lease.remaining_seconds() > 0 and not self._lost:
            return
        with self._mutex:
            if self.lease.remaining_seconds() > 0 and not self._lost:
                return
            if not self._lost and self._thread is not None:
                self._revive()
            if self._lost or self._thread is None:
                raise LeaseLost(
                    f"writing to {self._where} stopped: {self._lost or 'no lock is held'}",
                    hint="Run the command again: it resumes, and uploads nothing twice.",
                )

    def release(self) -> None:
        """Remove the lock and end its refreshing; idempotent. StorageError if the file cannot be removed."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_JOIN_SECONDS)
        self.lease.revoke()
        self._lost = self._lost or "the lock was released"
        lock_ids = [lock_id for lock_id in (self._id, *self._left_behind) if lock_id]
        self._id, self._left_behind = b"", []
        for lock_id in lock_ids:
            self._repository.delete(FileKind.LOCK, lock_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.release()
        else:
            # The error that ended the command is the one to report; the lock grows stale by itself.
            with suppress(StorageError):
                self.release()

    def _refuse_conflict(self) -> None:
        others = load_locks(
            self._repository,
            besides=self._id,
            unreadable_pause_seconds=self._timing.unreadable_pause_seconds,
        )
        for other in others:
            if self.exclusive or other.file.exclusive:
                raise RepositoryLocked(
                    f"{self._where} is locked: {describe(other.file, time.time_ns())}",
                    hint="Wait for it with --retry-lock; if that process is gone, run `argosy unlock`.",
                )

    def _write(self) -> bytes:
        identity = current_identity()
        self._written_at = self._clock()
        now = format_time(time.time_ns())
        self._since = self._since or now
        content = LockFile(
            now,
            self.exclusive,
            identity.hostname,
            identity.username,
            identity.pid,
            identity.uid,
            identity.gid,
            self._since,
        )
        return self._repository.save_unpacked(FileKind.LOCK, encode_lock(content))

    def _extend(self) -> None:
        """The lease counts from the time in the lock file, not from when the store said that it has it."""
        self.lease.extend(self._timing.lease_seconds - (self._clock() - self._written_at))

    def _refresh_regularly(self) -> None:
        # Looked at often, because waiting takes no notice of suspension; and a refresh that failed is tried
        # again.
        while not self._stop.wait(self._timing.refresh_seconds / 10):
            if self._clock() - self._written_at < self._timing.refresh_seconds:
                continue
            try:
                with self._mutex:
                    self._refresh()
            except (RepositoryError, StorageError) as error:
                # Not the end yet: ``check`` says why if the lease runs out before a refresh succeeds.
                self._trouble = str(error)
            else:
                if self._on_refresh is not None:
                    self._on_refresh(self.lease.remaining_seconds())

    def _revive(self) -> None:
        try:
            self._refresh()
        except (RepositoryError, StorageError) as error:
            self._lose(f"its lock was not refreshed in time ({self._trouble or error})")

    def _refresh(self) -> None:
        """Write a new lock file and delete the old one, which must be there before and after.

        Gone means that somebody took it for stale, and may have pruned what this command relies on.
        """
        old_id, old_written_at = self._id, self._written_at
        while self._left_behind:
            self._repository.delete(FileKind.LOCK, self._left_behind[-1])
            self._left_behind.pop()
        expired = self.lease.remaining_seconds() == 0
        if not self._is_there(old_id):
            self._lose("somebody removed its lock")
            return
        try:
            new_id = self._write()
        except BaseException:
            self._written_at = old_written_at
            raise
        if expired:
            time.sleep(self._timing.settle_seconds)
        # From here on the file of the two that does not count is removed at once, or with the next chance.
        self._left_behind.append(new_id)
        if self._stop.is_set():
            self._repository.delete(FileKind.LOCK, new_id)
        elif self._is_there(old_id):
            self._id, self._left_behind[-1] = new_id, old_id
            self._extend()
            self._repository.delete(FileKind.LOCK, old_id)
        else:
            self._lose("somebody removed its lock")
            self._repository.delete(FileKind.LOCK, new_id)
        self._left_behind.clear()

    def _is_there(self, lock_id: bytes) -> bool:
        try:
            self._repository.storage.size(object_name(FileKind.LOCK, lock_id))
        except StorageNotFound:
            return False
        return True

    def _lose(self, reason: str) -> None:
        self._lost = reason
        self.lease.revoke()


def acquire(
    repository: Repository,
    exclusive: bool = False,
    retry_seconds: float = 0.0,
    *,
    timing: LockTiming = _USUAL,
    on_refresh: Callable[[float], None] | None = None,
    on_wait: Callable[[RepositoryLocked], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> RepositoryLock:
    """Take a lock; while another one conflicts, try again for ``retry_seconds``, then RepositoryLocked.

    ``on_wait`` hears, once, of the first one that is waited for.
    """
    ends_at = time.monotonic() + retry_seconds
    pause_seconds = timing.first_retry_seconds
    has_waited = False
    while True:
        try:
            lock = RepositoryLock.begin(repository, exclusive=exclusive, timing=timing, on_refresh=on_refresh)
            lock.confirm()
        except RepositoryLocked as error:
            left_seconds = ends_at - time.monotonic()
            if left_seconds <= 0:
                raise
            if not has_waited:
                has_waited = True
                on_wait(error)
            sleep(min(pause_seconds, left_seconds))
            pause_seconds = min(pause_seconds * 2, timing.longest_retry_seconds)
        else:
            return lock
