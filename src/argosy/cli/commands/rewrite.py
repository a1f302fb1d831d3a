"""``argosy rewrite``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from argosy.cli.choosing import snapshot_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.pattern_lists import given_patterns
from argosy.cli.replaced_words import replacement_listener, say_changed
from argosy.cli.saving_flags import saving_options
from argosy.cli.values import moment
from argosy.cli.wording import printable

if TYPE_CHECKING:
    from argosy.repository.snapshots import SnapshotFilter


@verb("rewrite", unlocks=True)
@click.option("-e", "--exclude", multiple=True, metavar="PATTERN", help="leave out what matches")
@click.option("--iexclude", multiple=True, metavar="PATTERN", help="the same, upper or lower case alike")
@click.option("--exclude-file", multiple=True, metavar="FILE", help="read patterns to leave out from a file")
@click.option("--iexclude-file", multiple=True, metavar="FILE", help="the same, upper or lower case alike")
@click.option("--new-host", default="", metavar="HOST", help="another host name")
@click.option("--new-time", type=moment, metavar="TIME", help="another time: 2012-11-01 22:08:41")
@click.option(
    "-s", "--snapshot-summary", is_flag=True, help="add the sums of its files to a snapshot without a summary"
)
@click.option("--forget", is_flag=True, help="remove the old snapshots once the new ones are stored")
@click.option("-n", "--dry-run", is_flag=True, help="change nothing, say what would be")
@snapshot_flags
@click.argument("snapshot_ids", metavar="[SNAPSHOT…]", nargs=-1)
def command(
    ctx: Context,
    /,
    snapshot_ids: tuple[str, ...],
    wanted: SnapshotFilter,
    new_host: str,
    new_time: int | None,
    snapshot_summary: bool,
    forget: bool,
    dry_run: bool,
    **flags: Any,
) -> int:
    """Store snapshots anew without what patterns leave out, or with another host or time; all, or those chosen.

    The new ones have the tag "rewrite" and stand beside the old ones, unless --forget removes these. Room is gained by
    `argosy prune`, later.
    """
    from argosy.operations.rewrite import RewriteListener, RewriteOptions, run_rewrite

    options = RewriteOptions(
        snapshot_ids,
        wanted,
        given_patterns(flags, "exclude", ctx.given.variables),
        given_patterns(flags, "iexclude", ctx.given.variables),
        new_host,
        new_time,
        snapshot_summary,
        forget,
        dry_run,
        saving_options(ctx),
    )

    def excluded(path: bytes) -> None:
        ctx.output.detail(f"excluding {printable(path)}")

    lines = replacement_listener(ctx.output, dry_run=dry_run)
    with ctx.stopping("stopping after this snapshot; once more: at once") as stop_requested:
        listener = RewriteListener(lines.begun, lines.saved, lines.removed, excluded, stop_requested)
        result = run_rewrite(ctx.access, options, listener)
    say_changed(ctx, result.changed, dry_run=dry_run)
    for error in result.damaged:
        ctx.output.error(error.message)
    return result.exit_code
