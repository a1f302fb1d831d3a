"""`argosy unlock` removes what is stale, keeps what is not, and says why."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from argosy.repository.layout import FileKind
from argosy.repository.repository import open_repository
from argosy.restic_format.lock_file import LockFile, encode_lock
from argosy.restic_format.times import format_time
from argosy.storage.open import open_storage
from tests.support.command import Argosy
from tests.support.compared import Compared
from tests.support.damage import flip
from tests.support.restic import PASSWORD

AN_HOUR_NS = 3600 * 10**9


@pytest.fixture
def argosy(tmp_path: Path) -> Argosy:
    """The program, with a repository."""
    made = Argosy(tmp_path)
    made.run("init")
    return made


def put_lock(argosy: Argosy, *, age_ns: int = 0, hostname: str = "elsewhere", pid: int = 1) -> str:
    """Leave somebody's lock; returns its id."""
    repository = open_repository(open_storage(str(argosy.repository)), PASSWORD.encode())
    lock = LockFile(format_time(time.time_ns() - age_ns), False, hostname, "somebody", pid)
    return repository.save_unpacked(FileKind.LOCK, encode_lock(lock)).hex()


def locks(argosy: Argosy) -> list[str]:
    return argosy.run("list", "locks").stdout.decode().split()


def a_dead_process() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
        return process.pid


def test_nothing_to_do(argosy: Argosy) -> None:
    assert argosy.says("unlock") == "no locks\n"


def test_old_locks_and_those_of_dead_processes_go(argosy: Argosy) -> None:
    old = put_lock(argosy, age_ns=AN_HOUR_NS)
    dead = put_lock(argosy, hostname=os.uname().nodename, pid=a_dead_process())
    alive = put_lock(argosy, hostname=os.uname().nodename, pid=os.getpid())
    fresh = put_lock(argosy)
    said = argosy.says("unlock")
    assert sorted(locks(argosy)) == sorted([alive, fresh])
    for lock, words in ((old, "30 minutes"), (dead, "its process is gone"), (alive, "held"), (fresh, "somebody")):
        assert any(lock[:8] in line and words in line for line in said.splitlines()), said
    assert "successfully removed 2 locks" in said


def test_remove_all_removes_all(argosy: Argosy) -> None:
    put_lock(argosy)
    unreadable = put_lock(argosy)
    flip(argosy.repository / "locks" / unreadable, 30)
    assert "kept" in argosy.says("unlock")
    assert len(locks(argosy)) == 2
    said = argosy.says("unlock", "--remove-all")
    assert "lock that cannot be read: all locks were to be removed" in said
    assert "whoever held it must not write any more" in said
    assert locks(argosy) == []


def test_documents_name_what_was_removed_and_kept(argosy: Argosy) -> None:
    old, fresh = put_lock(argosy, age_ns=AN_HOUR_NS), put_lock(argosy)
    (document,) = argosy.documents("unlock")
    assert [lock["id"] for lock in document["removed"]] == [old]
    assert [lock["id"] for lock in document["kept"]] == [fresh]


def test_the_lock_of_a_running_restic_stays(compared: Compared) -> None:
    with compared.model.locked():
        assert "kept" in compared.argosy.says("unlock")
        assert len(locks(compared.argosy)) == 1
