"""A worker's way out: bounded, in order, and honest about what is held."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from argosy.engine.framing import Frame, FrameDecoder, Kind
from argosy.engine.outbox import LIMIT_BYTES, Outbox

MIB = 1024 * 1024


class Reader:
    """The parent's end."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._decoder = FrameDecoder()

    def read(self, count: int) -> list[Frame]:
        """At least ``count`` frames."""
        frames: list[Frame] = []
        while len(frames) < count:
            frames += self._decoder.feed(self._end.recv(MIB))
        return frames


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def orphaned() -> threading.Event:
    return threading.Event()


@pytest.fixture
def outbox(ends: tuple[socket.socket, socket.socket], orphaned: threading.Event) -> Iterator[Outbox]:
    outbox = Outbox(ends[1].fileno(), orphaned.set)
    yield outbox
    # The writing thread ends at the first write to a closed peer.
    ends[0].close()
    outbox.report(b"")
    assert orphaned.wait(30)


@pytest.fixture
def reader(ends: tuple[socket.socket, socket.socket]) -> Reader:
    return Reader(ends[0])


def test_frames_arrive_in_order(outbox: Outbox, reader: Reader) -> None:
    for number in range(1000):
        outbox.report(b"%d" % number)
    assert [frame.payload for frame in reader.read(1000)] == [b"%d" % number for number in range(1000)]


def test_a_sender_waits_once_the_limit_is_reached(outbox: Outbox, reader: Reader) -> None:
    """With a parent that does not read, the queue takes its limit and the kernel a little; then nothing."""
    sent: list[int] = []
    arrived = threading.Semaphore(0)

    def send() -> None:
        for number in range(32):
            outbox.report(bytes(MIB))
            sent.append(number)
            arrived.release()

    sender = threading.Thread(target=send)
    sender.start()
    for _ in range(LIMIT_BYTES // MIB - 1):
        assert arrived.acquire(timeout=30)
    sender.join(0.2)
    assert sender.is_alive()
    assert len(sent) <= LIMIT_BYTES // MIB + 1
    assert len(reader.read(32)) == 32
    sender.join(30)
    assert len(sent) == 32


def test_a_frame_above_the_limit_goes_alone(outbox: Outbox, reader: Reader) -> None:
    outbox.report(b"before")
    sender = threading.Thread(target=outbox.report, args=(bytes(LIMIT_BYTES + 1),))
    sender.start()
    assert [len(frame.payload) for frame in reader.read(2)] == [6, LIMIT_BYTES + 1]
    sender.join(30)


def test_drain_waits_until_all_is_with_the_kernel(outbox: Outbox, ends: tuple[socket.socket, socket.socket]) -> None:
    outbox.report(b"last words")
    outbox.drain()
    ends[0].setblocking(False)
    (frame,) = FrameDecoder().feed(ends[0].recv(MIB))
    assert frame.payload == b"last words"


def test_only_what_is_held_is_spoken_of_and_settled_once(outbox: Outbox, reader: Reader) -> None:
    outbox.progress(7, b"too early")
    outbox.complete(7, b"too early")
    outbox.begin(7, 3)
    outbox.progress(7, b"half")
    outbox.fail(7, b"no")
    outbox.complete(7, b"too late")
    outbox.raised(7, b"too late")
    outbox.progress(7, b"too late")
    outbox.report(b"end")
    assert reader.read(4) == [
        Frame(Kind.TAKEN, 7, 3, b""),
        Frame(Kind.PROGRESS, 7, 3, b"half"),
        Frame(Kind.FAILED, 7, 3, b"no"),
        Frame(Kind.REPORT, 0, 0, b"end"),
    ]
