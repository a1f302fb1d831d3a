"""``argosy logs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.errors import UsageError

if TYPE_CHECKING:
    from argosy.operations.status import JobStatus
    from argosy.state.history import JobHistory


@verb("logs")
@click.argument("job", required=False)
def command(ctx: Context, job: str | None) -> None:
    """Print what happened to a job: resumes, lost workers, warnings.

    JOB is the start of a job's id; without it, it is the newest job of this machine.
    """
    from argosy.cli.job_words import json_time, log_lines
    from argosy.cli.wording import json_text
    from argosy.operations.status import JobStatus, find_job

    found = _newest(ctx) if job is None else find_job(ctx.state_directory, job)
    job_id = found.record.id if isinstance(found, JobStatus) else found.id
    if ctx.json:
        for when, text in found.log:
            event = {"message_type": "log", "job_id": job_id, "time": json_time(when), "text": json_text(text)}
            ctx.output.document(event)
        return
    ctx.output.message(f"job {job_id}:" if found.log else f"job {job_id}: nothing out of the ordinary happened")
    for line in log_lines(found.log):
        ctx.output.line(line)


def _newest(ctx: Context) -> JobStatus | JobHistory:
    from argosy.operations.status import read_history, read_jobs

    open_jobs = read_jobs(ctx.state_directory, ctx.output.trouble)
    ended = read_history(ctx.state_directory, 1)
    if open_jobs and (not ended or open_jobs[0].record.id > ended[0].id):
        return open_jobs[0]
    if not ended:
        raise UsageError("there are no jobs yet", hint="'argosy backup' makes one.")
    return ended[0]
