"""What later workers hear."""

from __future__ import annotations

from argosy.engine.notices import LATE_BYTES, LateNotices


def test_the_last_other_one_comes_after_those_that_are_kept() -> None:
    notices = LateNotices()
    assert list(notices) == []
    for notice, keep in ((b"a", True), (b"old", False), (b"b", True), (b"new", False)):
        notices.add(notice, keep=keep)
    assert list(notices) == [b"a", b"b", b"new"]


def test_the_oldest_are_dropped_but_never_the_last() -> None:
    notices = LateNotices()
    for _ in range(3):
        notices.add(bytes(LATE_BYTES // 2), keep=True)
    assert len(list(notices)) == 2
    notices.add(bytes(2 * LATE_BYTES), keep=True)
    assert [len(notice) for notice in notices] == [2 * LATE_BYTES]
