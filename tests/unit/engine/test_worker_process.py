"""One worker process, spoken to without an engine."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator

import pytest

from argosy.engine.framing import Frame, Kind, Opening, encode_frame, encode_opening
from argosy.engine.nursery import Nursery
from argosy.engine.worker_process import WorkerProcess
from tests.support import engine_handlers
from tests.support.engine_driver import PATIENCE_SECONDS, ProcessEnd
from tests.support.engine_handlers import SCRIPTED


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    nursery = Nursery(engine_handlers.__name__)
    yield nursery
    nursery.close()


@pytest.fixture
def worker(nursery: Nursery) -> Iterator[WorkerProcess]:
    worker = WorkerProcess(nursery)
    worker.open(1, encode_frame(Kind.OPEN, encode_opening(Opening(SCRIPTED, b"", 3600.0))))
    yield worker
    worker.kill()
    worker.bury()


def next_frames(worker: WorkerProcess) -> list[Frame]:
    assert select.select([worker.socket], [], [], PATIENCE_SECONDS)[0]
    frames = worker.read()
    assert frames is not None
    return frames


def test_a_worker_ends_with_its_stream_even_in_the_midst_of_work(worker: WorkerProcess) -> None:
    """The parent lives on here, so that it is the stream's end that tells the worker."""
    assert [frame.kind for frame in next_frames(worker)] == [Kind.READY]
    worker.send(encode_frame(Kind.TASK, b"busy", 0, 1))
    assert [frame.kind for frame in next_frames(worker)] == [Kind.TAKEN]
    end = ProcessEnd(worker.pid)
    worker.socket.close()
    end.wait()


def test_an_interrupt_while_a_worker_starts_is_ignored(worker: WorkerProcess) -> None:
    os.kill(worker.pid, signal.SIGINT)
    assert [frame.kind for frame in next_frames(worker)] == [Kind.READY]


def test_what_the_socket_does_not_take_is_sent_later(worker: WorkerProcess) -> None:
    """A worker that reads nothing yet never blocks its parent."""
    size = 20_000_000
    worker.send(encode_frame(Kind.TASK, b"length " + bytes(size), 0, 1))
    assert worker.unsent_bytes > 0
    while worker.unsent_bytes:
        assert select.select([], [worker.socket], [], PATIENCE_SECONDS)[1]
        worker.write()
    frames: list[Frame] = []
    while len(frames) < 4:
        frames += next_frames(worker)
    kinds = [Kind.READY, Kind.TAKEN, Kind.COMPLETE, Kind.RETURNED]
    assert [frame.kind for frame in frames] == kinds
    assert frames[2].payload == b"%d" % size


def test_the_last_lines_are_heard_though_nobody_read_them_before(nursery: Nursery) -> None:
    opening = Opening(f"{engine_handlers.__name__}:make_dying", b"", 3600.0)
    worker = WorkerProcess(nursery)
    worker.open(1, encode_frame(Kind.OPEN, encode_opening(opening)))
    assert select.select([worker.socket], [], [], PATIENCE_SECONDS)[0]
    assert worker.read() is None
    reason = worker.bury()
    assert reason.endswith("was killed by signal 9 (SIGKILL); its last lines:\ncannot map the library")
    assert worker.bury() == reason


def test_a_worker_that_is_lost_with_its_nursery_is_put_in_words(worker: WorkerProcess, nursery: Nursery) -> None:
    assert next_frames(worker)
    os.kill(nursery.pid, signal.SIGKILL)
    assert select.select([worker.socket], [], [], PATIENCE_SECONDS)[0]
    assert worker.read() is None
    assert worker.bury() == f"worker 1 (pid {worker.pid}) was lost with the process that forks workers"


def test_the_end_of_a_killed_worker_is_put_in_words(worker: WorkerProcess) -> None:
    assert next_frames(worker)
    worker.kill("was killed for a reason")
    worker.kill("another reason")
    assert select.select([worker.socket], [], [], PATIENCE_SECONDS)[0]
    assert worker.read() is None
    assert worker.bury() == f"worker 1 (pid {worker.pid}) was killed for a reason"
