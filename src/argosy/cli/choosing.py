"""--host, --tag and --path: which snapshots a command is about (restic's rules)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from argosy.repository.snapshots import SnapshotFilter

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def snapshot_flags(function: Decorated) -> Decorated:
    """Give a command -H/--host, --tag and --path, as ``hosts``, ``tags`` and ``paths`` for ``snapshot_filter``."""
    return _with_flags(function, "-H", "--host")


def long_snapshot_flags(function: Decorated) -> Decorated:
    """The same without -H, for a command in which restic uses that letter for another flag."""
    return _with_flags(function, "--host")


def _with_flags(function: Decorated, *host_names: str) -> Decorated:
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
        function = flag(function)
    return function


def snapshot_filter(hosts: tuple[str, ...], tags: tuple[str, ...], paths: tuple[str, ...]) -> SnapshotFilter:
    """What the flags say. A tag that is empty means a snapshot without tags."""
    from argosy.repository.snapshots import SnapshotFilter

    lists = [[tag.strip() for tag in text.split(",")] for text in tags]
    return SnapshotFilter(hosts=hosts, tags=lists, paths=paths)
