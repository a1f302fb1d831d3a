"""``argosy attach``."""

from __future__ import annotations

import click

from argosy.cli.certs import certs_flag
from argosy.cli.cluster_flags import cluster_flag, join_flag, leave_on_hangup, operator
from argosy.cli.context import Context
from argosy.cli.decorators import verb


@verb("attach")
@cluster_flag
@certs_flag
@join_flag
@click.argument("job")
def command(ctx: Context, job: str, join: str | None, certs: str | None, cluster: str | None) -> int:
    """Follow a job of a master to its end, from its beginning; exit as it does. Ctrl-C stops the job.

    JOB is the start of its id. `argosy status --cluster` lists those that run.
    """
    from argosy.cli.backup_reporter import BackupReporter
    from argosy.cli.commands.backup import backup_display, say_result
    from argosy.operations.backup.options import BackupObserver

    with (
        operator(ctx, cluster, certs, join) as client,
        ctx.stopping("the job is being stopped; once more leaves it to itself") as stop,
        BackupReporter(ctx.output, backup_display(ctx)) as reporter,
    ):
        leave_on_hangup()
        observer = BackupObserver(reporter.progress, reporter.message, reporter.unread, stop)
        result = client.follow(job, observer)
    say_result(ctx, result, dry_run=False)
    return result.exit_code
