"""Ctrl-C and its kin: the first is a request, the second ends the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from unittest.mock import Mock

import pytest

from argosy.cli.signals import Stop, interrupt_on_signals

NUMBERS = (signal.SIGINT, signal.SIGTERM)


pytestmark = pytest.mark.usefixtures("process_given_back")


@pytest.mark.parametrize("number", NUMBERS)
def test_without_anyone_who_asks_a_signal_ends_the_command(number: signal.Signals) -> None:
    interrupt_on_signals()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_first_signal_is_a_request_and_said_once(number: signal.Signals) -> None:
    said: list[str] = []
    with Stop(lambda: said.append("stopping")) as stop:
        assert not stop.requested()
        signal.raise_signal(number)
        assert not said, "said in a handler, it could tear a line that is being written"
        assert stop.requested()
        assert stop.requested()
    assert said == ["stopping"]


def test_the_second_signal_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    timers = Mock()
    monkeypatch.setattr("argosy.cli.signals.threading.Timer", timers)
    with Stop():
        signal.raise_signal(signal.SIGTERM)
        assert not timers.called
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    seconds, leave, arguments = timers.call_args.args
    assert (seconds, leave, arguments) == (5.0, os._exit, (130,)), "should the source hang, the process leaves anyway"
    timers.return_value.start.assert_called_once_with()


def test_afterwards_a_signal_ends_the_command_again() -> None:
    with Stop():
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


PROGRAM = """
import os, sys, time
from argosy.cli.signals import Stop, interrupt_on_signals
if len(sys.argv) > 1:
    os.open(sys.argv[1], os.O_RDWR)  # a session's first terminal becomes its own
interrupt_on_signals()
with Stop() as stop:
    print("ready", flush=True)
    while not stop.requested() and (asked := sys.stdin.read(1)) == "?":
        print("alive", flush=True)
    while not stop.requested() and asked == "w":
        time.sleep(0.01)
print("stopped" if stop.requested() else "ended", flush=True)
"""


@pytest.mark.parametrize("has_terminal", [False, True])
def test_a_hangup_stops_only_who_has_lost_a_terminal(has_terminal: bool) -> None:
    """`restic unlock` asks with that signal whether the holder of a lock lives."""
    master, slave = os.openpty()
    terminal = [os.ttyname(slave)] if has_terminal else []
    command = [sys.executable, "-c", PROGRAM, *terminal]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, bufsize=0
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        for _ in range(2):
            process.send_signal(signal.SIGHUP)
            process.stdin.write(b"?")
            assert process.stdout.readline() == b"alive\n"
        process.stdin.write(b"w" if has_terminal else b".")
        os.close(slave)
        os.close(master)
        assert process.stdout.read() == (b"stopped\n" if has_terminal else b"ended\n")


def test_nohup_is_respected() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Stop() as stop:
        signal.raise_signal(signal.SIGHUP)
        assert not stop.requested()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
