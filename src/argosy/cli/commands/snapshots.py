"""``argosy snapshots``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from argosy.cli.choosing import snapshot_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.snapshot_table import group_title, snapshot_lines
from argosy.cli.snapshot_words import snapshot_json
from argosy.cli.values import number

if TYPE_CHECKING:
    from argosy.operations.grouping import SnapshotGroup
    from argosy.repository.snapshots import SnapshotFilter


@verb("snapshots", unlocks=True)
@snapshot_flags
@click.option("-c", "--compact", is_flag=True, help="no paths, one tag a line")
@click.option("-g", "--group-by", metavar="GROUP", default="", help="tell apart by host, paths, tags; with commas")
@click.option("--latest", type=number, metavar="N", help="only the last N of each host and set of paths")
@click.option("--last", is_flag=True, hidden=True, help="restic's old name of --latest 1")
@click.argument("snapshot_ids", metavar="[SNAPSHOT…]", nargs=-1)
def command(
    ctx: Context,
    snapshot_ids: tuple[str, ...],
    wanted: SnapshotFilter,
    compact: bool,
    group_by: str,
    latest: int | None,
    last: bool,
) -> int:
    """List the snapshots, all or those named."""
    from argosy.operations.grouping import parse_group_by
    from argosy.operations.snapshots import SnapshotsOptions, run_snapshots

    options = SnapshotsOptions(
        names=snapshot_ids,
        wanted=wanted,
        group_by=parse_group_by(group_by),
        latest=1 if last else latest or 0,
    )
    result = run_snapshots(ctx.access, options)
    if ctx.json:
        ctx.output.line(_json(result.groups, grouped=bool(options.group_by)))
    else:
        for group in result.groups:
            if options.group_by and (title := group_title(group.key)):
                ctx.output.line(title)
            for line in snapshot_lines(group.snapshots, compact=compact):
                ctx.output.line(line)
    for error in result.damaged:
        ctx.output.error(error.message)
    return result.exit_code


def _json(groups: Sequence[SnapshotGroup], *, grouped: bool) -> str:
    """One list on one line: of snapshots, or of groups of them."""
    if not grouped:
        return f"[{','.join(snapshot_json(stored) for group in groups for stored in group.snapshots)}]"
    import msgspec

    texts = []
    for group in groups:
        key = {"hostname": group.key.hostname, "paths": group.key.paths, "tags": group.key.tags}
        members = ",".join(snapshot_json(stored) for stored in group.snapshots)
        texts.append(f'{{"group_key":{msgspec.json.encode(key).decode()},"snapshots":[{members}]}}')
    return f"[{','.join(texts)}]"
