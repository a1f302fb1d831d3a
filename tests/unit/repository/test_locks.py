"""Locks: restic's protocol, the lease that follows from it, and every way to lose it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from argosy.errors import LeaseLost, RepositoryLocked, StorageUnavailable
from argosy.repository.layout import FileKind, object_name
from argosy.repository.lock_files import StoredLock, load_lock, load_locks
from argosy.repository.locks import LockTiming, RepositoryLock, acquire
from argosy.repository.repository import Repository
from argosy.restic_format.config import make_config
from argosy.restic_format.crypto import MasterKey
from argosy.restic_format.lock_file import LockFile, encode_lock
from argosy.restic_format.times import format_time
from argosy.storage.interface import Buffer
from tests.support.storage_doubles import MemoryStorage, UnavailableStorage

PATIENCE_SECONDS = 30.0
QUICK = LockTiming(settle_seconds=0.01, refresh_seconds=0.02, unreadable_pause_seconds=0.001)
# For tests that count locks: while one is refreshed, there are an old and a new one.
UNREFRESHED = LockTiming(settle_seconds=0.01)
# For tests that turn the clock themselves: the thread looks at it every 5 ms.
PATIENT = LockTiming(settle_seconds=0.01, refresh_seconds=0.05)


class Clock:
    """A clock that is set by hand; it runs a little, so that waiting for it ends."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


class Recorder:
    """Hears of refreshes."""

    def __init__(self) -> None:
        self.remaining_seconds: list[float] = []
        self.refreshed = threading.Event()

    def __call__(self, remaining_seconds: float) -> None:
        self.remaining_seconds.append(remaining_seconds)
        self.refreshed.set()


