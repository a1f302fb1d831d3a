"""A job's record, counters and report."""

from __future__ import annotations

import time

from argosy.state.record import JobRecord, JobState, Reports
from tests.unit.state.conftest import JobFile

RECORD = JobRecord("id", "backup", "repository", "/repository", 1, b"spec", "parent", (b"i" * 32,))


def test_the_record_is_there_from_the_first_commit_on(file: JobFile) -> None:
    state = JobState(file.job)
    state.create(RECORD)
    assert state.record() is None
    file.job.commit()
    assert JobState(file.crash()).record() == RECORD


def test_values_are_replaced(file: JobFile) -> None:
    state = JobState(file.job)
    assert state.get("key") is None
    state.put("key", b"first")
    state.put("key", b"second")
    file.job.commit()
    state.put("key", b"not committed")
    assert state.get("key") == b"second"


def test_counters_go_on_after_a_crash(file: JobFile) -> None:
    state = JobState(file.job)
    assert state.load_counters() == {}
    state.count(files=2, bytes=100)
    state.count(files=-1)
    file.job.commit()
    state.count(files=50)
    state = JobState(file.crash())
    assert state.load_counters() == {"files": 1, "bytes": 100}
    state.count(files=1)
    assert state.counters == {"files": 2, "bytes": 100}


def test_a_commit_of_counters_tells_when_the_job_was_active(file: JobFile) -> None:
    state = JobState(file.job)
    assert not file.job.commit()
    assert state.get("active") is None
    before = time.time()
    state.count(files=1)
    file.job.commit()
    active = state.get("active")
    assert active is not None
    assert before <= float(active) <= time.time()
    assert not file.job.commit()


def test_the_report_keeps_its_order(file: JobFile) -> None:
    reports = Reports(file.job)
    heard: list[tuple[bytes, str]] = []
    reports.listener = lambda path, reason: heard.append((path, reason))
    entries = [(b"/z", "first"), (b"/\xff", "second"), (b"/z", "again")]
    for path, reason in entries:
        reports.unread(path, reason)
    reports.log("one")
    reports.log("two")
    assert heard == entries
    assert reports.unread_entries() == []
    file.job.commit()
    reports.unread(b"/a", "not committed")
    reports = Reports(file.crash())
    assert reports.unread_entries() == entries
    assert reports.unread_entries(most=1) == entries[:1]
    assert [text for _, text in reports.log_entries()] == ["one", "two"]
    assert all(abs(moment - time.time()) < 600 for moment, _ in reports.log_entries())
