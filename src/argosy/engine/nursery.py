"""The parent's end of a nursery: a process that has imported what workers need, and forks them.

A worker with a start of its own would spend 0.1 s of a processor on imports, and 20 MB of memory that forked ones
share. The nursery has one thread and no other work, so its forks are clean, whatever threads the parent has.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import deque
from contextlib import suppress
from pathlib import Path

from argosy.engine.worker_main import ANSWER, END, FORK

_MAIN = Path(__file__).with_name("worker_main.py")
_LAST_WORDS_BYTES = 16 * 1024


class Answer:
    """What the nursery says to one request; None until it is heard."""

    def __init__(self) -> None:
        self.value: int | None = None


class Nursery:
    """A running nursery for workers of one handler, named as ``Engine.start`` takes it. Not thread-safe.

    It dies with the thread that made it, and its workers die with it.
    """

    def __init__(self, handler: str) -> None:
        """Start the process, which imports the handler's module at once. OSError if the system has none to give."""
        self.is_alive = True
        self._last_words = ""
        self._awaited: deque[Answer] = deque()
        output, output_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(output, False)
        self._output = output
        self._socket, other_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._socket.send(_prelude(handler.partition(":")[0]))
            self._process = _start(other_end.fileno(), output_end)
        except BaseException:
            self._close_descriptors()
            raise
        finally:
            other_end.close()
            os.close(output_end)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def fork(self, stream: socket.socket, output: int) -> Answer:
        """Ask for a worker that has this end of a stream, and prints to ``output``; nothing is waited for.

        The answer is its pid, or minus an errno; then, or if the nursery is gone, the stream ends.
        """
        return self._ask(FORK, [stream.fileno(), output])

    def wait(self, answer: Answer) -> int:
        """The answer; 0 if none will come, because the nursery is gone."""
        while answer.value is None and self.is_alive:
            self._hear()
        return answer.value or 0

    def kill(self, pid: int) -> None:
        """Kill a worker at once. Until ``end`` its pid is nobody else's."""
        if pid > 0 and self.is_alive:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def end(self, pid: int) -> int | None:
        """Wait for a worker's end: its exit code, or minus its signal. None if the nursery is gone."""
        if pid <= 0 or not self.is_alive:
            return None
        answer = self._ask(END + ANSWER.pack(pid))
        self.wait(answer)
        return answer.value

    def close(self) -> str:
        """Kill it, and so the workers that are left; returns what it printed last. Idempotent."""
        if self._socket.fileno() >= 0:
            self.is_alive = False
            self._process.kill()
            self._process.wait()
            with suppress(BlockingIOError):
                self._last_words = os.read(self._output, _LAST_WORDS_BYTES).decode(errors="backslashreplace").strip()
            self._close_descriptors()
        return self._last_words

    def _ask(self, request: bytes, descriptors: list[int] | None = None) -> Answer:
        answer = Answer()
        try:
            socket.send_fds(self._socket, [request], descriptors or [])
        except OSError:
            self._lost()
        else:
            self._awaited.append(answer)
        return answer

    def _hear(self) -> None:
        try:
            data = self._socket.recv(ANSWER.size)
        except OSError:
            data = b""
        if data:
            (self._awaited.popleft().value,) = ANSWER.unpack(data)
        else:
            self._lost()

    def _lost(self) -> None:
        self.is_alive = False
        self._awaited.clear()

    def _close_descriptors(self) -> None:
        self._socket.close()
        os.close(self._output)


def _start(their_end: int, output_end: int) -> subprocess.Popen[bytes]:
    # -I: neither the environment nor the working directory decides what a worker imports.
    command = [sys.executable, "-I", *(["-B"] if sys.dont_write_bytecode else [])]
    command += [str(_MAIN), str(their_end), str(os.getpid())]
    # A blocked SIGINT is inherited: Ctrl-C cannot hit it before it ignores it (worker_main.py).
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        # Our standard output may carry the command's JSON.
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output_end, stderr=output_end, pass_fds=(their_end,)
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _prelude(module: str) -> bytes:
    """Which module to import, and from where: neither the command line nor the environment has to say it."""
    return b"\0".join([module.encode(), *(os.fsencode(os.path.abspath(entry)) for entry in sys.path)])
