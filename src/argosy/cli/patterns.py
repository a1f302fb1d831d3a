"""--include, --exclude and their kin: which part of a snapshot a command is about (restic's flags of restore)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from argosy.cli.context import Context
from argosy.cli.pattern_lists import given_patterns

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
    from argosy.restorer.selection import SelectionSpec

    kinds = ("exclude", "iexclude", "include", "iinclude")
    return SelectionSpec(*(tuple(given_patterns(flags, kind, ctx.given.variables)) for kind in kinds))


def encoded(texts: Sequence[str]) -> tuple[bytes, ...]:
    """Arguments as the bytes that the shell gave."""
    return tuple(os.fsencode(text) for text in texts)
