"""``argosy jobs``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from argosy.cli.cluster_flags import operator, reaching_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.values import number

if TYPE_CHECKING:
    from argosy.daemon.client import Client
    from argosy.daemon.protocol import RunState
    from argosy.operations.status import JobStatus
    from argosy.state.history import JobHistory

_SHOWN = 20


@verb("jobs")
@click.option("-n", "--last", type=number, metavar="N", help=f"how many ended jobs to list ({_SHOWN})")
@reaching_flags
@click.argument("job", required=False)
def command(
    ctx: Context,
    last: int | None,
    job: str | None,
    cluster: str | None,
    certs: str | None,
    join: str | None,
) -> None:
    """List the jobs of this machine, or with --cluster those of a master: running, unfinished, ended.

    With JOB, the start of a job's id: that job, with what it could not read and what it survived.
    """
    most = _SHOWN if last is None else last
    if cluster:
        with operator(ctx, cluster, certs, join) as client:
            if job is None:
                jobs = client.jobs(most)
                _list(ctx, [*jobs.jobs, *jobs.ended], jobs.runs)
            else:
                _show_masters(ctx, client, job)
    elif job is None:
        _list(ctx, _jobs_here(ctx, most), [])
    else:
        _show_own(ctx, job)


def _jobs_here(ctx: Context, most: int) -> list[JobStatus | JobHistory]:
    from argosy.operations.setting_aside import files_set_aside
    from argosy.operations.status import read_history, read_jobs

    open_jobs = read_jobs(ctx.state_directory, ctx.output.trouble)
    for path in files_set_aside(ctx.state_directory):
        ctx.output.warning(f"{path} was damaged and moved aside. Remove it when you have no more use for it")
    known = {job.record.id for job in open_jobs}
    ended = [job for job in read_history(ctx.state_directory, most) if job.id not in known]
    return [*open_jobs, *ended]


def _list(ctx: Context, jobs: list[JobStatus | JobHistory], runs: list[RunState]) -> None:
    from argosy.cli.job_words import job_document, started_at

    documents = [*_run_documents(runs), *((started_at(job), job_document(job)) for job in jobs)]
    if ctx.json:
        for _, document in documents:
            ctx.output.document(document)
    elif documents:
        _print_table(ctx, documents)
    else:
        ctx.output.line("there are no jobs yet")


def _run_documents(runs: list[RunState]) -> list[tuple[float, dict[str, Any]]]:
    if not runs:  # and the extra may not be installed
        return []
    from argosy.cli.run_words import run_document

    return [(run.submitted, run_document(run)) for run in runs]


def _print_table(ctx: Context, documents: list[tuple[float, dict[str, Any]]]) -> None:
    from argosy.cli.job_words import processed
    from argosy.cli.table import table
    from argosy.cli.wording import moment, printable, size

    rows = []
    for started, document in documents:
        entries, size_bytes = processed(document["counters"])
        rows.append(
            [
                document["job_id"],
                document["kind"],
                document["state"],
                moment(started),
                f"{entries:,}",
                size(size_bytes),
                size(document["counters"].get("data_added_packed", 0)),
                f"{document['unread']:,}",
                (document["snapshot_id"] or "")[:8],
                "\n".join(map(printable, document["paths"])),
            ]
        )
    heads = ("Job", "Kind", "State", "Started", "Files", "Size", "Stored", "Unread", "Snapshot", "Paths")
    for line in table(heads, rows, right=(4, 5, 6, 7)):
        ctx.output.line(line)


def _show_own(ctx: Context, text: str) -> None:
    from argosy.operations.status import JobStatus, find_job, read_unread

    job = find_job(ctx.state_directory, text)
    unread: list[tuple[bytes | str, str]] = []
    unread += read_unread(ctx.state_directory, job.record.id) if isinstance(job, JobStatus) else job.unread
    _show(ctx, job, unread)


def _show_masters(ctx: Context, client: Client, text: str) -> None:
    from argosy.cli.run_words import run_document, run_report

    found = client.job(text)
    job = found.job or found.ended
    if job is not None:
        _show(ctx, job, [*found.unread])
    elif found.run is not None and ctx.json:
        _print_document(ctx, run_document(found.run), [*found.unread], found.run.log)
    elif found.run is not None:
        for line in run_report(found.run, found.unread, time.time()):
            ctx.output.line(line)
    if found.left_out:
        ctx.output.warning(f"{found.left_out:,} lines more are on the master: 'argosy jobs {text}' there shows them")


def _show(ctx: Context, job: JobStatus | JobHistory, unread: list[tuple[bytes | str, str]]) -> None:
    from argosy.cli.job_words import job_document, job_lines

    if ctx.json:
        _print_document(ctx, job_document(job), unread, job.log)
        return
    for line in job_lines(job, unread):
        ctx.output.line(line)


def _print_document(
    ctx: Context, document: dict[str, Any], unread: list[tuple[bytes | str, str]], log: list[tuple[float, str]]
) -> None:
    from argosy.cli.job_words import json_time
    from argosy.cli.wording import json_text

    document["unread_items"] = [{"item": json_text(path), "reason": json_text(reason)} for path, reason in unread]
    document["log"] = [{"time": json_time(when), "text": json_text(text)} for when, text in log]
    ctx.output.document(document)
