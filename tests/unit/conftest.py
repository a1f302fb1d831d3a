"""What unit tests of several folders use."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def signals_given_back() -> Iterator[None]:
    """For tests that run the program in this process: it takes signals over, and restic asks who lives by SIGHUP."""
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)
