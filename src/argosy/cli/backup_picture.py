"""A running backup as a terminal shows it, by rich."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from argosy.cli.backup_reporter import queue_words, scan_words
from argosy.cli.member_words import member_lines
from argosy.cli.pace import Pace
from argosy.cli.wording import counted, duration, size
from argosy.operations.backup.options import BackupProgress

_BAR_CELLS = 30


def backup_picture(progress: BackupProgress, seconds: float, pace: Pace) -> RenderableType:
    """Scan, queue, a line for each member; at last how far it is."""
    lines = [_head(progress, seconds, pace), f"scan    {scan_words(progress)}", f"queue   {queue_words(progress)}"]
    lines += member_lines(progress.members)
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
