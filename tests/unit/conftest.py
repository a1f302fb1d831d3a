"""What unit tests of several folders use."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator

import pytest

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def process_given_back() -> Iterator[None]:
    """For tests that run the program in this process: it takes over signals (by SIGHUP restic asks who lives) and the
    log, for an output that ends with the test."""
    logger = logging.getLogger("argosy")
    before = [signal.getsignal(number) for number in SIGNALS]
    handlers, propagate = logger.handlers, logger.propagate
    yield
    logger.handlers, logger.propagate = handlers, propagate
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)
