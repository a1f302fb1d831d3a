"""``--cluster``: hand a job to a master, show it, end as it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import msgspec

from argosy.cli.cluster_flags import leave_on_hangup, operator
from argosy.cli.context import Context
from argosy.errors import UsageError

if TYPE_CHECKING:
    from argosy.daemon.client import Client
    from argosy.daemon.protocol import Order

_NOTE = "the job is being stopped, so that it can be resumed; once more leaves it to itself"
_NOT_WITH_A_CLUSTER = {"workers": "the members have as many as they were started with"}


class JobShow(msgspec.Struct, frozen=True):
    """How a job of some kind is shown. ``observer`` is made of the function that tells whether to stop, within
    ``during``; ``finish`` prints the result, after it, and returns the exit code.
    """

    observer: Callable[[Callable[[], bool]], Any]
    finish: Callable[[Any], int]
    during: AbstractContextManager[Any] = msgspec.field(default_factory=nullcontext)


def run_by_cluster(ctx: Context, flags: Mapping[str, Any], order: Order, show: JobShow, *, is_new: bool = False) -> int:
    """Have a master do it; the exit code is the job's.

    ``is_new``: a repository may be made, so its password is asked for twice.
    """
    for name, reason in _NOT_WITH_A_CLUSTER.items():
        if flags.get(name):
            raise UsageError(f"--{name} makes no sense with --cluster: {reason}", hint=f"Leave out --{name}.")
    access = msgspec.structs.replace(ctx.access, password=ctx.passwords.new) if is_new else ctx.access
    with operator(ctx, flags["cluster"], flags["certs"], flags["join"]) as client:
        submitted = client.submit(access, order)
        if flags["detach"]:
            _say_submitted(ctx, submitted.run)
            return 0
        if submitted.ahead:
            ctx.output.message(f"job {submitted.run} waits for {submitted.ahead} before it")
        return follow_job(ctx, client, submitted.run, show)


def follow_job(ctx: Context, client: Client, run: str, show: JobShow) -> int:
    """Show a job to its end; its exit code. Ctrl-C stops the job, a closed terminal does not."""
    with ctx.stopping(_NOTE) as stop, show.during:
        leave_on_hangup()
        result = client.follow(run, show.observer(stop))
    return show.finish(result)


def _say_submitted(ctx: Context, run: str) -> None:
    if ctx.json:
        ctx.output.document({"message_type": "job_submitted", "job_id": run})
    else:
        ctx.output.line(f"submitted job {run}; 'argosy attach {run} --cluster …' follows it")
