"""``argosy cat``."""

from __future__ import annotations

import click

from argosy.cli.context import Context
from argosy.cli.decorators import verb

KINDS = ("config", "masterkey", "index", "snapshot", "key", "lock", "pack", "blob", "tree")


@verb("cat", unlocks=True)
@click.argument("kind", metavar="KIND", type=click.Choice(KINDS))
@click.argument("name", metavar="[ID]", default="")
def command(ctx: Context, kind: str, name: str) -> None:
    """Print an internal document, or the bytes of a pack, blob or tree.

    KIND is config, masterkey, index, snapshot, key, lock, pack, blob or tree. An ID may be cut
    short, except a blob's; a snapshot may be "latest", a tree is named SNAPSHOT[:PATH].
    """
    from argosy.operations.cat import run_cat

    result = run_cat(ctx.access, kind, name)
    if result.warning:
        ctx.output.warning(result.warning)
    if not result.is_document:
        ctx.output.raw(result.data)
    elif result.is_pretty:
        import msgspec

        ctx.output.line(msgspec.json.format(result.data, indent=2).decode())
    else:
        ctx.output.line(result.data.decode())
