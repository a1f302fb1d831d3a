"""``argosy jobs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.values import number

if TYPE_CHECKING:
    from argosy.operations.status import JobStatus
    from argosy.state.history import JobHistory

_SHOWN = 20


@verb("jobs")
@click.option("-n", "--last", type=number, metavar="N", help=f"how many ended jobs to list ({_SHOWN})")
@click.argument("job", required=False)
def command(ctx: Context, last: int | None, job: str | None) -> None:
    """List the jobs of this machine: running, unfinished, ended.

    With JOB, the start of a job's id: that job, with what it could not read and what it survived.
    """
    if job is None:
        _list(ctx, _SHOWN if last is None else last)
    else:
        _show(ctx, job)


def _list(ctx: Context, most: int) -> None:
    from argosy.cli.job_words import job_document
    from argosy.operations.setting_aside import files_set_aside
    from argosy.operations.status import read_history, read_jobs

    open_jobs = read_jobs(ctx.state_directory, ctx.output.trouble)
    for path in files_set_aside(ctx.state_directory):
        ctx.output.warning(f"{path} was damaged and moved aside. Remove it when you have no more use for it")
    known = {job.record.id for job in open_jobs}
    ended = [job for job in read_history(ctx.state_directory, most) if job.id not in known]
    jobs: list[JobStatus | JobHistory] = [*open_jobs, *ended]
    if ctx.json:
        for job in jobs:
            ctx.output.document(job_document(job))
    elif jobs:
        _print_table(ctx, jobs)
    else:
        ctx.output.line("there are no jobs yet")


def _print_table(ctx: Context, jobs: list[JobStatus | JobHistory]) -> None:
    from argosy.cli.job_words import job_document, started_at
    from argosy.cli.table import table
    from argosy.cli.wording import moment, printable, size

    rows = []
    for job in jobs:
        document = job_document(job)
        counters = document["counters"]
        rows.append(
            [
                document["job_id"],
                document["state"],
                moment(started_at(job)),
                f"{counters.get('total_files_processed', 0):,}",
                size(counters.get("total_bytes_processed", 0)),
                size(counters.get("data_added_packed", 0)),
                f"{document['unread']:,}",
                (document["snapshot_id"] or "")[:8],
                "\n".join(map(printable, document["paths"])),
            ]
        )
    heads = ("Job", "State", "Started", "Files", "Size", "Stored", "Unread", "Snapshot", "Paths")
    for line in table(heads, rows, right=(3, 4, 5, 6)):
        ctx.output.line(line)


def _show(ctx: Context, text: str) -> None:
    from argosy.cli.job_words import job_document, job_lines, json_time
    from argosy.cli.wording import json_text
    from argosy.operations.status import JobStatus, find_job, read_unread

    job = find_job(ctx.state_directory, text)
    unread: list[tuple[bytes | str, str]] = []
    unread += read_unread(ctx.state_directory, job.record.id) if isinstance(job, JobStatus) else job.unread
    if not ctx.json:
        for line in job_lines(job, unread):
            ctx.output.line(line)
        return
    document = job_document(job)
    document["unread_items"] = [{"item": json_text(path), "reason": json_text(reason)} for path, reason in unread]
    document["log"] = [{"time": json_time(when), "text": json_text(text)} for when, text in job.log]
    ctx.output.document(document)
