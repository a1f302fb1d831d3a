"""``argosy migrate``."""

from __future__ import annotations

import click

from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.errors import UsageError

_UPGRADE = "upgrade_repo_v2"


@verb("migrate", unlocks=True)
@click.argument("names", metavar="[MIGRATION…]", nargs=-1)
def command(ctx: Context, names: tuple[str, ...]) -> None:
    """Say which changes of format the repository could have: none.

    Argosy knows version 2 of the format alone. `restic migrate upgrade_repo_v2` brings an older repository there.
    """
    from argosy.operations.session import open_session

    if unknown := [name for name in names if name != _UPGRADE]:
        raise UsageError(f"there is no migration {unknown[0]!r}", hint="Without a name, `argosy migrate` lists them.")
    with open_session(ctx.access, lock=False) as session:
        version = session.repository.config.version
    if ctx.json:
        ctx.output.document({"message_type": "migrations", "repository_version": version, "available": []})
    else:
        ctx.output.message(f"the repository has format version {version}, the newest: there is nothing to migrate")
