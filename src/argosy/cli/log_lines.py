"""Warnings that the layers below write to Python's log appear as warnings of the command."""

from __future__ import annotations

import logging

from argosy.cli.output import Output


class _Lines(logging.Handler):
    def __init__(self, output: Output) -> None:
        super().__init__(logging.WARNING)
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Any thread may call this."""
        self._output.warning(record.getMessage())


def route_log(output: Output) -> None:
    """Send what Argosy logs from now on to ``output``."""
    logger = logging.getLogger("argosy")
    logger.handlers = [_Lines(output)]
    logger.propagate = False
