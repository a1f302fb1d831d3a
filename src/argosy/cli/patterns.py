"""--include, --exclude and their kin: which part of a snapshot a command is about (restic's flags of restore)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from argosy.cli.context import Context
from argosy.errors import UsageError

if TYPE_CHECKING:
    from argosy.restorer.selection import SelectionSpec

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

PATTERN: dict[str, Any] = {"multiple": True, "metavar": "PATTERN"}
_FILE: dict[str, Any] = {"multiple": True, "metavar": "FILE"}
_FLAGS = (
    click.option("-i", "--include", **PATTERN, help="only what matches (a path within the snapshot)"),
    click.option("--iinclude", **PATTERN, help="the same, upper or lower case alike"),
    click.option("--include-file", **_FILE, help="read patterns to include from a file"),
    click.option("--iinclude-file", **_FILE, help="the same, upper or lower case alike"),
    click.option("-e", "--exclude", **PATTERN, help="leave out what matches (a path within the snapshot)"),
    click.option("--iexclude", **PATTERN, help="the same, upper or lower case alike"),
    click.option("--exclude-file", **_FILE, help="read patterns to leave out from a file"),
    click.option("--iexclude-file", **_FILE, help="the same, upper or lower case alike"),
)


def pattern_flags(function: Decorated) -> Decorated:
    """Give a command the flags, as ``include``, ``iinclude``, ``include_file`` … for ``selection``."""
    for flag in reversed(_FLAGS):
        function = flag(function)
    return function


def selection(ctx: Context, flags: Mapping[str, Any]) -> SelectionSpec:
    """What the flags say. UsageError if a list cannot be read."""
    from argosy.filesystem.exclude import read_pattern_file
    from argosy.restorer.selection import SelectionSpec

    def patterns(kind: str) -> tuple[bytes, ...]:
        found = list(encoded(flags[kind]))
        for name in flags[f"{kind}_file"]:
            found += read_pattern_file(_read(name), ctx.given.variables.as_bytes())
        return tuple(found)

    return SelectionSpec(patterns("exclude"), patterns("iexclude"), patterns("include"), patterns("iinclude"))


def encoded(texts: Sequence[str]) -> tuple[bytes, ...]:
    """Arguments as the bytes that the shell gave."""
    return tuple(os.fsencode(text) for text in texts)


def _read(name: str) -> bytes:
    """A file's content; ``-`` is standard input."""
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}", hint="Check the path of the list.") from error
