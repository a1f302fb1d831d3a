"""Opening a repository for an operation: how a lock that conflicts is waited for."""

from __future__ import annotations

import os
import re
import time
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

import argosy
from argosy.errors import Interrupted, RepositoryLocked
from argosy.operations import session
from argosy.operations.session import open_session
from argosy.repository.layout import FileKind
from argosy.repository.locks import LockTiming, RepositoryLock, acquire
from argosy.repository.repository import Repository
from argosy.restic_format.lock_file import LockFile, encode_lock
from argosy.restic_format.times import format_time
from tests.support.backups import Scene


class Rival:
    """Another machine that takes an exclusive lock right after ours was written, and has it until it is waited for."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.held = b""

    def take(self) -> None:
        """Write the lock."""
        lock = LockFile(format_time(time.time_ns()), True, "elsewhere", "somebody", 1)
        self.held = self._repository.save_unpacked(FileKind.LOCK, encode_lock(lock))

    def go(self, words: str) -> None:
        """Remove it: it is waited for."""
        assert "somebody on elsewhere" in words
        self._repository.delete(FileKind.LOCK, self.held)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "scene").init()


@pytest.fixture
def rival(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Rival:
    """It comes at the second look of the first lock, which is the moment that is easily forgotten."""
    rival = Rival(scene.open())
    write = RepositoryLock._write

    def writing(lock: RepositoryLock) -> bytes:
        identity = write(lock)
        if not rival.held:
            rival.take()
        return identity

    monkeypatch.setattr(RepositoryLock, "_write", writing)
    timing = LockTiming(settle_seconds=0, first_retry_seconds=0)
    monkeypatch.setattr(session, "acquire", partial(acquire, timing=timing))
    return rival


@pytest.mark.parametrize("confirm", [True, False])
def test_a_conflict_at_the_second_look_is_waited_for(scene: Scene, rival: Rival, confirm: bool) -> None:
    access = replace(scene.access(), retry_lock_seconds=3600.0, on_wait=rival.go)
    with open_session(access, exclusive=True, confirm=confirm) as opened:
        assert opened.lock is not None
        opened.lock.confirm()
        opened.lock.check()
        assert opened.repository.list_ids(FileKind.LOCK) == [opened.lock.id]
    assert rival.held


def test_who_waits_stops_when_asked_to(scene: Scene) -> None:
    told: list[str] = []
    access = replace(scene.access(), retry_lock_seconds=3600.0, on_wait=told.append, stop_requested=lambda: bool(told))
    with acquire(scene.open(), exclusive=True) as held:
        with pytest.raises(Interrupted, match="another's lock was waited for"), open_session(access):
            pytest.fail("it was opened")
        assert scene.open().list_ids(FileKind.LOCK) == [held.id]
    assert len(told) == 1
    assert f"PID {os.getpid()}" in told[0]


def test_no_operation_takes_a_lock_by_another_way() -> None:
    """So --retry-lock means the same for all."""
    source = Path(argosy.__file__).parent
    takers = re.compile(r"\bacquire\(repository|RepositoryLock\.begin")
    found = {os.fspath(path.relative_to(source)) for path in source.rglob("*.py") if takers.search(path.read_text())}
    assert found == {"operations/session.py", "repository/locks.py"}


def test_without_patience_a_conflict_is_told_with_who_holds_it(scene: Scene, rival: Rival) -> None:
    with (
        pytest.raises(RepositoryLocked, match=r"exclusive lock of somebody on elsewhere \(PID 1\)"),
        open_session(scene.access()),
    ):
        pytest.fail("it was opened")
    assert scene.open().list_ids(FileKind.LOCK) == [rival.held]
