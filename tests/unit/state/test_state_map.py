"""The state map: members with what they did, scan threads with what they fill."""

from __future__ import annotations

import pytest

from argosy.state.job_database import JobDatabase
from argosy.state.state_map import StateMap
from tests.unit.state.conftest import JobFile


@pytest.fixture
def state_map(job: JobDatabase) -> StateMap:
    return StateMap(job)


def test_a_member_keeps_what_it_completed_when_it_comes_back(state_map: StateMap) -> None:
    state_map.member_joined("one", "host", 1, 2)
    state_map.member_completed("one", 10, 1000)
    state_map.member_left("one")
    (left,) = state_map.members()
    assert left.left_at is not None
    state_map.member_joined("one", "other host", 5, 4)
    (member,) = state_map.members()
    assert (member.host, member.pid, member.workers, member.left_at) == ("other host", 5, 4, None)
    assert (member.files, member.bytes, member.batches) == (10, 1000, 1)


def test_news_of_an_unknown_member_is_ignored(state_map: StateMap) -> None:
    state_map.member_seen("nobody")
    state_map.member_left("nobody")
    state_map.member_completed("nobody", 1, 1)
    assert state_map.members() == []


def test_being_seen_may_tell_a_new_number_of_workers(state_map: StateMap) -> None:
    state_map.member_joined("one", "host", 1, 2)
    (member,) = state_map.members()
    joined = member.last_seen
    state_map.member_seen("one", 7)
    state_map.member_seen("one")
    assert member.workers == 7
    assert member.last_seen >= joined


def test_members_survive_a_crash_and_scan_threads_do_not(state_map: StateMap, file: JobFile) -> None:
    state_map.member_joined("one", "host", 1, 2)
    state_map.member_completed("one", 10, 1000)
    state_map.filling(0, b"/\xff", 1, 2, 3)
    file.job.commit()
    assert len(file.rows("scan_threads")) == 1
    state_map.member_completed("one", 10, 1000)
    state_map = StateMap(file.crash())
    state_map.load()
    (member,) = state_map.members()
    assert (member.name, member.files, member.bytes, member.batches) == ("one", 10, 1000, 1)
    file.job.commit()
    assert file.rows("scan_threads") == []


def test_a_scan_threads_row_is_what_it_fills_now(state_map: StateMap, file: JobFile) -> None:
    """S6 and S7: updated while it works, gone once it has ended, there again if it starts again."""
    state_map.filling(0, b"/a", 1, 10, 100)
    state_map.filling(1, b"/b", 2, 20, 200)
    state_map.filling(0, b"/c", 3, 30, 300)
    file.job.commit()
    assert [row[:5] for row in file.rows("scan_threads")] == [(0, b"/c", 3, 30, 300), (1, b"/b", 2, 20, 200)]
    state_map.filling(0, b"/d", 1, 1, 1)
    state_map.thread_ended(0)
    state_map.thread_ended(1)
    state_map.thread_ended(9)
    state_map.filling(1, b"/e", 4, 40, 400)
    file.job.commit()
    assert [row[:5] for row in file.rows("scan_threads")] == [(1, b"/e", 4, 40, 400)]
