"""Which locks are stale, and who removes them."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from argosy.repository.layout import FileKind, object_name
from argosy.repository.lock_files import describe, is_stale, unlock
from argosy.repository.process_identity import ProcessIdentity, current_identity, process_exists
from argosy.repository.repository import Repository
from argosy.restic_format.lock_file import LockFile, encode_lock
from argosy.restic_format.times import format_time
from tests.support.storage_doubles import MemoryStorage

NOW_NS = 1_700_000_000 * 10**9
HERE = ProcessIdentity("here", "somebody", 1, 0, 0)
MINUTE_NS = 60 * 10**9


@pytest.fixture(scope="module")
def dead_pid() -> int:
    """The number of a process that has ended."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def make_lock(*, host: str = "elsewhere", pid: int = 1, taken_ns: int = NOW_NS) -> LockFile:
    return LockFile(format_time(taken_ns), False, host, "somebody", pid)


def test_a_lock_is_stale_after_30_minutes() -> None:
    assert not is_stale(make_lock(taken_ns=NOW_NS - 29 * MINUTE_NS), NOW_NS, HERE)
    assert is_stale(make_lock(taken_ns=NOW_NS - 31 * MINUTE_NS), NOW_NS, HERE)


def test_a_lock_of_a_dead_process_of_this_machine_is_stale(dead_pid: int) -> None:
    assert is_stale(make_lock(host="here", pid=dead_pid), NOW_NS, HERE)
    assert not is_stale(make_lock(host="here", pid=current_identity().pid), NOW_NS, HERE)


def test_nothing_is_known_of_processes_of_other_machines(dead_pid: int) -> None:
    assert not is_stale(make_lock(host="elsewhere", pid=dead_pid), NOW_NS, HERE)


def test_a_process_of_another_user_exists_too() -> None:
    assert process_exists(1)
    assert process_exists(2**70)  # not a number of this system: not certainly dead


def test_unlock_removes_stale_locks_only(repository: Repository, storage: MemoryStorage, dead_pid: int) -> None:
    now_ns = time.time_ns()
    host = current_identity().hostname
    fresh, old, dead = (
        repository.save_unpacked(FileKind.LOCK, encode_lock(lock))
        for lock in (
            make_lock(taken_ns=now_ns),
            make_lock(taken_ns=now_ns - 31 * MINUTE_NS),
            make_lock(host=host, pid=dead_pid, taken_ns=now_ns),
        )
    )
    unreadable = bytes(32)
    storage.put(object_name(FileKind.LOCK, unreadable), b"half a lo")
    assert set(unlock(repository)) == {old, dead}
    assert set(repository.list_ids(FileKind.LOCK)) == {fresh, unreadable}
    assert set(unlock(repository, remove_all=True)) == {fresh, unreadable}
    assert repository.list_ids(FileKind.LOCK) == []


def test_a_message_names_the_holder_and_the_age() -> None:
    lock = make_lock(taken_ns=NOW_NS - 90 * 10**9)
    assert describe(lock, NOW_NS) == (
        "lock of somebody on elsewhere (PID 1), refreshed 1 min ago at 2023-11-14T22:11:50Z"
    )
    ours = LockFile(lock.time, False, "elsewhere", "somebody", 1, since="2023-11-14T20:00:00Z")
    assert "(PID 1), held since 2023-11-14T20:00:00Z, refreshed 1 min ago" in describe(ours, NOW_NS)
    assert "exclusive lock of" in describe(LockFile(lock.time, True, "h", "u", 1), NOW_NS)
