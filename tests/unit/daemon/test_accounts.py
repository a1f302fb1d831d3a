"""What a master tells of jobs that run, wait and have ended."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.daemon import accounts
from argosy.daemon.accounts import Accounts
from argosy.daemon.diary import MOST_KEPT, Diary
from argosy.daemon.kinds import RESTORE
from argosy.daemon.runs import Run, Runs
from argosy.daemon.sight import Sight
from argosy.errors import UsageError
from argosy.operations.jobs import add_to_history, prepare_state_directory
from argosy.operations.restore.options import RestoreProgress
from argosy.state.history import JobHistory

PATIENCE_SECONDS = 60.0
ENDED = JobHistory(
    "20260101-000000-aaaaaa",
    "restore",
    "/repository",
    ["/target"],
    1.0,
    2.0,
    "incomplete",
    unread=[("/a", "damaged")],
    log=[(1.5, "nas-1 left")],
)


class HeldWork:
    """A restore that has come half-way, and waits there."""

    kind = RESTORE
    location = "/repository"
    words = "a restore"

    def __init__(self) -> None:
        self.paths = [b"/target"]
        self.diary = Diary()
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def look(self) -> Sight:
        return Sight([], [])

    def carry_out(self, run: Run) -> object:
        observer = run.observer()
        members = [("nas-1", 1, 2, 3, 4)]
        observer.progress(RestoreProgress(9, 8, 0, 0, 70, 60, 0, 1, planned=True, members=members))
        self.diary.note("nas-2 was silent")
        self.diary.fault("/b", "damaged")
        self.reached.set()
        assert self.go_on.wait(PATIENCE_SECONDS)
        return {}

    def forget_secrets(self) -> None:
        """It has none."""


@pytest.fixture
def held() -> Iterator[HeldWork]:
    work = HeldWork()
    yield work
    work.go_on.set()


@pytest.fixture
def told(tmp_path: Path, held: HeldWork) -> Iterator[Accounts]:
    """Accounts of a restore that runs, one that waits, and one that has ended."""
    state = prepare_state_directory(tmp_path / "state")
    add_to_history(state, ENDED)
    loop = asyncio.new_event_loop()
    runs = Runs(loop)
    runs.submit("20260102-000000-bbbbbb", held)
    assert held.reached.wait(PATIENCE_SECONDS)
    runs.submit("20260103-000000-cccccc", HeldWork())
    yield Accounts(state, runs)
    held.go_on.set()
    runs.close()
    loop.close()


def test_jobs_are_listed_newest_first_without_their_logs(told: Accounts) -> None:
    jobs = told.jobs(20)
    assert [(run.id, run.is_running) for run in jobs.runs] == [
        ("20260103-000000-cccccc", False),
        ("20260102-000000-bbbbbb", True),
    ]
    running = jobs.runs[1]
    assert (running.kind, running.paths, running.entries, running.size_bytes, running.errors) == (
        "restore",
        [b"/target"],
        8,
        60,
        1,
    )
    assert running.members == [("nas-1", 1, 2, 3, 4)]
    assert running.log == []
    (ended,) = jobs.ended
    assert (ended.id, ended.unread, ended.log) == (ENDED.id, [], [])
    assert (jobs.jobs, told.jobs(0).ended) == ([], [])


def test_one_job_is_told_with_all_that_is_known(told: Accounts) -> None:
    running = told.job("20260102")
    assert running.run is not None
    assert [text for _, text in running.run.log] == ["nas-2 was silent"]
    assert running.unread == [(b"/b", "damaged")]
    ended = told.job("20260101")
    assert ended.ended is not None
    assert (ended.ended.log, ended.unread, ended.left_out) == (ENDED.log, [(b"/a", "damaged")], 0)


@pytest.mark.parametrize("text", ["nonsense", "2026"])
def test_a_job_that_is_none_or_several_is_an_error(told: Accounts, text: str) -> None:
    with pytest.raises(UsageError):
        told.job(text)


def test_what_no_message_holds_is_counted(told: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_MOST_BYTES", 12)
    ended = told.job("20260101")
    assert ended.ended is not None
    assert (ended.ended.log, ended.unread, ended.left_out) == (ENDED.log, [], 1)


def test_a_diary_does_not_grow_for_ever() -> None:
    diary = Diary()
    for number in range(MOST_KEPT + 5):
        diary.fault(str(number), "why \udcff")
        diary.note("so \udcff")
    assert (len(diary.faults), len(diary.log)) == (MOST_KEPT, MOST_KEPT)
    assert diary.faults[0] == ("0", r"why \udcff")
