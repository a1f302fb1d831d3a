"""Which unfinished job a start goes on with (R5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from argosy.errors import StateBusy
from argosy.operations.backup.options import JobSpec
from argosy.operations.backup.resume import ResumeDecision, decide_resume
from argosy.operations.jobs import FoundJob
from argosy.state.record import JobRecord

HOUR = 3600.0
NOW = 1_000_000.0
SPEC = JobSpec(
    targets=[(b"/data", [b"data"])],
    host="h",
    tags=[],
    parent="",
    force=False,
    content_key=[],
    ignore_inode=False,
    ignore_ctime=False,
    with_atime=False,
    device_id_always=True,
    one_file_system=False,
    time_ns=None,
)


def job(name: str, *, active: float = NOW - HOUR, pid: int = 0, **given: Any) -> FoundJob:
    """An unfinished job; ``given`` are fields of its record, or of its spec."""
    record = {"kind": "backup", "repository_id": "r"} | {
        key: given.pop(key) for key in ("kind", "repository_id") if key in given
    }
    spec = msgspec.structs.replace(SPEC, **given)
    return FoundJob(
        Path(f"/state/{name}.job"),
        JobRecord(id=name, location="/r", started_ns=0, spec=msgspec.msgpack.encode(spec), **record),
        active,
        pid,
    )


def decide(*jobs: FoundJob, allowed: bool = True, within: float = 24 * HOUR) -> ResumeDecision:
    return decide_resume(jobs, "r", SPEC, now=NOW, within_seconds=within, allowed=allowed)


def told(decision: ResumeDecision) -> dict[str, str]:
    """The reason for each job that is closed."""
    return {found.record.id: reason for found, reason in decision.close}


def test_the_same_job_is_resumed() -> None:
    found = job("a")
    assert decide(found) == ResumeDecision(found, [])
    assert decide() == ResumeDecision(None, [])


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "restore"},
        {"repository_id": "another"},
        {"targets": [(b"/other", [b"other"])]},
        {"host": "other"},
        {"tags": ["x"], "pid": 77},
    ],
)
def test_jobs_of_others_are_left_alone(given: dict[str, Any]) -> None:
    """Another kind, repository, source or host, or one with other options that is being run."""
    assert decide(job("a", **given)) == ResumeDecision(None, [])


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"tags": ["x"]}, "tags"),
        ({"parent": "abcd"}, "parent"),
        ({"force": True}, "force"),
        ({"content_key": ["--exclude=x"]}, "excludes"),
        ({"ignore_inode": True, "ignore_ctime": True}, "ignore-inode, ignore-ctime"),
        ({"time_ns": 5}, "time-ns"),
    ],
)
def test_a_job_with_other_options_is_closed_and_the_difference_named(given: dict[str, Any], named: str) -> None:
    decision = decide(job("a", **given))
    assert decision.resume is None
    assert told(decision)["a"].endswith(f": {named}")


def test_an_old_job_is_closed() -> None:
    """By the time of its last commit, not of its start; the limit itself is still young enough."""
    assert decide(job("a", active=NOW - 24 * HOUR)).resume is not None
    decision = decide(job("a", active=NOW - 25 * HOUR))
    assert decision.resume is None
    assert "25.0 h" in told(decision)["a"]


def test_a_job_from_the_future_is_resumed() -> None:
    """The clock was set back."""
    assert decide(job("a", active=NOW + HOUR)).resume is not None


def test_the_newest_of_several_is_resumed_and_the_others_closed() -> None:
    """They come newest first."""
    newest, older = job("b"), job("a")
    decision = decide(newest, older)
    assert decision.resume is newest
    assert set(told(decision)) == {"a"}


def test_a_younger_job_that_may_not_be_resumed_does_not_hide_an_older_one() -> None:
    decision = decide(job("b", tags=["x"]), job("a"))
    assert decision.resume is not None
    assert decision.resume.record.id == "a"
    assert set(told(decision)) == {"b"}


def test_no_resume_closes_them_all() -> None:
    decision = decide(job("b"), job("a"), allowed=False)
    assert decision.resume is None
    assert set(told(decision).values()) == {"--no-resume was given"}


def test_a_job_that_is_being_run_is_not_run_twice() -> None:
    """Even with --no-resume."""
    for allowed in (True, False):
        with pytest.raises(StateBusy, match="77"):
            decide(job("a", pid=77), allowed=allowed)