class JournalStorage(MemoryStorage):
    """Writes down what is put and deleted, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.journal: list[tuple[str, str]] = []

    def put(self, name: str, data: Buffer, *, create: bool = False) -> None:
        super().put(name, data, create=create)
        self.journal.append(("put", name))

    def delete(self, name: str) -> None:
        super().delete(name)
        self.journal.append(("delete", name))


@pytest.fixture
def take(repository: Repository) -> Iterator[Callable[..., RepositoryLock]]:
    """Take locks that are released at the end of the test."""
    taken: list[RepositoryLock] = []

    def take_one(**options: object) -> RepositoryLock:
        taken.append(RepositoryLock.begin(repository, **{"timing": QUICK, **options}))  # type: ignore[arg-type]
        taken[-1].confirm()
        return taken[-1]

    yield take_one
    for lock in taken:
        lock.release()


def foreign(repository: Repository, *, exclusive: bool, age_seconds: float = 0) -> bytes:
    """Put the lock of another machine there."""
    taken_at = format_time(time.time_ns() - int(age_seconds * 1e9))
    lock = LockFile(taken_at, exclusive, "elsewhere", "somebody", 4711)
    return repository.save_unpacked(FileKind.LOCK, encode_lock(lock))


def locks_of(repository: Repository) -> list[StoredLock]:
    return [load_lock(repository, lock_id) for lock_id in repository.list_ids(FileKind.LOCK)]


def test_a_lock_names_the_machine_and_the_process(repository: Repository, take: Callable[..., RepositoryLock]) -> None:
    lock = take(timing=UNREFRESHED)
    (stored,) = locks_of(repository)
    assert stored.id == lock.id
    assert not stored.file.exclusive
    assert stored.file.hostname == os.uname().nodename
    assert (stored.file.pid, stored.file.uid, stored.file.gid) == (os.getpid(), os.getuid(), os.getgid())
    assert abs(stored.file.time_ns() - time.time_ns()) < 60e9


def test_a_lock_tells_since_when_it_is_held_however_often_it_is_refreshed(
    repository: Repository, take: Callable[..., RepositoryLock]
) -> None:
    lock = take(timing=UNREFRESHED)
    (first,) = locks_of(repository)
    lock._refresh()
    (second,) = locks_of(repository)
    assert first.id != second.id
    assert first.file.time == first.file.since == second.file.since
    assert first.file.time_ns() < second.file.time_ns()


def test_shared_locks_go_together(repository: Repository, take: Callable[..., RepositoryLock]) -> None:
    foreign(repository, exclusive=False)
    take(timing=UNREFRESHED)
    take(timing=UNREFRESHED)
    assert len(locks_of(repository)) == 3


@pytest.mark.parametrize(("ours", "theirs"), [(True, False), (False, True), (True, True)])
def test_an_exclusive_lock_goes_with_no_other(repository: Repository, ours: bool, theirs: bool) -> None:
    """Also not with a stale one: only unlock removes it."""
    foreign(repository, exclusive=theirs, age_seconds=7200)
    with pytest.raises(RepositoryLocked, match=r"somebody on elsewhere \(PID 4711\).*120 min ago") as caught:
        acquire(repository, exclusive=ours, timing=QUICK)
    assert caught.value.exit_code == 11
    assert "unlock" in caught.value.hint
    assert len(locks_of(repository)) == 1


def test_who_sees_the_other_at_the_second_look_undoes_its_lock(repository: Repository) -> None:
    lock = RepositoryLock.begin(repository, timing=QUICK)
    theirs = foreign(repository, exclusive=True)
    with pytest.raises(RepositoryLocked, match="elsewhere"):
        lock.confirm()
    assert repository.list_ids(FileKind.LOCK) == [theirs]
    with pytest.raises(LeaseLost):
        lock.check()


def test_writing_is_not_allowed_before_the_second_look(repository: Repository) -> None:
    lock = RepositoryLock.begin(repository, timing=QUICK)
    with pytest.raises(LeaseLost):
        lock.check()
    lock.release()


def test_confirming_waits_only_for_what_is_left(repository: Repository) -> None:
    clock = Clock()
    timing = LockTiming(settle_seconds=PATIENCE_SECONDS)
    begun = time.monotonic()
    lock = RepositoryLock.begin(repository, timing=timing, clock=clock)
    clock.ahead += PATIENCE_SECONDS
    lock.confirm()
    assert time.monotonic() - begun < PATIENCE_SECONDS / 2
    lock.release()


def test_by_the_way_it_is_confirmed_once_its_time_is_over(repository: Repository) -> None:
    clock = Clock()
    lock = RepositoryLock.begin(repository, timing=LockTiming(settle_seconds=PATIENCE_SECONDS), clock=clock)
    lock.confirm_if_due()
    assert lock.lease_remaining_seconds() <= 0
    clock.ahead += PATIENCE_SECONDS
    lock.confirm_if_due()
    assert lock.lease_remaining_seconds() > 0
    lock.release()


def test_a_refresh_writes_the_new_lock_before_it_deletes_the_old_one(key: MasterKey) -> None:
    storage = JournalStorage()
    repository = Repository(storage, key, make_config(os.urandom))
    heard = Recorder()
    lock = RepositoryLock.begin(repository, timing=QUICK, on_refresh=heard)
    first_name = object_name(FileKind.LOCK, lock.id)
    lock.confirm()
    assert heard.refreshed.wait(PATIENCE_SECONDS)
    lock.release()
    kinds = [kind for kind, _ in storage.journal]
    assert kinds[:3] == ["put", "put", "delete"]
    assert storage.journal[2] == ("delete", first_name)
    assert heard.remaining_seconds[0] == pytest.approx(QUICK.lease_seconds, abs=10)
    assert storage.objects == {}


def test_a_lock_that_cannot_be_refreshed_ends_the_right_to_write(key: MasterKey) -> None:
    storage = UnavailableStorage()
    repository = Repository(storage, key, make_config(os.urandom))
    clock = Clock()
    lock = RepositoryLock.begin(repository, timing=PATIENT, clock=clock)
    lock.confirm()
    storage.down = True
    clock.ahead += 22.4 * 60
    lock.check()
    assert 0 < lock.lease_remaining_seconds() < 10
    clock.ahead += 0.2 * 60
    with pytest.raises(LeaseLost, match="no answer"):
        lock.check()
    storage.down = False
    with pytest.raises(LeaseLost):
        lock.check()
    lock.release()
    assert storage.objects == {}


def test_after_suspension_the_lock_is_revived_if_nobody_removed_it(
    repository: Repository, take: Callable[..., RepositoryLock]
) -> None:
    clock = Clock()
    lock = take(clock=clock, timing=LockTiming(settle_seconds=0.01))
    old_id = lock.id
    clock.ahead += 8 * 3600
    assert lock.lease_remaining_seconds() == 0
    lock.check()
    assert lock.lease_remaining_seconds() > 0
    assert lock.id != old_id
    assert repository.list_ids(FileKind.LOCK) == [lock.id]


def test_a_lock_that_somebody_removed_is_lost_for_good(
    repository: Repository, take: Callable[..., RepositoryLock]
) -> None:
    """A prune may have run meanwhile, and removed what the command relies on."""
    clock = Clock()
    lock = take(clock=clock, timing=LockTiming(settle_seconds=0.01))
    repository.delete(FileKind.LOCK, lock.id)
    clock.ahead += 8 * 3600
    for _ in range(2):
        with pytest.raises(LeaseLost, match="somebody removed"):
            lock.check()
    assert locks_of(repository) == []


def test_a_removal_between_refreshes_is_noticed(repository: Repository, take: Callable[..., RepositoryLock]) -> None:
    heard = Recorder()
    lock = take(on_refresh=heard)
    assert heard.refreshed.wait(PATIENCE_SECONDS)
    heard.refreshed.clear()
    with lock._mutex:
        repository.delete(FileKind.LOCK, lock.id)
    assert heard.refreshed.wait(PATIENCE_SECONDS)
    with pytest.raises(LeaseLost, match="somebody removed"):
        lock.check()
    assert locks_of(repository) == []


def test_an_old_lock_that_could_not_be_deleted_is_deleted_later(key: MasterKey) -> None:
    class OnceUndeletable(JournalStorage):
        failures_left = 1

        def delete(self, name: str) -> None:
            if self.failures_left:
                self.failures_left -= 1
                raise StorageUnavailable(f"{name}: no answer")
            super().delete(name)

    storage = OnceUndeletable()
    repository = Repository(storage, key, make_config(os.urandom))
    heard = Recorder()
    with acquire(repository, timing=QUICK, on_refresh=heard):
        assert heard.refreshed.wait(PATIENCE_SECONDS)
        assert storage.failures_left == 0
    assert storage.objects == {}


@pytest.mark.parametrize("decided", [signal.SIG_DFL, signal.SIG_IGN])
def test_who_holds_a_lock_survives_restics_question_whether_it_lives(
    repository: Repository, decided: signal.Handlers
) -> None:
    """restic asks with SIGHUP; a program's own decision about that signal is left as it is."""
    before = signal.signal(signal.SIGHUP, decided)
    try:
        with acquire(repository, timing=QUICK):
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) != signal.SIG_DFL
            assert (signal.getsignal(signal.SIGHUP) == signal.SIG_IGN) == (decided == signal.SIG_IGN)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_release_removes_the_lock_once(repository: Repository) -> None:
    lock = acquire(repository, timing=QUICK)
    lock.release()
    lock.release()
    assert locks_of(repository) == []
    with pytest.raises(LeaseLost):
        lock.check()


