"""The live line of a restore, by rich. Imported when a restore is first shown on a terminal."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.live import Live
from rich.text import Text

from argosy.cli.output import Output
from argosy.cli.pace import Pace
from argosy.cli.restore_reporter import progress_line
from argosy.operations.restore.options import RestoreProgress


class LiveDisplay:
    """Draws one line over and over; messages of ``output`` appear above it."""

    def __init__(self, output: Output, console: Console | None = None) -> None:
        self._output = output
        self._console = console or Console(file=sys.stdout, highlight=False)
        # Drawn by our own calls only: a thread of its own would draw while a message is written.
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._started = False

    def show(self, progress: RestoreProgress, seconds: float, pace: Pace) -> None:
        """Draw how far the restore is."""
        if not self._started:
            self._started = True
            self._live.start()
            self._output.interrupt = self._above
        line = Text(progress_line(progress, seconds, pace), no_wrap=True, overflow="ellipsis")
        self._live.update(line, refresh=True)

    def close(self) -> None:
        """Take the line away."""
        if self._started:
            self._output.interrupt = None
            self._live.stop()

    def _above(self, text: str, is_error: bool) -> None:
        # Errors too: what goes to standard error at its own pace would tear the display.
        if is_error and not sys.stderr.isatty():
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
        else:
            self._console.print(Text(text, style="red" if is_error else ""), soft_wrap=True)
