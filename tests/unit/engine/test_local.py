"""What is special to the local engine: its processes and what they inherit."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy import native
from argosy.engine.interface import TaskComplete, TaskLapsed, TaskProgress, TaskTaken
from argosy.engine.local import MAX_UNREAD_BYTES, LocalEngine
from argosy.errors import EngineError
from tests.support import engine_handlers
from tests.support.engine_driver import PATIENCE_SECONDS, EngineDriver, Gate, ProcessEnd
from tests.support.engine_handlers import SCRIPTED
from tests.support.worker_processes import nurseries_of, workers_of

FORKLESS = "tests.support.forkless"
MIB = 1024 * 1024

# Starts two workers, prints their pids and those tasks' states, and waits to be killed.
PARENT = """
import sys
sys.path[:] = sys.argv[2].split(":")
from argosy.engine.local import LocalEngine
from tests.support.engine_driver import EngineDriver
from tests.support.engine_handlers import SCRIPTED
engine = LocalEngine(2)
engine.start(b"", SCRIPTED)
driver = EngineDriver(engine)
driver.offer(b"busy", sys.argv[1].encode())
driver.until_taken(0, 1)
print(*(worker.pid for worker in driver.workers()), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    engine = LocalEngine(2)
    yield engine
    engine.cancel()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


def started(engine: LocalEngine, handler: str = SCRIPTED, setup: bytes = b"") -> EngineDriver:
    engine.start(setup, handler)
    return EngineDriver(engine)


def children() -> set[str]:
    """The pids of this process's children."""
    return {pid for thread in Path("/proc/self/task").iterdir() for pid in (thread / "children").read_text().split()}


def open_descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def workers() -> set[int]:
    """The pids of the workers below this process."""
    return set(workers_of())


def until_forked(count: int) -> set[int]:
    """The workers, once there are this many: that they are asked for does not wait for them."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(found := workers()) != count:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def test_no_process_starts_before_a_task_needs_it(engine: LocalEngine) -> None:
    before = children()
    driver = started(engine)
    assert list(engine.events(0)) == []
    assert engine.members() == []
    assert children() == before
    driver.offer(b"echo one")
    driver.until_ended(0)
    assert len(driver.workers()) == 1
    assert workers() == {worker.pid for worker in driver.workers()}


def test_a_prepared_worker_is_the_one_that_works(engine: LocalEngine) -> None:
    engine.prepare(SCRIPTED, 1)
    prepared = until_forked(1)
    engine.prepare(SCRIPTED, 1)
    driver = started(engine)
    driver.offer(b"echo one")
    driver.until_ended(0)
    assert {worker.pid for worker in driver.workers()} == workers() == prepared
    engine.prepare(SCRIPTED, 9)
    assert until_forked(2) > prepared


def test_a_prepared_worker_that_died_is_replaced(engine: LocalEngine) -> None:
    engine.prepare(SCRIPTED, 1)
    (prepared,) = until_forked(1)
    os.kill(prepared, signal.SIGKILL)
    driver = started(engine)
    driver.offer(b"echo one")
    driver.until_ended(0)
    assert driver.completed() == {0: b"one"}


def test_workers_that_are_lost_with_their_nursery_are_replaced_by_those_of_another(
    engine: LocalEngine,
) -> None:
    driver = started(engine)
    driver.offer(b"busy", b"echo one")
    driver.until_ended(1)
    driver.until_taken(0)
    (nursery,) = nurseries_of()
    os.kill(nursery, signal.SIGKILL)
    driver.until(lambda: not driver.workers())
    driver.offer(b"echo two", first_id=2)
    driver.until_ended(2)
    assert driver.completed()[2] == b"two"
    (other,) = nurseries_of()
    assert other != nursery


def test_a_worker_that_cannot_be_forked_is_told(engine: LocalEngine) -> None:
    """As where the system has no more processes to give."""
    engine.prepare(f"{FORKLESS}:make_scripted", 1)
    driver = started(engine, f"{FORKLESS}:make_scripted")
    driver.offer(b"echo one")
    with pytest.raises(EngineError, match="could not be started: Resource temporarily unavailable"):
        driver.until_ended(0)


def test_a_module_that_cannot_be_imported_is_told_when_it_is_needed(engine: LocalEngine) -> None:
    engine.prepare("no.such.module:factory", 1)
    driver = started(engine, "no.such.module:factory")
    driver.offer(b"")
    with pytest.raises(EngineError, match="No module named 'no'"):
        driver.until_ended(0)


@pytest.mark.parametrize("end", [LocalEngine.close, LocalEngine.cancel])
def test_what_was_prepared_in_vain_is_not_left_behind(end: object) -> None:
    assert callable(end)
    before = open_descriptors(), children(), threading.active_count()
    engine = LocalEngine(3)
    engine.prepare(SCRIPTED, 2)
    end(engine)
    assert (open_descriptors(), children(), threading.active_count()) == before


@pytest.mark.parametrize("end", [LocalEngine.close, LocalEngine.cancel])
def test_nothing_is_left_behind(end: object, gate: Gate) -> None:
    """No descriptor, process or thread, after deaths and with work in hand."""
    assert callable(end)
    warm = LocalEngine(1)
    warm.close()
    before = open_descriptors(), children(), threading.active_count()
    engine = LocalEngine(3, close_seconds=0.1)
    driver = started(engine)
    driver.offer(b"die 9", gate.payload, b"echo 2")
    driver.until_ended(0, 2)
    driver.until_taken(1)
    end(engine)
    assert (open_descriptors(), children(), threading.active_count()) == before


def test_a_dead_worker_leaves_no_descriptor(engine: LocalEngine) -> None:
    driver = started(engine)
    driver.offer(b"echo 0", b"die 9")
    driver.until_ended(0, 1)
    before = len(open_descriptors())
    for task_id in range(2, 8):
        driver.offer(b"die 9", first_id=task_id)
        driver.until_ended(task_id)
    assert len(open_descriptors()) <= before


def test_the_setup_stands_in_no_command_line_and_no_environment(engine: LocalEngine) -> None:
    driver = started(engine, setup=b"open sesame")
    driver.offer(b"setup")
    driver.until_ended(0)
    process = Path(f"/proc/{driver.workers()[0].pid}")
    assert driver.completed() == {0: b"open sesame"}
    assert b"sesame" not in (process / "cmdline").read_bytes()
    assert b"sesame" not in (process / "environ").read_bytes()


def test_a_worker_has_no_descriptor_of_another(engine: LocalEngine, tmp_path: Path) -> None:
    """A worker that held another's socket would keep it from seeing the parent's end."""
    gates = [Gate(tmp_path / "first"), Gate(tmp_path / "second")]
    driver = started(engine)
    driver.offer(*(gate.payload for gate in gates))
    driver.until_taken(0, 1)
    for worker in driver.workers():
        links = [os.readlink(entry) for entry in Path(f"/proc/{worker.pid}/fd").iterdir()]
        assert sum(link.startswith("socket:") for link in links) == 1


@pytest.mark.parametrize("stop", [False, True])
def test_workers_die_with_a_killed_parent_in_the_midst_of_work(gate: Gate, stop: bool) -> None:
    """One computes, one waits in a system call; both may be stopped besides."""
    command = [sys.executable, "-c", PARENT, gate.payload.decode(), ":".join(sys.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        ends = [ProcessEnd(pid) for pid in pids]
        assert len(ends) == 2
        if stop:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
        parent.kill()
    for end in ends:
        end.wait()


def test_a_worker_that_dies_at_start_is_an_error_with_its_last_lines(engine: LocalEngine) -> None:
    driver = started(engine, f"{engine_handlers.__name__}:make_dying")
    driver.offer(b"echo never")
    with pytest.raises(EngineError, match=r"SIGKILL(?s:.*)cannot map the library") as caught:
        driver.until_ended(0)
    assert caught.value.hint


def test_one_worker_is_enough_when_others_cannot_start(
    engine: LocalEngine, tmp_path: Path, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    driver = started(engine, f"{engine_handlers.__name__}:make_dying_second", os.fsencode(tmp_path / "first"))
    driver.offer(gate.payload, b"echo 1", b"echo 2")
    driver.until(lambda: "did not start" in caplog.text)
    driver.until_taken(0)
    gate.open()
    driver.until_ended(0, 1, 2)
    assert driver.completed() == {0: b"gate", 1: b"1", 2: b"2"}
    assert driver.all(TaskLapsed) == []


def test_a_system_without_processes_to_give_is_an_error(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    before = open_descriptors()
    monkeypatch.setattr(subprocess, "Popen", refuse)
    driver = started(engine)
    driver.offer(b"echo never")
    with pytest.raises(EngineError, match="Resource temporarily unavailable"):
        driver.until_ended(0)
    engine.close()
    assert open_descriptors() == before


def test_what_a_worker_prints_goes_to_the_log_alone(
    engine: LocalEngine, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Standard output may carry the command's JSON."""
    driver = started(engine)
    driver.offer(b"print a careless word")
    driver.until_ended(0)
    engine.close()
    assert ("worker 1: a careless word", logging.WARNING) in [
        (record.getMessage(), record.levelno) for record in caplog.records
    ]
    assert capfd.readouterr().out == ""


def test_a_close_that_fails_is_logged(engine: LocalEngine, caplog: pytest.LogCaptureFixture) -> None:
    driver = started(engine, setup=b"raise when closed")
    driver.offer(b"echo hello")
    driver.until_ended(0)
    engine.close()
    assert "the close was refused" in caplog.text


def test_close_kills_work_that_takes_too_long() -> None:
    engine = LocalEngine(1, close_seconds=0.1)
    driver = started(engine)
    driver.offer(b"busy")
    driver.until_taken(0)
    end = ProcessEnd(driver.workers()[0].pid)
    engine.close()
    end.wait()


def test_a_worker_that_reads_no_notices_any_more_is_killed(engine: LocalEngine, gate: Gate) -> None:
    driver = started(engine)
    driver.offer(gate.payload)
    driver.until_taken(0)
    os.kill(driver.workers()[0].pid, signal.SIGSTOP)
    for _ in range(MAX_UNREAD_BYTES // MIB + 2):
        engine.broadcast(bytes(MIB))
    driver.until_ended(0)
    assert "no longer reads" in driver.all(TaskLapsed)[0].reason


def test_what_is_said_after_the_last_word_on_a_task_is_dropped(engine: LocalEngine) -> None:
    """Two threads of a worker may send in an order that its own check cannot see."""
    driver = started(engine, f"{engine_handlers.__name__}:make_forger")
    driver.offer(b"", b"")
    driver.until_ended(0, 1)
    engine.flush()
    driver.until(lambda: b"idle" in driver.reports())
    assert sorted(driver.ended()) == [0, 1]
    assert driver.all(TaskProgress) == []


def test_a_worker_that_talks_nonsense_is_killed_and_work_goes_on(engine: LocalEngine) -> None:
    driver = started(engine, f"{engine_handlers.__name__}:make_forger")
    driver.offer(b"and then nonsense", b"")
    driver.until_ended(0, 1)
    driver.offer(b"", first_id=2)
    driver.until_ended(2)
    liar = next(event.worker for event in driver.all(TaskTaken) if event.task_id == 0)
    driver.until(lambda: liar not in {worker.number for worker in driver.workers()})


def test_an_engine_without_workers_is_refused() -> None:
    with pytest.raises(EngineError, match="0 workers"):
        LocalEngine(0)


def test_an_engine_starts_once(engine: LocalEngine) -> None:
    with pytest.raises(EngineError, match="not started"):
        engine.events(0)
    started(engine)
    with pytest.raises(EngineError, match="before"):
        engine.start(b"", SCRIPTED)


@pytest.mark.parametrize(("wanted", "answer"), [(True, b"wanted"), (False, b"turned off")])
def test_workers_go_without_the_kernel_when_their_parent_does(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, wanted: bool, answer: bytes
) -> None:
    monkeypatch.setattr(native, "_wanted", wanted)
    driver = started(engine)
    driver.offer(b"native")
    driver.until_ended(0)
    assert driver.all(TaskComplete)[0].payload == answer
