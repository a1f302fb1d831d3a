"""The live display of a backup, by rich. Imported when a job is first shown on a terminal."""

from __future__ import annotations

import sys

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from argosy.cli.backup_reporter import queue_words, scan_words
from argosy.cli.output import Output
from argosy.cli.pace import Pace
from argosy.cli.wording import counted, duration, printable, size
from argosy.operations.backup.options import BackupProgress

_BAR_CELLS = 30
_MEMBERS_SHOWN = 20


class LiveDisplay:
    """Draws a few lines over and over; messages of ``output`` appear above them."""

    def __init__(self, output: Output, console: Console | None = None) -> None:
        self._output = output
        self._console = console or Console(file=sys.stdout, highlight=False)
        # Drawn by our own calls only: a thread of its own would draw while a message is written.
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._started = False

    def show(self, progress: BackupProgress, seconds: float, pace: Pace) -> None:
        """Draw how far the job is."""
        if not self._started:
            self._started = True
            self._live.start()
            self._output.interrupt = self._above
        self._live.update(_picture(progress, seconds, pace), refresh=True)

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


def _picture(progress: BackupProgress, seconds: float, pace: Pace) -> RenderableType:
    lines = [_head(progress, seconds, pace), f"scan    {scan_words(progress)}", f"queue   {queue_words(progress)}"]
    for name, workers, held, files, size_bytes in progress.members[:_MEMBERS_SHOWN]:
        holds = f"{counted(workers, 'worker')}, {counted(held, 'batch', 'batches')}"
        lines.append(f"  {printable(name):<16} {holds:<24} {counted(files, 'file')}, {size(size_bytes)}")
    if len(progress.members) > _MEMBERS_SHOWN:
        lines.append(f"  and {len(progress.members) - _MEMBERS_SHOWN} members more")
    texts = [Text(line, no_wrap=True, overflow="ellipsis") for line in lines]
    if progress.unread:
        texts.append(Text(f"{progress.unread:,} could not be read", style="red"))
    return Group(*texts)


def _head(progress: BackupProgress, seconds: float, pace: Pace) -> str:
    done = f"[{duration(seconds)}]  {counted(progress.files_done, 'file')}  {size(progress.bytes_done)}"
    head = f"{done}  {size(pace.bytes_per_second)}/s"
    if not progress.scan_done:
        return head
    total_bytes = progress.bytes_done + progress.queue_bytes
    share = progress.bytes_done / total_bytes if total_bytes else 1.0
    left = pace.seconds_left(progress.queue_bytes)
    full = int(share * _BAR_CELLS)
    bar = "━" * full + "╌" * (_BAR_CELLS - full)
    return f"{head}  {bar} {share:.0%}" + ("" if left is None else f"  ETA {duration(left)}")
