"""``argosy status``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.values import duration

if TYPE_CHECKING:
    from argosy.operations.status import JobStatus

_INTERVAL_SECONDS = 1.0


@verb("status")
@click.option("--watch", is_flag=True, help="go on showing it, until Ctrl-C")
@click.option("--interval", type=duration, metavar="DURATION", help="with --watch: how often (1s)")
@click.argument("job", required=False)
def command(ctx: Context, watch: bool, interval: float | None, job: str | None) -> None:
    """Show the jobs of this machine that run or can be resumed: members, their batches, scan threads.

    It reads the state directory of the backups: run it as the same user. JOB is the start of a job's id.
    """
    if not watch:
        _show_once(ctx, job)
        return
    seconds = max(0.1, _INTERVAL_SECONDS if interval is None else interval)
    try:
        if ctx.output.on_terminal and not ctx.json:
            _watch_on_terminal(ctx, job, seconds)
        else:
            while True:
                _show_once(ctx, job)
                ctx.output.flush()
                time.sleep(seconds)
    except KeyboardInterrupt:
        return  # that is how watching ends


def _show_once(ctx: Context, wanted: str | None) -> None:
    from argosy.cli.job_words import json_time, status_document

    jobs = _read(ctx, wanted)
    if ctx.json:
        now = json_time(time.time())
        documents = [status_document(job) for job in jobs]
        ctx.output.document({"message_type": "jobs_status", "time": now, "jobs": documents})
    else:
        for line in _lines(jobs):
            ctx.output.line(line)


def _watch_on_terminal(ctx: Context, wanted: str | None, seconds: float) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            text = Text("\n".join(_lines(_read(ctx, wanted))), no_wrap=True, overflow="ellipsis")
            live.update(text, refresh=True)
            time.sleep(seconds)


def _read(ctx: Context, wanted: str | None) -> list[JobStatus]:
    from argosy.operations.status import read_jobs

    jobs = read_jobs(ctx.state_directory, ctx.output.trouble)
    return [job for job in jobs if wanted is None or job.record.id.startswith(wanted)]


def _lines(jobs: list[JobStatus]) -> list[str]:
    from argosy.cli.job_words import status_lines

    if not jobs:
        return ["no job runs, none waits to be resumed ('argosy jobs' lists those that ended)"]
    lines: list[str] = []
    for job in jobs:
        lines += [*([""] if lines else []), *status_lines(job, time.time())]
    return lines
