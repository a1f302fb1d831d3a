"""--host, --tag and --path: which snapshots a command is about (restic's rules)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from argosy.cli.context import Context
    from argosy.repository.snapshots import SnapshotFilter

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def snapshot_flags(function: Decorated) -> Decorated:
    """Give a command -H/--host, --tag and --path. What they say reaches it as ``wanted``, a SnapshotFilter."""
    return _with_flags(function, "-H", "--host")


def long_snapshot_flags(function: Decorated) -> Decorated:
    """The same without -H, for a command in which restic uses that letter for another flag."""
    return _with_flags(function, "--host")


def _with_flags(function: Decorated, *host_names: str) -> Decorated:
    @wraps(function)
    def choosing(
        ctx: Context, /, *, hosts: tuple[str, ...], tags: tuple[str, ...], paths: tuple[str, ...], **others: Any
    ) -> Any:
        # Without --host the variable HOST, as restic does.
        host = ctx.given.variables.first("HOST")
        wanted = snapshot_filter(hosts or ((host,) if host else ()), tags, paths)
        return function(ctx, wanted=wanted, **others)

    for flag in (
        click.option(
            "--path", "paths", multiple=True, help="only snapshots that hold this absolute path (again: and this)"
        ),
        click.option(
            "--tag",
            "tags",
            multiple=True,
            metavar="TAG[,TAG…]",
            help="only snapshots with all of these tags (again: or these)",
        ),
        click.option(*host_names, "hosts", multiple=True, help="only snapshots of this host (again: or this)"),
    ):
        flag(choosing)
    return choosing  # type: ignore[return-value]  # it is called by click, which gives the flags instead of ``wanted``


def snapshot_filter(hosts: tuple[str, ...], tags: tuple[str, ...], paths: tuple[str, ...]) -> SnapshotFilter:
    """What the flags say. A tag that is empty means a snapshot without tags."""
    from argosy.repository.snapshots import SnapshotFilter

    lists = [[tag.strip() for tag in text.split(",")] for text in tags]
    return SnapshotFilter(hosts=hosts, tags=lists, paths=paths)
