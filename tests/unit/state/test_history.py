"""The history of jobs."""

from __future__ import annotations

import stat
from pathlib import Path

from argosy.state.history import History, JobHistory


def ended(number: int, outcome: str = "done") -> JobHistory:
    return JobHistory(
        f"job-{number}",
        "backup",
        "/repository",
        ["/source"],
        float(number),
        number + 1.0,
        outcome,
        counters={"files": number},
        unread=[("/source/x", "Permission denied")],
        log=[(1.0, "resumed")],
    )


def test_an_ended_job_is_found_whole(tmp_path: Path) -> None:
    history = History(tmp_path / "history.sqlite")
    assert history.find("job-1") is None
    assert history.all() == []
    history.add(ended(1))
    assert History(tmp_path / "history.sqlite").find("job-1") == ended(1)


def test_adding_a_job_again_replaces_it(tmp_path: Path) -> None:
    """A crash may come between the history and the end of the job's file."""
    history = History(tmp_path / "history.sqlite")
    history.add(ended(1, "incomplete"))
    history.add(ended(1))
    assert history.all() == [ended(1)]


def test_jobs_are_listed_newest_first(tmp_path: Path) -> None:
    history = History(tmp_path / "history.sqlite")
    for number in (2, 1, 3):
        history.add(ended(number))
    assert [job.id for job in history.all()] == ["job-3", "job-2", "job-1"]
    assert [job.id for job in history.all(most=2)] == ["job-3", "job-2"]


def test_the_history_is_its_owners_alone(tmp_path: Path) -> None:
    History(tmp_path / "history.sqlite").add(ended(1))
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
