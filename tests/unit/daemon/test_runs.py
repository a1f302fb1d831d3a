"""Jobs run one after the other, and what each has said can be asked for again and again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import ClassVar

import pytest

from argosy.daemon import runs
from argosy.daemon.diary import Diary
from argosy.daemon.kinds import BACKUP, decode_value, encode_value
from argosy.daemon.protocol import Ended, Followed, Refusal, Said
from argosy.daemon.runs import Run, Runs
from argosy.daemon.sight import Sight
from argosy.errors import UsageError, WrongPassword
from argosy.operations.backup.options import BackupResult
from argosy.operations.jobs import new_job_id

RESULT = BackupResult(b"s", b"t", None, "job", {}, 0, 1, 2, resumed=False)
ENDED = Ended(encode_value(RESULT))
PATIENCE_SECONDS = 30.0


class Work:
    """A backup that is a function of its run."""

    kind = BACKUP
    location = "/repository"
    paths: ClassVar = [b"/data"]
    words = "a backup"

    def __init__(self, function: Callable[[Run], BackupResult]) -> None:
        self.diary = Diary()
        self.function = function
        self.knows_secrets = True

    def look(self) -> Sight:
        return Sight([], [])

    def carry_out(self, run: Run) -> BackupResult:
        return self.function(run)

    def forget_secrets(self) -> None:
        self.knows_secrets = False


def told(text: str) -> Said:
    return Said("message", encode_value([text]))


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def queue(loop: asyncio.AbstractEventLoop) -> Iterator[Runs]:
    queue = Runs(loop)
    yield queue
    queue.close()


def submit(queue: Runs, work: Callable[[Run], BackupResult], former: str = "") -> tuple[Run, int]:
    return queue.submit(new_job_id(), Work(work), former)


def followed(loop: asyncio.AbstractEventLoop, queue: Runs, run: Run) -> list[Followed]:
    """Everything that the run says, to its end."""
    found: list[Followed] = []
    while not found or found[-1].ended is None:
        after = found[-1].next if found else 0
        found.append(loop.run_until_complete(queue.follow(run, after)))
    return found


def test_what_a_run_says_is_heard_in_order_to_its_end(loop: asyncio.AbstractEventLoop, queue: Runs) -> None:
    def work(run: Run) -> BackupResult:
        observer = run.observer()
        run.goes_on_with("job-7")
        observer.message("one")
        observer.unread(b"/a", "permission denied")
        observer.message("two")
        return RESULT

    run, ahead = submit(queue, work)
    found = followed(loop, queue, run)
    assert ahead == 0
    assert [entry for one in found for entry in one.entries] == [
        told("one"),
        Said("unread", encode_value([b"/a", "permission denied"])),
        told("two"),
    ]
    assert (found[-1].job, found[-1].kind, found[-1].ended) == ("job-7", "backup", ENDED)
    assert decode_value(ENDED.result, BackupResult) == RESULT
    # Asked again from the beginning, it says the same.
    assert followed(loop, queue, run)[-1].ended == ENDED
    assert not run.work.knows_secrets  # type: ignore[attr-defined]


def test_the_end_comes_only_with_the_last_entries(
    loop: asyncio.AbstractEventLoop, queue: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_BYTES_AT_ONCE", 2)

    def work(run: Run) -> BackupResult:
        for number in range(5):
            run.observer().message(str(number))
        return RESULT

    run, _ = submit(queue, work)
    found = followed(loop, queue, run)
    assert [entry for one in found for entry in one.entries] == [told(str(number)) for number in range(5)]


def test_the_oldest_entries_are_dropped_not_the_newest(
    loop: asyncio.AbstractEventLoop, queue: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "MOST_ENTRIES_KEPT", 3)

    def work(run: Run) -> BackupResult:
        for number in range(10):
            run.observer().message(str(number))
        return RESULT

    run, _ = submit(queue, work)
    followed(loop, queue, run)
    found = followed(loop, queue, run)
    assert [entry for one in found for entry in one.entries] == [told("7"), told("8"), told("9")]
    assert [one.missed for one in found] == [7]


def test_an_error_and_a_bug_end_their_run_alone(loop: asyncio.AbstractEventLoop, queue: Runs) -> None:
    def fail(_run: Run) -> BackupResult:
        raise WrongPassword("no key opens", hint="Try again.")

    def stumble(_run: Run) -> BackupResult:
        raise KeyError("lost")

    failed, stumbled, fine = (submit(queue, work)[0] for work in (fail, stumble, lambda _run: RESULT))
    assert followed(loop, queue, failed)[-1].ended == Refusal("WrongPassword", "no key opens", "Try again.")
    bug = followed(loop, queue, stumbled)[-1].ended
    assert isinstance(bug, Refusal)
    assert "bug in Argosy" in bug.message
    assert followed(loop, queue, fine)[-1].ended == ENDED


def test_a_run_that_is_stopped_before_its_turn_never_begins(loop: asyncio.AbstractEventLoop, queue: Runs) -> None:
    gate = threading.Event()

    def wait(_run: Run) -> BackupResult:
        assert gate.wait(PATIENCE_SECONDS)
        return RESULT

    first, _ = submit(queue, wait)
    second, ahead = submit(queue, lambda _run: RESULT)
    assert ahead == 1
    second.stop()
    gate.set()
    assert followed(loop, queue, first)[-1].ended == ENDED
    ended = followed(loop, queue, second)[-1].ended
    assert isinstance(ended, Refusal)
    assert "before it began" in ended.message


def test_a_run_is_found_by_the_start_of_its_jobs_id(loop: asyncio.AbstractEventLoop, queue: Runs) -> None:
    def work(run: Run) -> BackupResult:
        run.goes_on_with("20260102-030405-abcdef")
        return RESULT

    run, _ = submit(queue, work)
    followed(loop, queue, run)
    assert queue.find("20260102") is run
    assert queue.find(run.id) is run
    for unknown in ("", "nonsense"):
        with pytest.raises(UsageError, match="no job"):
            queue.find(unknown)


def test_close_stops_what_runs_and_what_waits(loop: asyncio.AbstractEventLoop) -> None:
    queue = Runs(loop)
    begun = threading.Event()

    def until_stopped(run: Run) -> BackupResult:
        begun.set()
        while not run.observer().stop_requested():
            pass
        return RESULT

    running, _ = submit(queue, until_stopped)
    waiting, _ = submit(queue, lambda _run: RESULT)
    assert begun.wait(PATIENCE_SECONDS)
    queue.close()
    assert running.ended == ENDED
    assert waiting.ended != ENDED


def test_a_run_that_goes_on_after_the_masters_end_is_found_by_its_former_name(
    loop: asyncio.AbstractEventLoop, queue: Runs
) -> None:
    run, _ = submit(queue, lambda _run: RESULT, former="20260102-030405-abcdef")
    assert queue.find("20260102-030405-abcdef") is run
    assert followed(loop, queue, run)[-1].job == "20260102-030405-abcdef"


def test_the_end_is_told_before_it_is_seen(loop: asyncio.AbstractEventLoop) -> None:
    """What the end brings about, such as that a request is dropped, has happened when a client hears of it."""
    seen: list[bool] = []
    queue = Runs(loop, lambda run, ended: seen.append(run.ended is None and ended == ENDED))
    run, _ = submit(queue, lambda _run: RESULT)
    followed(loop, queue, run)
    queue.close()
    assert seen == [True]
    assert queue.open() == []
