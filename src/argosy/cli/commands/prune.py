"""``argosy prune``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from argosy.cli.cluster_flags import submitting_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.prune_flags import prune_flags, prune_options

if TYPE_CHECKING:
    from argosy.cli.cluster_jobs import JobShow


@verb("prune", unlocks=True)
@prune_flags
@click.option("-n", "--dry-run", is_flag=True, help="change nothing, say what would be")
@submitting_flags
def command(ctx: Context, /, dry_run: bool, **flags: Any) -> int:
    """Remove what no snapshot uses.

    Needs the repository for itself. Killed at any moment it leaves a whole repository; run it again.
    """
    options = prune_options(ctx, flags, dry_run=dry_run)
    if flags["cluster"]:
        from argosy.cli.cluster_jobs import run_by_cluster
        from argosy.daemon.protocol import PruneOrder

        return run_by_cluster(ctx, flags, PruneOrder.of(options), prune_show(ctx))
    from argosy.cli.prune_reporter import PruneReporter
    from argosy.operations.prune.run import run_prune

    with ctx.stopping() as stop, PruneReporter(ctx) as reporter:
        plan = run_prune(ctx.access, options, reporter.observer(stop))
    return reporter.finish(plan.summary(dry_run=dry_run))


def prune_show(ctx: Context) -> JobShow:
    """How a cluster's prune is shown."""
    from argosy.cli.cluster_jobs import JobShow
    from argosy.cli.prune_reporter import PruneReporter

    reporter = PruneReporter(ctx)
    return JobShow(reporter.observer, reporter.finish, reporter)
