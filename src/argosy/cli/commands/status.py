"""``argosy status``."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click
import msgspec

from argosy.cli.cluster_flags import operator, reaching_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.values import duration
from argosy.errors import UsageError

if TYPE_CHECKING:
    from argosy.daemon.client import Client
    from argosy.daemon.protocol import MemberState, RunState
    from argosy.operations.status import JobStatus

_INTERVAL_SECONDS = 1.0


class _Seen(msgspec.Struct, frozen=True):
    """One look. ``members`` and ``runs`` are a master's; without one there are none."""

    jobs: list[JobStatus]
    runs: list[RunState] = msgspec.field(default_factory=list)
    members: list[MemberState] | None = None

    def only(self, wanted: str | None) -> _Seen:
        """The jobs whose id starts so. UsageError if there is none."""
        if wanted is None:
            return self
        jobs = [job for job in self.jobs if job.record.id.startswith(wanted)]
        runs = [run for run in self.runs if run.id.startswith(wanted)]
        if not jobs and not runs:
            raise UsageError(
                f"no job {wanted} runs, none of that name waits to be resumed",
                hint="'argosy jobs' lists those that ended.",
            )
        return _Seen(jobs, runs, self.members)


@verb("status")
@click.option("--watch", is_flag=True, help="go on showing it, until Ctrl-C")
@click.option("--interval", type=duration, metavar="DURATION", help="with --watch: how often (1s)")
@reaching_flags
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
        _show(ctx, lambda: look().only(job), watch=watch, interval=interval)


def _show(ctx: Context, look: Callable[[], _Seen], *, watch: bool, interval: float | None) -> None:
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


def _show_once(ctx: Context, look: Callable[[], _Seen]) -> None:
    from argosy.cli.job_words import json_time, member_document, status_document

    seen = look()
    if not ctx.json:
        for line in _lines(seen):
            ctx.output.line(line)
        return
    document: dict[str, Any] = {"message_type": "jobs_status", "time": json_time(time.time())}
    if seen.members is not None:
        document["members"] = [member_document(member) for member in seen.members]
    ctx.output.document(
        {**document, "jobs": [*_run_documents(seen.runs), *(status_document(job) for job in seen.jobs)]}
    )


def _run_documents(runs: list[RunState]) -> list[dict[str, Any]]:
    if not runs:  # and the extra may not be installed
        return []
    from argosy.cli.run_words import run_status_document

    return [run_status_document(run) for run in runs]


def _watch_on_terminal(look: Callable[[], _Seen], seconds: float) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            text = Text("\n".join(_lines(look())), no_wrap=True, overflow="ellipsis")
            live.update(text, refresh=True)
            time.sleep(seconds)


def _look_here(ctx: Context) -> Callable[[], _Seen]:
    from argosy.operations.status import read_jobs

    return lambda: _Seen(read_jobs(ctx.state_directory, ctx.output.trouble))


def _look_at_master(client: Client) -> Callable[[], _Seen]:
    def look() -> _Seen:
        status = client.status()
        return _Seen(status.jobs, status.runs, status.members)

    return look


def _lines(seen: _Seen) -> list[str]:
    from argosy.cli.job_words import member_line, status_lines

    now = time.time()
    lines = [member_line(member, now) for member in seen.members or ()]
    if seen.members == []:
        lines.append("no member has joined")
    reports = [*_run_reports(seen.runs, now), *(status_lines(job, now) for job in seen.jobs)]
    if not reports:
        return [*lines, "no job runs, none waits to be resumed ('argosy jobs' lists those that ended)"]
    for report in reports:
        lines += [*([""] if lines else []), *report]
    return lines


def _run_reports(runs: list[RunState], now: float) -> list[list[str]]:
    if not runs:
        return []
    from argosy.cli.run_words import run_lines

    return [run_lines(run, now) for run in runs]
