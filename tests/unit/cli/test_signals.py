"""Ctrl-C and its kin: the first is a request, the second ends the command."""

from __future__ import annotations

import os
import signal
from unittest.mock import Mock

import pytest

from argosy.cli.signals import Stop, interrupt_on_signals

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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


def test_nohup_is_respected() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Stop() as stop:
        signal.raise_signal(signal.SIGHUP)
        assert not stop.requested()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
