"""``argosy attach``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from argosy.cli.cluster_flags import operator, reaching_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb

if TYPE_CHECKING:
    from argosy.cli.cluster_jobs import JobShow
    from argosy.daemon.protocol import Followed


@verb("attach")
@reaching_flags
@click.argument("job")
def command(ctx: Context, job: str, join: str | None, certs: str | None, cluster: str | None) -> int:
    """Follow a job of a master to its end, from its beginning; exit as it does. Ctrl-C stops the job.

    JOB is the start of its id. `argosy status --cluster` lists those that run.
    """
    from argosy.cli.cluster_jobs import follow_job

    with operator(ctx, cluster, certs, join) as client:
        found = client.find(job)
        return follow_job(ctx, client, found.run, _show(ctx, found))


def _show(ctx: Context, found: Followed) -> JobShow:
    from argosy.cli.commands.backup import backup_show
    from argosy.cli.commands.check import check_show
    from argosy.cli.commands.prune import prune_show
    from argosy.cli.commands.restore import restore_show
    from argosy.cli.commands.verify import verify_show

    match found.kind:
        case "restore":
            return restore_show(ctx, found.paths[0])
        case "check":
            return check_show(ctx)
        case "prune":
            return prune_show(ctx)
        case "verify":
            return verify_show(ctx, found.paths[0])
    return backup_show(ctx)
