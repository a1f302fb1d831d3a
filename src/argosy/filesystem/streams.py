"""Data that is no file: what comes through a pipe, or what a command prints."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Callable, Sequence
from typing import Protocol

from argosy.errors import Interrupted, SourceError

_LOOK_SECONDS = 0.2
_END_SECONDS = 5.0
_LONGEST_LINE_BYTES = 1 << 16

StopRequested = Callable[[], bool]


class Stream(Protocol):
    """Bytes in sequence, once. Used by one thread."""

    def read_into(self, buffer: memoryview) -> int:
        """Put the next bytes into ``buffer`` and return how many; 0 at the end, where all has gone well.

        SourceError if it cannot be read, or did not end well. Interrupted once a stop was requested, also while
        nothing comes.
        """

    def close(self) -> None:
        """Let go of it; safe to repeat."""


class PipeStream:
    """An open descriptor, standard input as a rule. It stays open: it is the caller's."""

    def __init__(self, fd: int, stop_requested: StopRequested) -> None:
        self._fd = fd
        self._stop_requested = stop_requested

    def read_into(self, buffer: memoryview) -> int:
        """As ``Stream`` says."""
        while not _readable([self._fd], self._stop_requested):
            pass
        return _read(self._fd, buffer, "standard input")

    def close(self) -> None:
        """Nothing is held."""


class CommandStream:
    """What a command prints on its standard output. Lines of its standard error are told by ``say``.

    Its standard input is empty. It has ended well if it ended with 0: what was read before is worth nothing otherwise.
    """

    def __init__(self, command: Sequence[str], stop_requested: StopRequested, say: Callable[[str], None]) -> None:
        self._name = command[0]
        self._stop_requested = stop_requested
        self._say = say
        self._line = b""
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
            )
        except OSError as error:
            # Of the command only the first word is shown: an argument may be a secret.
            raise SourceError(
                f"the command {self._name!r} cannot be started: {error.strerror}", hint="Try it in a shell first."
            ) from error
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._output, self._errors = self._process.stdout.fileno(), self._process.stderr.fileno()
        self._open = [self._output, self._errors]

    def read_into(self, buffer: memoryview) -> int:
        """As ``Stream`` says."""
        while self._output in self._open:
            ready = _readable(self._open, self._stop_requested)
            if self._errors in ready:
                self._hear()
            if self._output in ready:
                count = _read(self._output, buffer, f"the output of {self._name!r}")
                if count:
                    return count
                self._open.remove(self._output)
        self._end()
        return 0

    def close(self) -> None:
        """End the command if it still runs, and wait for it."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        # Popen's own end: closes the pipes, waits.
        self._process.__exit__(None, None, None)

    def _end(self) -> None:
        """Wait for the command, which may go on after it has closed its output; SourceError unless it ended with 0."""
        while self._process.poll() is None:
            if self._errors in _readable(self._open, self._stop_requested):
                self._hear()
        # Not until the end of the pipe: a process that the command left behind may hold it for ever.
        while self._errors in self._open and select.select([self._errors], [], [], 0)[0]:
            self._hear()
        if self._line:
            self._tell(self._line)
            self._line = b""
        code = self._process.returncode
        if code:
            how = f"ended with code {code}" if code > 0 else f"was ended by signal {-code}"
            raise SourceError(
                f"the command {self._name!r} {how}: no snapshot was made", hint="What it printed may be incomplete."
            )

    def _hear(self) -> None:
        data = os.read(self._errors, _LONGEST_LINE_BYTES)
        if not data:
            self._open.remove(self._errors)
            return
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            self._tell(line)
        if len(self._line) > _LONGEST_LINE_BYTES:
            self._tell(self._line)
            self._line = b""

    def _tell(self, line: bytes) -> None:
        self._say(f"{self._name}: {line.decode('utf-8', 'replace')}")


def _readable(descriptors: Sequence[int], stop_requested: StopRequested) -> list[int]:
    """Those of the descriptors that can be read, none after a moment; Interrupted once a stop was requested."""
    ready: list[int] = select.select(descriptors, [], [], _LOOK_SECONDS)[0]
    if stop_requested():
        raise Interrupted(
            "stopped on request",
            hint="What comes through a pipe cannot be resumed: run the command again. What was stored is found again.",
        )
    return ready


def _read(fd: int, buffer: memoryview, what: str) -> int:
    try:
        return os.readv(fd, [buffer])
    except OSError as error:
        raise SourceError(f"{what} cannot be read: {error.strerror}", hint="No snapshot was made.") from error
