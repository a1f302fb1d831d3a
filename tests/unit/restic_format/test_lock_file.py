"""Lock files."""

from __future__ import annotations

import pytest

from argosy.errors import Damaged
from argosy.restic_format.lock_file import LockFile, decode_lock, encode_lock

TIME = "2024-01-02T03:04:05.6Z"
LOCK = LockFile(TIME, True, "<h>", "u", 4711, uid=1000, gid=100)
JSON = (
    rb'{"time":"2024-01-02T03:04:05.6Z","exclusive":true,"hostname":"\u003ch\u003e","username":"u","pid":4711,'
    rb'"uid":1000,"gid":100}'
)


def test_a_lock_has_the_bytes_that_restic_writes() -> None:
    assert encode_lock(LOCK) == JSON
    assert decode_lock(JSON, "lock") == LOCK


def test_roots_numbers_are_left_out() -> None:
    lock = LockFile(TIME, False, "h", "root", 1)
    data = encode_lock(lock)
    assert data.endswith(b'"exclusive":false,"hostname":"h","username":"root","pid":1}')
    assert decode_lock(data, "lock") == lock


def test_the_time_is_known_in_utc_whatever_its_offset() -> None:
    lock = decode_lock(JSON.replace(TIME.encode(), b"2024-01-02T04:04:05.6+01:00"), "lock")
    assert lock.time_ns() == LOCK.time_ns() == 1_704_164_645_600_000_000


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", JSON.replace(b"4711", b'"x"'), JSON.replace(b"2024", b"year")])
def test_what_is_no_lock_is_damage(data: bytes) -> None:
    with pytest.raises(Damaged, match="lock 12"):
        decode_lock(data, "lock 12")
