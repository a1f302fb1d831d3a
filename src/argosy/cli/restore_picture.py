"""A running restore as a terminal shows it, by rich."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from argosy.cli.member_words import member_lines
from argosy.cli.pace import Pace
from argosy.cli.restore_reporter import progress_line
from argosy.operations.restore.options import RestoreProgress


def restore_picture(progress: RestoreProgress, seconds: float, pace: Pace) -> RenderableType:
    """One line, and one for each member where there are several."""
    lines = [progress_line(progress, seconds, pace)]
    if len(progress.members) > 1:
        lines += member_lines(progress.members, "entry", "entries")
    return Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in lines))
