"""``argosy unlock``."""

from __future__ import annotations

import click

from argosy.cli.context import Context
from argosy.cli.decorators import verb


@verb("unlock")
@click.option("--remove-all", is_flag=True, help="remove every lock, also of a command that runs")
def command(ctx: Context, remove_all: bool) -> None:
    """Remove locks that other processes left.

    A lock is stale that was not refreshed for 30 minutes, or whose process on this machine is
    gone. With --remove-all no other command may be using the repository.
    """
    from argosy.operations.unlock import run_unlock

    result = run_unlock(ctx.access, remove_all=remove_all)
    if ctx.json:
        ctx.output.document(
            {
                "message_type": "summary",
                "removed": [{"id": lock.id.hex(), "reason": lock.reason} for lock in result.removed],
                "kept": [{"id": lock.id.hex(), "reason": lock.reason} for lock in result.kept],
            }
        )
        return
    for lock in result.removed:
        ctx.output.message(f"removed {lock.id.hex()[:8]}, {lock.description}: {lock.reason}")
    for lock in result.kept:
        ctx.output.message(f"kept {lock.id.hex()[:8]}, {lock.description}: {lock.reason}")
    if result.removed:
        ctx.output.message(f"successfully removed {len(result.removed)} locks")
    elif not result.kept:
        ctx.output.message("no locks")
