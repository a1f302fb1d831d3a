"""The live display of a job, by rich. Imported when a job is first shown on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from argosy.cli.output import Output
from argosy.cli.pace import Pace

P = TypeVar("P")


class LiveDisplay(Generic[P]):
    """Draws a few lines over and over; messages of ``output`` appear above them."""

    def __init__(
        self, output: Output, picture: Callable[[P, float, Pace], RenderableType], console: Console | None = None
    ) -> None:
        self._output = output
        self._picture = picture
        self._console = console or Console(file=sys.stdout, highlight=False)
        # Drawn by our own calls only: a thread of its own would draw while a message is written.
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._started = False

    def show(self, progress: P, seconds: float, pace: Pace) -> None:
        """Draw how far the job is."""
        if not self._started:
            self._started = True
            self._live.start()
            self._output.interrupt = self._above
        self._live.update(self._picture(progress, seconds, pace), refresh=True)

    def close(self) -> None:
        """Take the display away."""
        if self._started:
            self._output.interrupt = None
            self._live.stop()

    def _above(self, text: str, is_error: bool) -> None:
        style = "red" if is_error else ""
        # Errors too: what goes to standard error at its own pace would tear the display.
        if is_error and not sys.stderr.isatty():
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
        else:
            self._console.print(Text(text, style=style), soft_wrap=True)


def lines_display(output: Output, lines: Callable[[P, float, Pace], Sequence[str]]) -> LiveDisplay[P]:
    """A display of some lines, each cut where the terminal ends."""

    def picture(progress: P, seconds: float, pace: Pace) -> Group:
        return Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in lines(progress, seconds, pace)))

    return LiveDisplay(output, picture)