def test_the_error_that_ended_a_command_is_not_hidden_by_the_release(key: MasterKey) -> None:
    storage = UnavailableStorage()
    repository = Repository(storage, key, make_config(os.urandom))

    def command() -> None:
        with acquire(repository, timing=PATIENT):
            storage.down = True
            raise KeyError("the cause")

    with pytest.raises(KeyError, match="the cause"):
        command()


def test_retrying_takes_the_lock_once_the_other_is_gone(repository: Repository) -> None:
    theirs = foreign(repository, exclusive=True)
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 6:
            repository.delete(FileKind.LOCK, theirs)

    waited_for: list[str] = []
    with acquire(repository, retry_seconds=3600, on_wait=lambda error: waited_for.append(error.message), sleep=sleep):
        assert len(locks_of(repository)) == 1
    assert len(waited_for) == 1
    assert "exclusive" in waited_for[0]
    assert pauses == [5, 10, 20, 40, 60, 60]


def test_retrying_ends(repository: Repository) -> None:
    foreign(repository, exclusive=True)
    with pytest.raises(RepositoryLocked):
        acquire(repository, retry_seconds=0.02, sleep=time.sleep)


def test_an_empty_lock_file_is_ignored(repository: Repository, storage: MemoryStorage) -> None:
    storage.put(object_name(FileKind.LOCK, bytes(32)), b"")
    assert load_locks(repository) == []


def test_a_lock_that_vanishes_between_listing_and_loading_is_ignored(key: MasterKey) -> None:
    class Vanishing(MemoryStorage):
        def get(self, name: str) -> bytes:
            self.delete(name)
            return super().get(name)

    repository = Repository(Vanishing(), key, make_config(os.urandom))
    foreign(repository, exclusive=True)
    assert load_locks(repository) == []


def test_a_lock_that_cannot_be_read_blocks_after_four_tries(repository: Repository, storage: MemoryStorage) -> None:
    name = object_name(FileKind.LOCK, bytes(32))
    storage.put(name, b"half a lo")
    pauses: list[float] = []
    with pytest.raises(RepositoryLocked, match="cannot be read"):
        load_locks(repository, sleep=pauses.append)
    assert pauses == [5, 10, 20]


def test_a_lock_that_becomes_readable_is_read(repository: Repository, storage: MemoryStorage) -> None:
    theirs = foreign(repository, exclusive=True)
    name = object_name(FileKind.LOCK, theirs)
    whole = storage.objects[name]
    storage.objects[name] = whole[:-1]

    def complete(seconds: float) -> None:
        assert seconds == 5
        storage.objects[name] = whole

    assert [lock.id for lock in load_locks(repository, sleep=complete)] == [theirs]
