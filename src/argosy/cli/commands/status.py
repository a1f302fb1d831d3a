"""``argosy status``."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from argosy.cli.certs import certs_flag
from argosy.cli.cluster_flags import cluster_flag, join_flag, operator
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.values import duration
from argosy.errors import UsageError

if TYPE_CHECKING:
    from argosy.daemon.client import Client
    from argosy.daemon.protocol import MemberState
    from argosy.operations.status import JobStatus

    Look: TypeAlias = Callable[[], tuple[list[MemberState] | None, list[JobStatus]]]

_INTERVAL_SECONDS = 1.0


@verb("status")
@click.option("--watch", is_flag=True, help="go on showing it, until Ctrl-C")
@click.option("--interval", type=duration, metavar="DURATION", help="with --watch: how often (1s)")
@cluster_flag
@certs_flag
@join_flag
@click.argument("job", required=False)
def command(
    ctx: Context,
    watch: bool,
    interval: float | None,
    job: str | None,
    cluster: str | None,
    certs: str | None,
    join: str | None,
) -> None:
    """Show the jobs that run or can be resumed: members, their batches, scan threads.

    Without --cluster those of this machine: it reads the state directory of the backups, so run it as the same user.
    With it those of a master, and who has joined it. JOB is the start of a job's id.
    """
    with ExitStack() as stack:
        look = _look_here(ctx)
        if cluster:
            look = _look_at_master(stack.enter_context(operator(ctx, cluster, certs, join)))
        _show(ctx, _chosen(look, job), watch=watch, interval=interval)


def _show(ctx: Context, look: Look, *, watch: bool, interval: float | None) -> None:
    if not watch:
        _show_once(ctx, look)
        return
    seconds = max(0.1, _INTERVAL_SECONDS if interval is None else interval)
    try:
        if ctx.output.on_terminal and not ctx.json:
            _watch_on_terminal(look, seconds)
        else:
            while True:
                _show_once(ctx, look)
                ctx.output.flush()
                time.sleep(seconds)
    except KeyboardInterrupt:
        return  # that is how watching ends


def _show_once(ctx: Context, look: Look) -> None:
    from argosy.cli.job_words import json_time, member_document, status_document

    members, jobs = look()
    if not ctx.json:
        for line in _lines(members, jobs):
            ctx.output.line(line)
        return
    document: dict[str, Any] = {"message_type": "jobs_status", "time": json_time(time.time())}
    if members is not None:
        document["members"] = [member_document(member) for member in members]
    ctx.output.document({**document, "jobs": [status_document(job) for job in jobs]})


def _watch_on_terminal(look: Look, seconds: float) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            text = Text("\n".join(_lines(*look())), no_wrap=True, overflow="ellipsis")
            live.update(text, refresh=True)
            time.sleep(seconds)


def _look_here(ctx: Context) -> Look:
    from argosy.operations.status import read_jobs

    return lambda: (None, read_jobs(ctx.state_directory, ctx.output.trouble))


def _look_at_master(client: Client) -> Look:
    def look() -> tuple[list[MemberState] | None, list[JobStatus]]:
        status = client.status()
        return status.members, status.jobs

    return look


def _chosen(look: Look, wanted: str | None) -> Look:
    def chosen() -> tuple[list[MemberState] | None, list[JobStatus]]:
        members, jobs = look()
        found = [job for job in jobs if wanted is None or job.record.id.startswith(wanted)]
        if wanted is not None and not found:
            raise UsageError(
                f"no job {wanted} runs, none of that name waits to be resumed",
                hint="'argosy jobs' lists those that ended.",
            )
        return members, found

    return chosen


def _lines(members: list[MemberState] | None, jobs: list[JobStatus]) -> list[str]:
    from argosy.cli.job_words import member_line, status_lines

    lines = [member_line(member, time.time()) for member in members or ()]
    if members == []:
        lines.append("no member has joined")
    if not jobs:
        return [*lines, "no job runs, none waits to be resumed ('argosy jobs' lists those that ended)"]
    for job in jobs:
        lines += [*([""] if lines else []), *status_lines(job, time.time())]
    return lines
