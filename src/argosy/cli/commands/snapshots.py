"""``argosy snapshots``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from argosy.cli.choosing import snapshot_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.snapshot_words import local_time, short_id, snapshot_json, wanted_snapshots
from argosy.cli.table import table
from argosy.cli.values import number
from argosy.cli.wording import printable, size

if TYPE_CHECKING:
    from argosy.operations.snapshots import GroupKey, SnapshotGroup
    from argosy.repository.snapshots import StoredSnapshot

_TITLE_LINES = 2


@verb("snapshots")
@snapshot_flags
@click.option("-c", "--compact", is_flag=True, help="no paths, one tag a line")
@click.option("-g", "--group-by", metavar="GROUP", default="", help="tell apart by host, paths, tags; with commas")
@click.option("--latest", type=number, metavar="N", help="only the last N of each host and set of paths")
@click.option("--last", is_flag=True, hidden=True, help="restic's old name of --latest 1")
@click.argument("snapshot_ids", metavar="[SNAPSHOT…]", nargs=-1)
def command(
    ctx: Context,
    snapshot_ids: tuple[str, ...],
    hosts: tuple[str, ...],
    tags: tuple[str, ...],
    paths: tuple[str, ...],
    compact: bool,
    group_by: str,
    latest: int | None,
    last: bool,
) -> int:
    """List the snapshots, all or those named."""
    from argosy.operations.snapshots import SnapshotsOptions, parse_group_by, run_snapshots

    options = SnapshotsOptions(
        names=snapshot_ids,
        wanted=wanted_snapshots(ctx, hosts, tags, paths),
        group_by=parse_group_by(group_by),
        latest=1 if last else latest or 0,
    )
    result = run_snapshots(ctx.access, options)
    if ctx.json:
        ctx.output.line(_json(result.groups, grouped=bool(options.group_by)))
    else:
        for group in result.groups:
            if options.group_by and (title := _title(group.key)):
                ctx.output.line(title)
            for line in _lines(group.snapshots, compact=compact):
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


def _title(key: GroupKey) -> str:
    parts = []
    if key.hostname:
        parts.append(f"host [{printable(key.hostname)}]")
    if key.tags is not None:
        parts.append(f"tags [{', '.join(map(printable, key.tags))}]")
    if key.paths is not None:
        parts.append(f"paths [{', '.join(map(printable, key.paths))}]")
    return f"snapshots for ({', '.join(parts)}):" if parts else ""


def _lines(snapshots: Sequence[StoredSnapshot], *, compact: bool) -> list[str]:
    """The table of a group. Rows of several paths stand apart."""
    with_sizes = any(stored.snapshot.summary is not None for stored in snapshots)
    heads = ["ID", "Time", *(("Host", "Tags  ") if compact else ("Host      ", "Tags      ", "Paths"))]
    rows = [_row(stored, compact=compact, with_sizes=with_sizes) for stored in snapshots]
    lines = table([*heads, *(["Size"] if with_sizes else [])], rows)
    if not compact and any(len(stored.snapshot.paths) > 1 for stored in snapshots):
        at = _TITLE_LINES
        for row in rows[:-1]:
            at += max(cell.count("\n") + 1 for cell in row)
            lines.insert(at, "")
            at += 1
    return [*lines, f"{len(rows)} snapshots"]


def _row(stored: StoredSnapshot, *, compact: bool, with_sizes: bool) -> list[str]:
    snapshot = stored.snapshot
    tags = [printable(tag) for tag in snapshot.tags]
    row = [short_id(stored.id), local_time(snapshot.time_ns()), printable(snapshot.hostname)]
    if compact:
        row.append("\n".join(tags))
    else:
        row += [",".join(tags), "\n".join(printable(path) for path in snapshot.paths)]
    if with_sizes:
        row.append("" if snapshot.summary is None else size(snapshot.summary.total_bytes_processed))
    return row
