"""``argosy tag``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from argosy.cli.choosing import snapshot_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.snapshot_words import short_id
from argosy.cli.values import split_tags
from argosy.cli.wording import counted

if TYPE_CHECKING:
    from argosy.repository.snapshots import SnapshotFilter


@verb("tag", unlocks=True)
@click.option("--set", "replace", multiple=True, metavar="TAG[,TAG…]", help="these instead of all others ('': none)")
@click.option("--add", multiple=True, metavar="TAG[,TAG…]", help="these besides the others")
@click.option("--remove", multiple=True, metavar="TAG[,TAG…]", help="not these")
@snapshot_flags
@click.argument("snapshot_ids", metavar="[SNAPSHOT…]", nargs=-1)
def command(
    ctx: Context,
    snapshot_ids: tuple[str, ...],
    wanted: SnapshotFilter,
    replace: tuple[str, ...],
    add: tuple[str, ...],
    remove: tuple[str, ...],
) -> int:
    """Change the tags of snapshots, all or those named.

    A snapshot gets a new id by it, and remembers its first one.
    """
    from argosy.operations.tag import TagOptions, run_tag

    options = TagOptions(
        names=snapshot_ids,
        wanted=wanted,
        replace=split_tags(replace) if replace else None,
        add=split_tags(add),
        remove=split_tags(remove),
    )

    def on_changed(old: bytes, new: bytes) -> None:
        if ctx.json:
            ctx.output.document({"message_type": "changed", "old_snapshot_id": old.hex(), "new_snapshot_id": new.hex()})
        else:
            ctx.output.detail(f"snapshot {short_id(old)} is {short_id(new)} now")

    result = run_tag(ctx.access, options, on_changed)
    if ctx.json:
        ctx.output.document({"message_type": "summary", "changed_snapshots": result.changed})
    else:
        ctx.output.message(f"changed {counted(result.changed, 'snapshot')}")
    for error in result.damaged:
        ctx.output.error(error.message)
    return result.exit_code
