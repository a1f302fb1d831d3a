"""`argosy unlock`: removes locks whose holders are gone, or all, and says which and why."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from argosy.errors import Damaged, StorageNotFound
from argosy.operations.session import Access, open_session
from argosy.repository.layout import FileKind
from argosy.repository.lock_files import describe, is_stale, load_lock, unlock
from argosy.repository.process_identity import current_identity, process_exists
from argosy.repository.repository import Repository


class LockSeen(msgspec.Struct, frozen=True):
    """A lock: its holder and age in words, and why it was removed or kept."""

    id: bytes
    description: str
    reason: str


class UnlockResult(msgspec.Struct, frozen=True):
    """What was removed and what stays."""

    removed: Sequence[LockSeen]
    kept: Sequence[LockSeen]


class _Look(msgspec.Struct, frozen=True):
    """A lock before anything was removed."""

    description: str
    exists: bool = True
    is_readable: bool = True
    holder_is_gone: bool = False
    is_stale: bool = False


def run_unlock(access: Access, *, remove_all: bool = False) -> UnlockResult:
    """Remove stale locks: not refreshed for 30 minutes, or of a process of this machine that is gone.

    With ``remove_all`` every lock: whoever holds one loses it, and must not be writing. A lock that cannot be read has
    no age, so it stays otherwise.
    """
    with open_session(access, lock=False) as session:
        repository = session.repository
        looks = {lock_id: _look(repository, lock_id) for lock_id in repository.list_ids(FileKind.LOCK)}
        removed_ids = set(unlock(repository, remove_all=remove_all))
    removed, kept = [], []
    for lock_id, look in looks.items():
        if lock_id in removed_ids:
            removed.append(LockSeen(lock_id, look.description, _why_removed(look)))
        elif look.exists:
            kept.append(LockSeen(lock_id, look.description, _why_kept(look)))
    return UnlockResult(removed, kept)


def _look(repository: Repository, lock_id: bytes) -> _Look:
    identity = current_identity()
    try:
        lock = load_lock(repository, lock_id).file
    except StorageNotFound:
        return _Look("lock that was just released", exists=False)
    except Damaged:
        return _Look("lock that cannot be read", is_readable=False)
    now_ns = time.time_ns()
    gone = lock.hostname == identity.hostname and not process_exists(lock.pid)
    return _Look(describe(lock, now_ns), holder_is_gone=gone, is_stale=is_stale(lock, now_ns, identity))


def _why_removed(look: _Look) -> str:
    if look.holder_is_gone:
        return "its process is gone"
    if look.is_stale:
        return "it was not refreshed for 30 minutes"
    if look.is_readable:
        return "all locks were to be removed; whoever held it must not write any more"
    return "all locks were to be removed"


def _why_kept(look: _Look) -> str:
    return "it may still be held" if look.is_readable else "nobody knows its age; --remove-all removes it"
