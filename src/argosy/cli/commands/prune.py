"""``argosy prune``."""

from __future__ import annotations

from typing import Any

import click

from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.prune_flags import observed_prune, prune_flags, prune_options


@verb("prune", unlocks=True)
@prune_flags
@click.option("-n", "--dry-run", is_flag=True, help="change nothing, say what would be")
def command(ctx: Context, /, dry_run: bool, **flags: Any) -> int:
    """Remove what no snapshot uses.

    Needs the repository for itself. Killed at any moment it leaves a whole repository; run it again.
    """
    from argosy.operations.prune.run import run_prune

    with observed_prune(ctx, dry_run=dry_run) as observer:
        plan = run_prune(ctx.access, prune_options(ctx, flags, dry_run=dry_run), observer)
    if plan.is_empty:
        ctx.output.message("nothing to do")
    elif not dry_run:
        ctx.output.message("done")
    return 0
