"""Holds a master's job in the midst of it, so that something can be killed meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import msgspec
import pytest

from tests.support.masters import PATIENCE_SECONDS


class Hold:
    """Holds the job once a member has a task, and its operation shows so."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        work: ModuleType,
        operation: str,
        change: Callable[[Any], Any] = lambda options: options,
    ) -> None:
        """``operation`` is the function that ``work`` calls; ``change`` makes other options for it."""
        self._reached = threading.Event()
        self._go_on = threading.Event()
        run = getattr(work, operation)

        def run_held(access: Any, options: Any, observer: Any, *more: Any, **named: Any) -> Any:
            told = observer.progress

            def progress(progress: Any) -> None:
                told(progress)
                if any(held for _, _, held, _, _ in progress.members) and not self._reached.is_set():
                    self._reached.set()
                    assert self._go_on.wait(PATIENCE_SECONDS)

            heard = msgspec.structs.replace(observer, progress=progress)
            return run(access, change(options), heard, *more, **named)

        monkeypatch.setattr(work, operation, run_held)

    def wait(self) -> None:
        """Until the job is held."""
        assert self._reached.wait(PATIENCE_SECONDS)

    def release(self) -> None:
        """Let it go on, to its end."""
        self._go_on.set()
