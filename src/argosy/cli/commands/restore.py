"""``argosy restore``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from argosy.cli.choosing import snapshot_flags
from argosy.cli.cluster_flags import submitting_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.patterns import PATTERN, encoded, pattern_flags, selection
from argosy.cli.values import parallel_or_auto
from argosy.errors import RestoreError
from argosy.operations.restore.handler import HANDLER

if TYPE_CHECKING:
    from argosy.cli.cluster_jobs import JobShow
    from argosy.cli.display import Display
    from argosy.operations.restore.options import RestoreOptions, RestoreProgress, RestoreResult
    from argosy.repository.snapshots import SnapshotFilter

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_LIST_LEVEL = 2
_WAYS = ("always", "if-changed", "if-newer", "never")
_FLAGS = (
    click.option("-t", "--target", metavar="DIR", help="the directory to restore to; it is made if it is missing"),
    click.option("--include-xattr", **PATTERN, help="restore only extended attributes whose name matches"),
    click.option("--exclude-xattr", **PATTERN, help="leave out extended attributes whose name matches"),
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


@verb("restore", unlocks=True)
@_restore_flags
@pattern_flags
@snapshot_flags
@submitting_flags
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
    if not flags["cluster"]:
        ctx.start_nursery(HANDLER)
    from argosy.cli.restore_reporter import RestoreReporter
    from argosy.operations.restore.run import run_restore

    options = _options(ctx, snapshot, flags, wanted)
    if flags["cluster"]:
        return _restore_by_cluster(ctx, flags, options)
    with (
        ctx.stopping("stopping: what is restored stays, the same command goes on; once more stops at once") as stop,
        RestoreReporter(ctx.output, _display(ctx), options.target) as reporter,
    ):
        result = run_restore(ctx.access, options, reporter.observer(stop), nursery=ctx.nursery)
    reporter.finish(result)
    return _judge(result)


def _restore_by_cluster(ctx: Context, flags: dict[str, Any], options: RestoreOptions) -> int:
    from argosy.cli.cluster_jobs import run_by_cluster
    from argosy.daemon.protocol import RestoreOrder
    from argosy.operations.restore.options import refuse_contradictions

    refuse_contradictions(options)
    order = RestoreOrder(msgspec.structs.replace(options, target=os.path.abspath(options.target)))
    return run_by_cluster(ctx, flags, order, restore_show(ctx, options.target))


def restore_show(ctx: Context, target: bytes) -> JobShow:
    """How a cluster's restore is shown."""
    from argosy.cli.cluster_jobs import JobShow
    from argosy.cli.restore_reporter import RestoreReporter

    reporter = RestoreReporter(ctx.output, _display(ctx), target)

    def finish(result: RestoreResult) -> int:
        reporter.finish(result)
        return _judge(result)

    return JobShow(reporter.observer, finish, reporter)


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
        selection=selection(ctx, flags),
        xattr_exclude=encoded(flags["exclude_xattr"]),
        xattr_include=encoded(flags["include_xattr"]),
        overwrite=Overwrite(flags["overwrite"]),
        sparse=flags["sparse"],
        delete=flags["delete"],
        dry_run=flags["dry_run"],
        verify=flags["verify"],
        listing=ctx.verbosity >= _LIST_LEVEL,
        workers=flags["workers"],
    )


def _display(ctx: Context) -> Display[RestoreProgress] | None:
    from argosy.cli.display import choose_display
    from argosy.cli.restore_reporter import progress_line, status_document

    def live() -> Display[RestoreProgress]:
        from argosy.cli.live import lines_display
        from argosy.cli.member_words import with_members

        return lines_display(ctx.output, lambda *look: with_members(progress_line(*look), look[0].members))

    return choose_display(ctx, status_document, progress_line, live)
