"""``argosy backup --cluster``: hand the backup to a master, show it, end as it does."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from argosy.cli.cluster_flags import leave_on_hangup, operator
from argosy.cli.context import Context
from argosy.errors import UsageError

if TYPE_CHECKING:
    from argosy.operations.backup.options import BackupOptions

_NOT_WITH_A_CLUSTER = {
    "workers": "the members have as many as they were started with",
}


def back_up_by_cluster(ctx: Context, flags: dict[str, Any], options: BackupOptions, *, is_stream: bool) -> int:
    """Run the backup at the master; the exit code is the job's."""
    from argosy.cli.backup_reporter import BackupReporter
    from argosy.cli.commands.backup import backup_display, say_result
    from argosy.operations.backup.options import BackupObserver

    _refuse(flags, is_stream)
    access = ctx.access
    if flags["init"]:
        access = dataclasses.replace(access, password=ctx.passwords.new)
    with operator(ctx, flags["cluster"], flags["certs"], flags["join"]) as client:
        submitted = client.submit(access, options, create=flags["init"])
        if flags["detach"]:
            _say_submitted(ctx, submitted.run)
            return 0
        if submitted.ahead:
            ctx.output.message(f"job {submitted.run} waits for {submitted.ahead} before it")
        with (
            ctx.stopping("the job is being stopped, so that it can be resumed; once more leaves it to itself") as stop,
            BackupReporter(ctx.output, backup_display(ctx)) as reporter,
        ):
            leave_on_hangup()
            observer = BackupObserver(reporter.progress, reporter.message, reporter.unread, stop)
            result = client.follow(submitted.run, observer)
    say_result(ctx, result, dry_run=options.dry_run)
    return result.exit_code


def _refuse(flags: dict[str, Any], is_stream: bool) -> None:
    if is_stream:
        raise UsageError("what comes through a pipe cannot be backed up by a cluster", hint="Leave out --cluster.")
    for name, reason in _NOT_WITH_A_CLUSTER.items():
        if flags[name]:
            raise UsageError(f"--{name} makes no sense with --cluster: {reason}", hint=f"Leave out --{name}.")


def _say_submitted(ctx: Context, run: str) -> None:
    if ctx.json:
        ctx.output.document({"message_type": "job_submitted", "job_id": run})
    else:
        ctx.output.line(f"submitted job {run}; 'argosy attach {run} --cluster …' follows it")
