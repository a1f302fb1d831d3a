"""``argosy logs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from argosy.cli.cluster_flags import operator, reaching_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.errors import UsageError

if TYPE_CHECKING:
    from argosy.daemon.protocol import Jobs, RunState
    from argosy.operations.status import JobStatus
    from argosy.state.history import JobHistory


@verb("logs")
@reaching_flags
@click.argument("job", required=False)
def command(ctx: Context, job: str | None, cluster: str | None, certs: str | None, join: str | None) -> None:
    """Print what happened to a job: resumes, lost workers, warnings.

    JOB is the start of a job's id; without it, it is the newest job of this machine, or with --cluster of the master.
    """
    if cluster:
        with operator(ctx, cluster, certs, join) as client:
            found = client.job(_newest_of(client.jobs(1)) if job is None else job)
        ours = found.run or found.job or found.ended
        assert ours is not None, "the master says which it is"
        _print(ctx, _id_of(ours), ours.log)
    else:
        from argosy.operations.status import find_job

        own = _newest(ctx) if job is None else find_job(ctx.state_directory, job)
        _print(ctx, _id_of(own), own.log)


def _print(ctx: Context, job_id: str, log: list[tuple[float, str]]) -> None:
    from argosy.cli.job_words import json_time, log_lines
    from argosy.cli.wording import json_text

    if ctx.json:
        for when, text in log:
            event = {"message_type": "log", "job_id": job_id, "time": json_time(when), "text": json_text(text)}
            ctx.output.document(event)
        return
    ctx.output.message(f"job {job_id}:" if log else f"job {job_id}: nothing out of the ordinary happened")
    for line in log_lines(log):
        ctx.output.line(line)


def _id_of(job: JobStatus | JobHistory | RunState) -> str:
    from argosy.operations.status import JobStatus

    return job.record.id if isinstance(job, JobStatus) else job.id


def _newest_of(jobs: Jobs) -> str:
    """The id of a master's newest job; they sort by time."""
    known: list[JobStatus | JobHistory | RunState] = [*jobs.runs, *jobs.jobs, *jobs.ended]
    ids = [_id_of(job) for job in known]
    if not ids:
        raise _no_jobs()
    return max(ids)


def _newest(ctx: Context) -> JobStatus | JobHistory:
    from argosy.operations.status import read_history, read_jobs

    open_jobs = read_jobs(ctx.state_directory, ctx.output.trouble)
    ended = read_history(ctx.state_directory, 1)
    if open_jobs and (not ended or open_jobs[0].record.id > ended[0].id):
        return open_jobs[0]
    if not ended:
        raise _no_jobs()
    return ended[0]


def _no_jobs() -> UsageError:
    return UsageError("there are no jobs yet", hint="'argosy backup' makes one.")
