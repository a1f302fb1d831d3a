"""Ctrl-C, SIGTERM and a closed terminal.

Without ``Stop`` the first signal ends the command by KeyboardInterrupt, so that locks are released on the way out.
Inside ``Stop`` the first one is a request, which the operation asks about; the second ends it by KeyboardInterrupt, and
should that not come through (a source that hangs), the process leaves anyway after a few seconds.

SIGHUP counts where this process had a terminal and has it no more. Any other is a question: each `restic unlock` on
this machine sends one to every process that holds a lock, to see whether it lives.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Self

EXIT_INTERRUPTED = 130

_AT_ONCE_SECONDS = 5.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Handler = Callable[[int, FrameType | None], object]


_had_terminal = False


def interrupt_on_signals() -> None:
    """SIGTERM and SIGHUP end the command as Ctrl-C does. An ignored SIGHUP (nohup) stays ignored."""
    global _had_terminal
    _had_terminal = _has_terminal()
    _install(_raise_interrupt)


class Stop:
    """While entered, the first signal is kept for ``requested``, which says so once by ``on_request``."""

    def __init__(self, on_request: Callable[[], None] = lambda: None) -> None:
        self._on_request = on_request
        self._count = 0
        self._said = False

    def requested(self) -> bool:
        """Whether the operation is to stop."""
        if self._count and not self._said:
            # Said here, not in the handler: that one may have interrupted a write to the same stream.
            self._said = True
            self._on_request()
        return self._count > 0

    def __enter__(self) -> Self:
        _install(self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        _install(_raise_interrupt)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self._count == 1:
            return
        if self._count == 2:
            watchdog = threading.Timer(_AT_ONCE_SECONDS, os._exit, (EXIT_INTERRUPTED,))
            watchdog.daemon = True
            watchdog.start()
        raise KeyboardInterrupt


def _raise_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _install(handler: Handler) -> None:
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _unless_asked(handler) if number == signal.SIGHUP else handler)


def _unless_asked(handler: Handler) -> Handler:
    def handle(number: int, frame: FrameType | None) -> None:
        if _had_terminal and not _has_terminal():
            handler(number, frame)

    return handle


def _has_terminal() -> bool:
    """Whether this process's session has a terminal, wherever its standard streams lead."""
    with suppress(OSError):
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK))
        return True
    return False
