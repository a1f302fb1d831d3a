"""``argosy restore``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from argosy.cli.choosing import snapshot_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.values import parallel_or_auto
from argosy.errors import RestoreError, UsageError

if TYPE_CHECKING:
    from argosy.cli.display import Display
    from argosy.operations.restore.options import RestoreOptions, RestoreProgress, RestoreResult
    from argosy.repository.snapshots import SnapshotFilter
    from argosy.restorer.selection import SelectionSpec

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_LIST_LEVEL = 2
_WAYS = ("always", "if-changed", "if-newer", "never")
_PATTERN: dict[str, Any] = {"multiple": True, "metavar": "PATTERN"}
_FILE: dict[str, Any] = {"multiple": True, "metavar": "FILE"}
_FLAGS = (
    click.option("-t", "--target", metavar="DIR", help="the directory to restore to; it is made if it is missing"),
    click.option("-i", "--include", **_PATTERN, help="restore only what matches (a path within the snapshot)"),
    click.option("--iinclude", **_PATTERN, help="the same, upper or lower case alike"),
    click.option("--include-file", **_FILE, help="read patterns to include from a file"),
    click.option("--iinclude-file", **_FILE, help="the same, upper or lower case alike"),
    click.option("-e", "--exclude", **_PATTERN, help="leave out what matches (a path within the snapshot)"),
    click.option("--iexclude", **_PATTERN, help="the same, upper or lower case alike"),
    click.option("--exclude-file", **_FILE, help="read patterns to leave out from a file"),
    click.option("--iexclude-file", **_FILE, help="the same, upper or lower case alike"),
    click.option("--include-xattr", **_PATTERN, help="restore only extended attributes whose name matches"),
    click.option("--exclude-xattr", **_PATTERN, help="leave out extended attributes whose name matches"),
    click.option(
        "--overwrite",
        type=click.Choice(_WAYS),
        default="always",
        help="what happens to files that exist: compare their content and write what differs (always), the same but "
        "trust equal size and mtime (if-changed), only where the snapshot's is newer (if-newer), nothing (never)",
    ),
    click.option("--delete", is_flag=True, help="delete from the target what the snapshot does not have there"),
    click.option("--sparse", is_flag=True, help="make holes of zeros"),
    click.option("--verify", is_flag=True, help="read again what was restored, and compare it"),
    click.option("--dry-run", is_flag=True, help="write nothing; with -v -v list what would be done"),
    click.option("--workers", type=parallel_or_auto, metavar="N|auto", help="worker processes (auto: one a processor)"),
)


def _restore_flags(function: Decorated) -> Decorated:
    for flag in reversed(_FLAGS):
        function = flag(function)
    return function


@verb("restore")
@_restore_flags
@snapshot_flags
@click.argument("snapshot")
def command(
    ctx: Context,
    /,
    snapshot: str,
    wanted: SnapshotFilter,
    **flags: Any,
) -> int:
    """Restore a snapshot, or a part of it, to a directory.

    SNAPSHOT is the start of an id, or "latest" (of those that --host, --tag and --path choose). SNAPSHOT:DIR restores
    the content of one directory. Interrupted, the same command goes on: what is there is compared, not fetched again.

    Exit codes: 0 done, 1 something could not be restored (each entry is named), 10 there is no repository, 11 it is
    locked, 12 the password is wrong, 130 interrupted.
    """
    from argosy.cli.restore_reporter import RestoreReporter
    from argosy.operations.restore.options import RestoreObserver
    from argosy.operations.restore.run import run_restore

    options = _options(ctx, snapshot, flags, wanted)
    with (
        ctx.stopping("stopping: what is restored stays, the same command goes on; once more stops at once") as stop,
        RestoreReporter(ctx.output, _display(ctx), options.target) as reporter,
    ):
        observer = RestoreObserver(
            reporter.begun, reporter.progress, reporter.item, reporter.error, reporter.verifying, stop
        )
        result = run_restore(ctx.access, options, observer)
    reporter.finish(result)
    return _judge(result)


def _judge(result: RestoreResult) -> int:
    if result.errors:
        count = "There was 1 error" if result.errors == 1 else f"There were {result.errors} errors"
        raise RestoreError(count, hint="Each is named above. Everything else was restored.")
    return result.exit_code


def _options(
    ctx: Context,
    snapshot: str,
    flags: dict[str, Any],
    wanted: SnapshotFilter,
) -> RestoreOptions:
    from argosy.operations.restore.options import RestoreOptions
    from argosy.restorer.overwrite import Overwrite

    return RestoreOptions(
        target=os.fsencode(flags["target"] or ""),
        snapshot=snapshot,
        wanted=wanted,
        selection=_selection(ctx, flags),
        xattr_exclude=_encoded(flags["exclude_xattr"]),
        xattr_include=_encoded(flags["include_xattr"]),
        overwrite=Overwrite(flags["overwrite"]),
        sparse=flags["sparse"],
        delete=flags["delete"],
        dry_run=flags["dry_run"],
        verify=flags["verify"],
        listing=ctx.verbosity >= _LIST_LEVEL,
        workers=flags["workers"],
    )


def _selection(ctx: Context, flags: dict[str, Any]) -> SelectionSpec:
    from argosy.filesystem.exclude import read_pattern_file
    from argosy.restorer.selection import SelectionSpec

    def patterns(kind: str) -> tuple[bytes, ...]:
        found = list(_encoded(flags[kind]))
        for name in flags[f"{kind}_file"]:
            found += read_pattern_file(_read(name), ctx.given.variables.as_bytes())
        return tuple(found)

    return SelectionSpec(patterns("exclude"), patterns("iexclude"), patterns("include"), patterns("iinclude"))


def _encoded(texts: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(os.fsencode(text) for text in texts)


def _read(name: str) -> bytes:
    """A file's content; ``-`` is standard input."""
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}", hint="Check the path of the list.") from error


def _display(ctx: Context) -> Display[RestoreProgress] | None:
    from argosy.cli.display import choose_display
    from argosy.cli.restore_reporter import progress_line, status_document

    def live() -> Display[RestoreProgress]:
        from argosy.cli.live import LiveDisplay
        from argosy.cli.restore_picture import restore_picture

        return LiveDisplay(ctx.output, restore_picture)

    return choose_display(ctx, status_document, progress_line, live)
