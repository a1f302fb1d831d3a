"""A backup that is stopped, killed and watched: signals, resume, `status`, `jobs`, `logs`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Argosy, decode_lines
from tests.support.worker_processes import workers_of

PATIENCE_SECONDS = 60.0
# Incompressible, so that a limit of the rate keeps the backup busy for seconds.
DIRECTORIES, FILES, FILE_BYTES = 60, 20, 20_000
SLOW = ("--limit-upload", "4M", "--pack-size", "4", "--workers", "2")


@pytest.fixture
def argosy(tmp_path: Path) -> Argosy:
    """The program, with a repository."""
    made = Argosy(tmp_path)
    made.run("init")
    return made


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read by all tests, changed by none."""
    root = tmp_path_factory.mktemp("jobs") / "source"
    for directory in range(DIRECTORIES):
        (root / f"{directory:02d}").mkdir(parents=True)
        for file in range(FILES):
            (root / f"{directory:02d}" / str(file)).write_bytes(os.urandom(FILE_BYTES))
    return root


def jobs_of(argosy: Argosy) -> list[dict[str, Any]]:
    """What `status --json` says."""
    (document,) = argosy.documents("status")
    assert document["message_type"] == "jobs_status"
    return list(document["jobs"])


@contextmanager
def under_way(argosy: Argosy, source: Path) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    """A slow backup that has completed a batch and holds others, with its status."""
    with argosy.started("backup", *SLOW, source) as process:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()
            for job in jobs_of(argosy):
                members = job["members"]
                if members and members[0]["workers"] == 2 and members[0]["batches"] and job["packs"]:
                    yield process, job
                    return
        pytest.fail("the backup got nowhere")


def test_status_shows_members_batches_scan_and_queue(argosy: Argosy, source: Path) -> None:
    with under_way(argosy, source) as (process, job):
        assert (job["state"], job["pid"], job["kind"]) == ("running", process.pid, "backup")
        assert job["paths"] == [str(source)]
        (member,) = job["members"]
        assert (member["workers"], member["pid"]) == (2, process.pid)
        assert {batch["state"] for batch in member["batches"]} == {"in progress"}
        assert job["queue"]["in_progress"] == len(member["batches"])
        assert job["bytes_stored"] > 0
        text = argosy.says("status")
        assert f"running by process {process.pid}" in text
        assert "in progress" in text
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=PATIENCE_SECONDS)


def test_a_lost_workers_batches_are_in_progress_and_the_run_goes_on(argosy: Argosy, source: Path) -> None:
    """S4, as a user sees it: no batch is ever shown as failed, and the job survives."""
    with under_way(argosy, source) as (process, job):
        for worker in workers_of(process.pid):  # one of them may have no batch at this moment
            os.kill(worker, signal.SIGKILL)
        seen = set()
        while process.poll() is None:
            for now in jobs_of(argosy):
                seen |= {batch["state"] for member in now["members"] for batch in member["batches"]}
        _, errors = process.communicate()
        assert process.returncode == 0, errors.decode()
        assert seen <= {"in progress"}
    told = argosy.says("jobs", job["job_id"])
    assert "was lost" in told
    assert "SIGKILL" in argosy.says("logs", job["job_id"])


def test_a_signal_stops_the_backup_and_the_same_command_goes_on(argosy: Argosy, source: Path) -> None:
    with under_way(argosy, source) as (process, job):
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130, errors.decode()
    assert b"stopping" in output
    assert b"Run the same command again" in errors
    assert not list((argosy.repository / "locks").iterdir()), "the lock is removed"
    (stopped,) = jobs_of(argosy)
    assert (stopped["job_id"], stopped["state"], stopped["pid"]) == (job["job_id"], "unfinished", None)
    assert "the same command resumes it" in argosy.says("status")

    done = argosy.run("backup", "--json", source)
    assert decode_lines(done.stderr)[0]["message"].startswith("resumed job of ")
    summary = decode_lines(done.stdout)[-1]
    assert summary["resumed"] is True
    assert summary["job_id"] == job["job_id"]
    assert summary["files_new"] == DIRECTORIES * FILES
    assert jobs_of(argosy) == []
    assert "resumed" in argosy.says("logs")


def test_a_second_signal_ends_it_at_once(argosy: Argosy, source: Path) -> None:
    with under_way(argosy, source) as (process, _):
        workers = workers_of(process.pid)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 130
        assert time.monotonic() - began < 10
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert argosy.documents("backup", source)[-1]["resumed"] is True


def test_what_was_killed_reads_unfinished_with_its_batches_in_progress(argosy: Argosy, source: Path) -> None:
    with under_way(argosy, source) as (process, job):
        process.kill()
        process.wait()
    (stopped,) = jobs_of(argosy)
    assert stopped["state"] == "unfinished"
    assert {batch["state"] for member in stopped["members"] for batch in member["batches"]} <= {"in progress"}
    (listed,) = argosy.documents("jobs")
    assert (listed["job_id"], listed["state"], listed["ended"]) == (job["job_id"], "unfinished", None)
    argosy.run("backup", "--no-resume", source)
    (new, old) = argosy.documents("jobs")
    assert (new["state"], old["state"]) == ("done", "closed")
    assert "--no-resume" in old["reason"]


def test_the_time_given_is_kept(argosy: Argosy, source: Path) -> None:
    """--stop-after ends like Ctrl-C: resumable."""
    said = argosy.says("backup", "--stop-after", "500ms", *SLOW, source, expect=130)
    assert "--stop-after" in said
    assert argosy.documents("backup", source)[-1]["resumed"] is True


def test_jobs_lists_and_tells(argosy: Argosy, source: Path) -> None:
    assert "no jobs yet" in argosy.says("jobs")
    first, second = (argosy.documents("backup", source)[-1] for _ in range(2))
    listed = argosy.documents("jobs")
    assert [job["snapshot_id"] for job in listed] == [second["snapshot_id"], first["snapshot_id"]]
    assert [job["state"] for job in listed] == ["done", "done"]
    assert len(argosy.documents("jobs", "-n", "1")) == 1
    table = argosy.says("jobs")
    assert first["job_id"] in table
    assert first["snapshot_id"][:8] in table
    (one,) = argosy.documents("jobs", first["job_id"])
    assert one["counters"]["files_new"] == DIRECTORIES * FILES
    assert one["unread_items"] == []
    assert "nothing out of the ordinary" in argosy.says("logs", first["job_id"])
    assert "there is no job nix" in argosy.says("jobs", "nix", expect=1)
    assert "no job nix runs" in argosy.says("status", "nix", expect=1)


def test_watching_prints_again_and_again_until_ctrl_c(argosy: Argosy) -> None:
    with argosy.started("status", "--watch", "--interval", "100ms", "--json") as process:
        assert process.stdout is not None
        for _ in range(3):
            assert json.loads(process.stdout.readline())["jobs"] == []
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE_SECONDS) == 0
