"""``argosy recover``."""

from __future__ import annotations

from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.repair_words import repair_observer
from argosy.cli.saving_flags import saving_options
from argosy.cli.snapshot_words import short_id
from argosy.cli.wording import counted


@verb("recover", unlocks=True)
def command(ctx: Context) -> None:
    """Save the directories that no snapshot names any more in a new snapshot.

    After a snapshot was removed by mistake, or is damaged, and before a prune. Mends the index first.
    """
    from argosy.operations.repair.recover import run_recover

    with ctx.stopping("stopping; once more: at once") as stop_requested:
        recovery = run_recover(ctx.access, saving_options(ctx), repair_observer(ctx.output, stop_requested))
    if ctx.json:
        snapshot = recovery.snapshot_id.hex() if recovery.snapshot_id else None
        roots = [tree_id.hex() for tree_id in recovery.roots]
        ctx.output.document({"message_type": "recovered", "trees": roots, "snapshot_id": snapshot})
        return
    ctx.output.message(f"found {counted(len(recovery.roots), 'directory', 'directories')} that nothing names")
    if recovery.snapshot_id:
        ctx.output.message(f"saved new snapshot {short_id(recovery.snapshot_id)}: in it each stands by its tree's id")
    else:
        ctx.output.message("there is no snapshot to make")
