"""How far a check is, as one line and as the lines of a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from argosy.cli.display import choose_display
from argosy.cli.member_words import with_members
from argosy.cli.wording import counted, duration

if TYPE_CHECKING:
    from argosy.cli.context import Context
    from argosy.cli.display import Display
    from argosy.cli.pace import Pace
    from argosy.operations.check.options import CheckProgress


def progress_line(progress: CheckProgress, seconds: float, _pace: Pace) -> str:
    """Trees, and packs where they are read."""
    words = f"[{duration(seconds)}] {counted(progress.trees_done, 'tree')}"
    if progress.packs:
        share = progress.bytes_done / progress.pack_bytes if progress.pack_bytes else 1.0
        words += f", {progress.packs_done:,} of {counted(progress.packs, 'pack')}, {share:.0%}"
    return f"{words}, {counted(progress.problems, 'error')}" if progress.problems else words


def progress_lines(progress: CheckProgress, seconds: float, pace: Pace) -> list[str]:
    """The same, and a line for each member where there are several."""
    return with_members(progress_line(progress, seconds, pace), progress.members)


def check_display(ctx: Context) -> Display[CheckProgress] | None:
    """Like restic's, a check says nothing with --json while it runs."""

    def live() -> Display[CheckProgress]:
        from argosy.cli.live import lines_display

        return lines_display(ctx.output, progress_lines)

    return choose_display(ctx, None, progress_line, live)
