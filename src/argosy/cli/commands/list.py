"""``argosy list``."""

from __future__ import annotations

import click

from argosy.cli.context import Context
from argosy.cli.decorators import verb

KINDS = ("blobs", "packs", "index", "snapshots", "keys", "locks")


@verb("list", unlocks=True)
@click.argument("kind", metavar="KIND", type=click.Choice(KINDS))
def command(ctx: Context, kind: str) -> None:
    """List the ids of the repository's files: blobs, packs, index, snapshots, keys or locks."""
    from argosy.operations.list import Listed, run_list

    run_list(ctx.access, Listed(kind), ctx.output.line)
