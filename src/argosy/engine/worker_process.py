"""The parent's end of one worker process: have it forked, speak without ever blocking, read, and bury it."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections import deque
from contextlib import suppress
from io import FileIO

from argosy.engine.framing import Frame, FrameDecoder
from argosy.engine.nursery import Nursery

_log = logging.getLogger(__name__)

_READ_BYTES = 256 * 1024
_LAST_WORDS_LINES = 10
_LINE_BYTES = 2048
# What one sendmsg takes; far below the kernel's limit of 1024 parts.
_SEND_PARTS = 64


class WorkerProcess:
    """A running worker. Not thread-safe."""

    def __init__(self, nursery: Nursery) -> None:
        """Ask for the process, which waits for ``open``; that none could be had is told by the end of its stream.

        OSError if the system has no descriptor to give.
        """
        self._nursery = nursery
        self.number = 0
        self.is_ready = False
        self.unsent_bytes = 0
        output, output_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.output = FileIO(output)
        self.socket, worker_end = socket.socketpair()
        self.socket.setblocking(False)
        self._unsent: deque[memoryview] = deque()
        self._decoder = FrameDecoder()
        self._last_words: deque[str] = deque(maxlen=_LAST_WORDS_LINES)
        self._partial_line = b""
        self._cause = self._end = ""
        try:
            # The worker's end of the pipe blocks: a worker that prints too much waits.
            os.set_blocking(output_end, True)
            self._birth = nursery.fork(worker_end, output_end)
        finally:
            worker_end.close()
            os.close(output_end)

    @property
    def pid(self) -> int:
        """Its process id, as soon as the nursery tells it; not above 0 if it never came to be."""
        return self._nursery.wait(self._birth)

    def open(self, number: int, first_frame: bytes) -> None:
        """Make it the worker of this number, which ``first_frame`` tells what to run."""
        self.number = number
        self.send(first_frame)

    def send(self, frame: bytes) -> None:
        """Queue a frame and write what the socket takes now."""
        self._unsent.append(memoryview(frame))
        self.unsent_bytes += len(frame)
        self.write()

    def write(self) -> None:
        """Write what the socket takes now; the rest stays queued."""
        try:
            while self._unsent:
                parts = [self._unsent[position] for position in range(min(len(self._unsent), _SEND_PARTS))]
                self._drop_sent(self.socket.sendmsg(parts))
        except BlockingIOError:
            return
        except ConnectionError:
            # The worker is gone. Its last frames may still be unread, so its end is seen by read().
            self._unsent.clear()
            self.unsent_bytes = 0

    def read(self) -> list[Frame] | None:
        """The frames that came, or None at the end of the stream: the worker is gone."""
        try:
            data = self.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        except ConnectionError:
            return None
        return self._decoder.feed(data) if data else None

    def read_output(self) -> bool:
        """Take what the worker printed. False at its end.

        A ready worker's lines go to the log; those of one that starts are kept, for the error if it dies.
        """
        data = self.output.read(_READ_BYTES)
        if data is None:
            return True
        lines = (self._partial_line + data).split(b"\n")
        self._partial_line = lines.pop()[-_LINE_BYTES:] if data else b""
        for line in lines:
            text = line[:_LINE_BYTES].decode(errors="backslashreplace").rstrip()
            if text:
                self._last_words.append(text)
                if self.is_ready:
                    _log.warning("worker %d: %s", self.number, text)
        return bool(data)

    def became_ready(self) -> None:
        """Note that the worker started; what it printed until now goes to the log."""
        self.is_ready = True
        for text in self._last_words:
            _log.warning("worker %d: %s", self.number, text)

    def kill(self, cause: str = "") -> None:
        """Kill the process at once; ``bury`` follows. ``cause`` is kept for it if it is the first."""
        self._cause = self._cause or cause
        self._nursery.kill(self.pid)

    def bury(self) -> str:
        """Wait for the process, free what it had, and return why it died, in words. Idempotent."""
        # It has closed its socket: it is ending, or no worker any more.
        if not self._end:
            self._nursery.kill(self.pid)
            status = self._nursery.end(self.pid)
            self._hear_last_words()
            self._close_descriptors()
            self._end = f"worker {self.number} (pid {self.pid}) {self._cause or self._describe(status)}"
        return self._end

    def _hear_last_words(self) -> None:
        # Bounded: a child of the worker may hold the pipe open and print for ever.
        for _ in range(_LAST_WORDS_LINES):
            if self.output.closed or not self.read_output():
                break

    def _describe(self, status: int | None) -> str:
        if self.pid < 0:
            return f"could not be started: {os.strerror(-self.pid)}"
        if status is None:
            words = self._nursery.close()
            return "was lost with the process that forks workers" + (f"; its last lines:\n{words}" if words else "")
        cause = _in_words(status)
        if self._last_words and (status > 0 or not self.is_ready):
            cause += "; its last lines:\n" + "\n".join(self._last_words)
        return cause

    def _drop_sent(self, count: int) -> None:
        self.unsent_bytes -= count
        while count:
            part = self._unsent.popleft()
            if count < len(part):
                self._unsent.appendleft(part[count:])
                return
            count -= len(part)

    def _close_descriptors(self) -> None:
        self.socket.close()
        self.output.close()


def _in_words(status: int) -> str:
    if status >= 0:
        return f"ended with exit code {status}"
    name = str(-status)
    with suppress(ValueError):  # a real-time signal has no name
        name = f"{-status} ({signal.Signals(-status).name})"
    return f"was killed by signal {name}"
