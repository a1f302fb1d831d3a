"""The locks of a repository: who holds one, which are stale, and their removal."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from argosy.errors import Damaged, RepositoryLocked, StorageNotFound
from argosy.repository.layout import FileKind
from argosy.repository.lease import STALE_SECONDS
from argosy.repository.process_identity import ProcessIdentity, current_identity, process_exists
from argosy.repository.repository import Repository
from argosy.restic_format.lock_file import LockFile, decode_lock

# A lock that cannot be decoded may be half written by a store that is not atomic: restic gives it as much
# time.
_TRIES = 4


class StoredLock(msgspec.Struct, frozen=True):
    """A lock file and its id."""

    id: bytes
    file: LockFile


def load_locks(
    repository: Repository,
    *,
    besides: bytes = b"",
    unreadable_pause_seconds: float = 5.0,
    sleep: Callable[[float], None] = time.sleep,
) -> list[StoredLock]:
    """All locks but the one named ``besides``. Empty files and locks that vanish meanwhile are left out.

    RepositoryLocked if one cannot be decoded in four tries: somebody may hold it.
    """
    locks = []
    for lock_id, size_bytes in list(repository.list_files(FileKind.LOCK)):
        if lock_id != besides and size_bytes:
            lock = _load_patiently(repository, lock_id, unreadable_pause_seconds, sleep)
            if lock is not None:
                locks.append(lock)
    return locks


def _load_patiently(
    repository: Repository, lock_id: bytes, pause_seconds: float, sleep: Callable[[float], None]
) -> StoredLock | None:
    """One lock, or None if it is gone."""
    for tries_left in reversed(range(_TRIES)):
        try:
            return load_lock(repository, lock_id)
        except StorageNotFound:
            return None
        except Damaged as error:
            if not tries_left:
                raise RepositoryLocked(
                    f"lock {lock_id.hex()} of {repository.storage.location} cannot be read",
                    hint="If nobody uses the repository, run `argosy unlock --remove-all`.",
                ) from error
        sleep(pause_seconds)
        pause_seconds *= 2
    return None


def load_lock(repository: Repository, lock_id: bytes) -> StoredLock:
    """One lock. StorageNotFound if it is gone, Damaged if it cannot be decoded."""
    return StoredLock(lock_id, decode_lock(repository.load_unpacked(FileKind.LOCK, lock_id), f"lock {lock_id.hex()}"))


def describe(lock: LockFile, now_ns: int) -> str:
    """The holder and the times of a lock, for a message."""
    minutes, seconds = divmod(max(0, now_ns - lock.time_ns()) // 1_000_000_000, 60)
    age = f"{minutes} min" if minutes else f"{seconds} s"
    kind = "exclusive lock" if lock.exclusive else "lock"
    since = f", held since {lock.since}" if lock.since else ""
    return f"{kind} of {lock.username} on {lock.hostname} (PID {lock.pid}){since}, refreshed {age} ago at {lock.time}"


def is_stale(lock: LockFile, now_ns: int, identity: ProcessIdentity) -> bool:
    """Whether its holder is gone: not refreshed for 30 minutes, or a dead process of this machine."""
    if now_ns - lock.time_ns() > STALE_SECONDS * 1e9:
        return True
    return lock.hostname == identity.hostname and not process_exists(lock.pid)


def unlock(repository: Repository, *, remove_all: bool = False) -> list[bytes]:
    """Remove stale locks, or with ``remove_all`` every one; returns the ids of those removed.

    A lock that cannot be decoded stays, unless all are removed: nobody knows its age.
    """
    removed = []
    identity, now_ns = current_identity(), time.time_ns()
    for lock_id in repository.list_ids(FileKind.LOCK):
        if not remove_all:
            try:
                stale = is_stale(load_lock(repository, lock_id).file, now_ns, identity)
            except (StorageNotFound, Damaged):
                continue
            if not stale:
                continue
        repository.delete(FileKind.LOCK, lock_id)
        removed.append(lock_id)
    return removed
