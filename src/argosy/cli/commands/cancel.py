"""``argosy cancel``."""

from __future__ import annotations

import click

from argosy.cli.cluster_flags import operator, reaching_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb


@verb("cancel")
@reaching_flags
@click.argument("job")
def command(ctx: Context, job: str, join: str | None, certs: str | None, cluster: str | None) -> None:
    """Stop a job of a master, so that the same command goes on with it later. JOB is the start of its id."""
    with operator(ctx, cluster, certs, join) as client:
        stopped = client.stop(job)
    if ctx.json:
        ctx.output.document({"message_type": "job_cancelled", "job_id": stopped})
    else:
        ctx.output.line(f"job {stopped} is being stopped; the same command goes on with it")
