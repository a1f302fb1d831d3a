"""What is special to workers that are threads: where they promise less, and what they hold back."""

from __future__ import annotations

import threading

import pytest

from argosy import native
from argosy.engine.here import make_engine_here
from argosy.engine.interface import Report
from argosy.engine.local import LocalEngine
from argosy.engine.threads.engine import ThreadEngine
from argosy.engine.threads.line import Line
from argosy.errors import EngineError
from tests.support.engine_driver import PATIENCE_SECONDS, EngineDriver
from tests.support.engine_handlers import SCRIPTED


def started(setup: bytes = b"") -> EngineDriver:
    engine = ThreadEngine(1)
    engine.start(setup, SCRIPTED)
    return EngineDriver(engine)


def test_an_exception_of_idle_ends_the_engine() -> None:
    driver = started(b"raise when idle")
    driver.offer(b"hold")
    driver.until_taken(0)
    driver.engine.flush()
    with pytest.raises(EngineError, match="idle was refused"):
        driver.until(lambda: False)
    driver.engine.close()


def test_an_exception_of_notice_ends_the_engine() -> None:
    driver = started()
    driver.offer(b"echo ready")
    driver.until_ended(0)
    driver.engine.broadcast(b"raise")
    with pytest.raises(EngineError, match="the notice was refused"):
        driver.until(lambda: False)
    driver.engine.close()


def test_no_thread_is_left_and_what_waits_is_dropped() -> None:
    before = set(threading.enumerate())
    driver = started()
    driver.offer(b"echo first", b"echo second")
    driver.engine.cancel()
    assert set(threading.enumerate()) <= before


def test_preparing_for_a_handler_that_is_not_there_is_told_when_it_is_needed() -> None:
    engine = ThreadEngine(1)
    engine.prepare("argosy.engine.nowhere:make", 1)
    engine.start(b"", "argosy.engine.nowhere:make")
    driver = EngineDriver(engine)
    driver.offer(b"echo hello")
    with pytest.raises(EngineError, match=r"argosy\.engine\.nowhere"):
        driver.until_ended(0)
    engine.close()


def test_an_engine_without_workers_is_refused() -> None:
    with pytest.raises(EngineError, match="0 workers"):
        ThreadEngine(0)


def test_a_worker_waits_until_much_that_it_said_is_heard() -> None:
    line = Line()
    report = Report("local", 1, bytes(700_000))
    said = threading.Event()

    def say_twice() -> None:
        line.say(report, len(report.payload))
        line.say(report, len(report.payload))
        said.set()

    worker = threading.Thread(target=say_twice)
    worker.start()
    assert line.hear(PATIENCE_SECONDS) == [report]
    assert said.wait(PATIENCE_SECONDS)
    assert line.hear(PATIENCE_SECONDS) == [report]
    worker.join()


def test_the_owner_and_a_closed_line_never_wait() -> None:
    line = Line()
    report = Report("local", 1, bytes(700_000))
    for _ in range(3):
        line.say(report, len(report.payload))
    line.close()
    worker = threading.Thread(target=line.say, args=(report, len(report.payload)))
    worker.start()
    worker.join(PATIENCE_SECONDS)
    assert not worker.is_alive()
    assert len(line.hear(0)) == 4


@pytest.mark.parametrize("has_kernel", [True, False])
def test_threads_are_for_machines_with_the_native_kernel(has_kernel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "kernel", lambda: object() if has_kernel else None)
    engine = make_engine_here(1, "here")
    assert isinstance(engine, ThreadEngine if has_kernel else LocalEngine)
    engine.cancel()
