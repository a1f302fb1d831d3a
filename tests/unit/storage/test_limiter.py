"""Keeping to a rate."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.errors import StorageError
from argosy.storage.limiter import LimitedStorage, TokenBucket
from tests.support.storage_doubles import MemoryStorage


class Time:
    """A clock that moves only with sleep."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    @property
    def spent(self) -> float:
        return round(self.now - 1_000.0, 6)


@pytest.fixture
def time() -> Time:
    return Time()


def limited(time: Time, *, up: int = 0, down: int = 0) -> tuple[LimitedStorage, MemoryStorage]:
    memory = MemoryStorage()
    return (
        LimitedStorage(
            memory,
            upload_bytes_per_second=up,
            download_bytes_per_second=down,
            clock=time.clock,
            sleep=time.sleep,
        ),
        memory,
    )


def test_a_rate_holds_on_average(time: Time) -> None:
    bucket = TokenBucket(100, clock=time.clock, sleep=time.sleep)
    for _ in range(11):
        bucket.take(50)
    assert time.spent == 5.0  # the eleventh may go


def test_what_was_not_used_is_not_saved_up(time: Time) -> None:
    """An idle hour must not be followed by an hour's burst."""
    bucket = TokenBucket(100, clock=time.clock, sleep=time.sleep)
    time.sleep(3_600)
    before = time.spent
    for _ in range(3):
        bucket.take(100)
    assert time.spent - before == 2.0


def test_no_rate_is_no_limit(time: Time) -> None:
    bucket = TokenBucket(0, clock=time.clock, sleep=time.sleep)
    for _ in range(3):
        bucket.take(1 << 40)
    assert time.spent == 0


def test_uploads_are_limited(time: Time, tmp_path: Path) -> None:
    storage, memory = limited(time, up=1_000)
    (tmp_path / "file").write_bytes(bytes(3_000))
    storage.put("one", bytes(2_000))
    storage.put_file("two", tmp_path / "file")
    assert time.spent == 2.0
    storage.put("three", b"", create=True)
    assert time.spent == 5.0
    assert set(memory.objects) == {"one", "two", "three"}


def test_downloads_are_limited(time: Time) -> None:
    storage, memory = limited(time, down=1_000)
    memory.objects["one"] = bytes(5_000)
    storage.get_range("one", 0, 1_000)
    storage.get("one")
    assert time.spent == 1.0
    assert storage.get_range("one", 10, 10) == bytes(10)
    assert time.spent == 6.0


def test_each_direction_has_its_own_limit(time: Time) -> None:
    storage, _ = limited(time, up=1_000)
    storage.put("one", bytes(5_000))
    for _ in range(3):
        storage.get("one")
    assert time.spent == 0


def test_a_missing_file_is_the_stores_to_report(time: Time, tmp_path: Path) -> None:
    storage, _ = limited(time, up=1_000)
    with pytest.raises(StorageError, match="nowhere"):
        storage.put_file("one", tmp_path / "nowhere")
