"""A running restore as a terminal shows it, by rich."""

from __future__ import annotations

from rich.text import Text

from argosy.cli.pace import Pace
from argosy.cli.restore_reporter import progress_line
from argosy.operations.restore.options import RestoreProgress


def restore_picture(progress: RestoreProgress, seconds: float, pace: Pace) -> Text:
    """One line."""
    return Text(progress_line(progress, seconds, pace), no_wrap=True, overflow="ellipsis")
