"""How a running job is shown: JSON documents, a live picture on a terminal, or a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeAlias, TypeVar

from argosy.cli.context import Context
from argosy.cli.output import Output
from argosy.cli.pace import Pace
from argosy.errors import UsageError

# Seconds between two lines where nobody watches: soon at first, rarely in a long job's log.
_LINE_SECONDS = (10.0, 10.0, 10.0, 30.0)
_LINE_SECONDS_LATER = 60.0

P = TypeVar("P")
P_contra = TypeVar("P_contra", contravariant=True)

Documents: TypeAlias = Callable[[P, float, Pace], dict[str, Any]]
"""Makes a "status" document of a look at a job, the seconds since its start and its pace."""

Lines: TypeAlias = Callable[[P, float, Pace], str]
"""The same as one line of text."""


class Display(Protocol[P_contra]):
    """Shows a look at a running job."""

    def show(self, progress: P_contra, seconds: float, pace: Pace) -> None:
        """Called a few times a second."""

    def close(self) -> None:
        """Leave nothing half drawn."""


class JsonDisplay(Generic[P]):
    """A document every so many seconds."""

    def __init__(self, output: Output, document: Documents[P], every_seconds: float) -> None:
        self._output = output
        self._document = document
        self._every_seconds = every_seconds
        self._next = 0.0

    def show(self, progress: P, seconds: float, pace: Pace) -> None:
        """Print a document if it is time."""
        if seconds >= self._next:
            self._next = seconds + self._every_seconds
            self._output.document(self._document(progress, seconds, pace), flush=True)

    def close(self) -> None:
        """Nothing is half drawn."""


class LineDisplay(Generic[P]):
    """A line now and then, for logs."""

    def __init__(self, output: Output, line: Lines[P], fixed_seconds: float | None = None) -> None:
        self._output = output
        self._line = line
        self._fixed_seconds = fixed_seconds
        self._lines = 0
        self._next = self._pause()

    def show(self, progress: P, seconds: float, pace: Pace) -> None:
        """Print a line if it is time."""
        if seconds >= self._next:
            self._output.message(self._line(progress, seconds, pace))
            self._lines += 1
            self._next = seconds + self._pause()

    def close(self) -> None:
        """Nothing is half drawn."""

    def _pause(self) -> float:
        if self._fixed_seconds is not None:
            return self._fixed_seconds
        return _LINE_SECONDS[self._lines] if self._lines < len(_LINE_SECONDS) else _LINE_SECONDS_LATER


class ProgressReporter(Generic[P]):
    """A command's reporter that shows how far it is, within ``with``. ``started`` is when it was made."""

    def __init__(self, output: Output, display: Display[P] | None) -> None:
        self.output = output
        self.pace = Pace()
        self.started = time.monotonic()
        self._display = display

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        if self._display is not None:
            self._display.close()

    def show(self, progress: P, bytes_done: int) -> None:
        """Show a look at the job."""
        now = time.monotonic()
        self.pace.look(now, bytes_done)
        if self._display is not None:
            self._display.show(progress, now - self.started, self.pace)


def choose_display(
    ctx: Context, document: Documents[P] | None, line: Lines[P], live: Callable[[], Display[P]]
) -> Display[P] | None:
    """What the flags and the terminal ask for; ``live`` makes the picture, so that only a terminal imports rich.

    ``document`` None: with --json the command shows nothing while it runs. UsageError if PROGRESS_FPS is no rate.
    """
    every_seconds = _progress_seconds(ctx)
    if ctx.quiet:
        return None
    if ctx.json:
        return None if document is None else JsonDisplay(ctx.output, document, every_seconds or 1.0)
    if ctx.output.on_terminal and ctx.given.variables.get("TERM") != "dumb":
        return live()
    return LineDisplay(ctx.output, line, every_seconds)


def _progress_seconds(ctx: Context) -> float | None:
    """Seconds between two looks, from restic's PROGRESS_FPS; None if it is not set."""
    text = ctx.given.variables.first("PROGRESS_FPS")
    if text is None:
        return None
    try:
        frames_per_second = float(text)
    except ValueError:
        frames_per_second = 0.0
    if not 0 < frames_per_second <= 60:
        raise UsageError(
            f"PROGRESS_FPS is {text!r}", hint="It takes a number above 0, up to 60: 0.1 is every ten seconds."
        )
    return 1 / frames_per_second
