"""Pipes and commands as streams: read to the end, stopped in between, and never taken for whole when they are not."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from argosy.errors import Interrupted, SourceError
from argosy.filesystem.streams import CommandStream, PipeStream, Stream


def never() -> bool:
    return False


def read_all(stream: Stream) -> bytes:
    buffer, parts = memoryview(bytearray(1000)), []
    while count := stream.read_into(buffer):
        parts.append(bytes(buffer[:count]))
    return b"".join(parts)


def python(script: str, said: list[str]) -> CommandStream:
    return CommandStream([sys.executable, "-c", f"import os, sys, time; {script}"], never, said.append)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """(the end to read from, the end to write to)"""
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)


def test_a_pipe_is_read_to_its_end(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"data" * 700)
    os.close(pipe[1])
    assert read_all(PipeStream(pipe[0], never)) == b"data" * 700


def test_a_pipe_in_which_nothing_comes_is_left_when_asked(pipe: tuple[int, int]) -> None:
    asked = iter([False, False, True])
    with pytest.raises(Interrupted) as caught:
        PipeStream(pipe[0], lambda: next(asked)).read_into(memoryview(bytearray(10)))
    assert "cannot be resumed" in caught.value.hint
    os.close(pipe[1])


def test_a_descriptor_that_cannot_be_read_is_named() -> None:
    fd = os.open("/", os.O_RDONLY)
    with pytest.raises(SourceError, match="standard input cannot be read"):
        PipeStream(fd, never).read_into(memoryview(bytearray(10)))
    os.close(fd)


def test_output_is_read_and_lines_of_errors_are_told() -> None:
    said: list[str] = []
    script = "sys.stderr.write('one\\ntwo'); sys.stdout.write('out' * 50_000)"
    with closing(python(script, said)) as stream:
        assert read_all(stream) == b"out" * 50_000
    assert said == [f"{sys.executable}: one", f"{sys.executable}: two"]


def test_more_errors_than_a_pipe_holds_do_not_block() -> None:
    said: list[str] = []
    script = "sys.stdout.close(); os.close(1); sys.stderr.write(('x' * 99 + '\\n') * 5_000)"
    with closing(python(script, said)) as stream:
        assert read_all(stream) == b""
    assert len(said) == 5_000


def test_a_process_left_behind_with_the_pipe_of_errors_is_not_waited_for() -> None:
    """A daemon that the command starts may hold it for ever."""
    with closing(CommandStream(["sh", "-c", "sleep 1000 >&- & echo $!"], never, print)) as stream:
        left_behind = int(read_all(stream))
    os.kill(left_behind, 9)


@pytest.mark.parametrize(
    ("script", "how"),
    [("print('half'); sys.exit(7)", "ended with code 7"), ("os.kill(os.getpid(), 9)", "ended by signal 9")],
)
def test_a_command_that_ends_badly_is_an_error_at_the_end(script: str, how: str) -> None:
    with closing(python(script, [])) as stream, pytest.raises(SourceError, match=how):
        read_all(stream)


def test_a_command_that_is_not_there_is_named_without_its_arguments() -> None:
    with pytest.raises(SourceError) as caught:
        CommandStream(["/no/such/command", "--password=secret"], never, print)
    assert "/no/such/command" in caught.value.message
    assert "secret" not in caught.value.message


def test_closing_ends_the_command() -> None:
    with closing(python("print('started', flush=True); time.sleep(1000)", [])) as stream:
        assert stream.read_into(memoryview(bytearray(100)))
    stream.close()
    assert stream._process.returncode == -15
