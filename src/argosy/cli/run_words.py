"""A master's jobs that have no file, in words and as JSON: restores, checks, and whatever waits for its turn."""

from __future__ import annotations

from typing import Any

from argosy.cli.job_words import RUNNING, job_title, json_time, log_lines
from argosy.cli.member_words import member_lines
from argosy.cli.wording import counted, duration, json_text, moment, printable, size
from argosy.daemon.protocol import RunState
from argosy.operations.crew import MemberLook

WAITING = "waiting"


def run_state_of(run: RunState) -> str:
    """running or waiting."""
    return RUNNING if run.is_running else WAITING


def run_status_document(run: RunState) -> dict[str, Any]:
    """What is known of it."""
    return {
        "job_id": run.id,
        "kind": run.kind,
        "state": run_state_of(run),
        "repository": run.location,
        "paths": [json_text(path) for path in run.paths],
        "started": json_time(run.submitted),
        "active": json_time(run.active),
        "files_done": run.entries,
        "bytes_done": run.size_bytes,
        "unread": run.errors,
        "members": [_member_document(member) for member in run.members],
    }


def _member_document(member: MemberLook) -> dict[str, Any]:
    """Of its batches nobody knows more than how many it holds."""
    name, workers, held, entries, size_bytes = member
    return {"name": name, "workers": workers, "holding": held, "files_done": entries, "bytes_done": size_bytes}


def run_document(run: RunState) -> dict[str, Any]:
    """The same as one job in a list."""
    document = {"message_type": "job", **run_status_document(run)}
    del document["members"], document["files_done"], document["bytes_done"]
    counters = {"total_files": run.entries, "total_bytes": run.size_bytes}
    return {**document, "pid": None, "ended": None, "snapshot_id": None, "reason": None, "counters": counters}


def run_lines(run: RunState, now: float) -> list[str]:
    """The same for a reader; ``now`` is Unix seconds."""
    ago = duration(max(0.0, now - run.active))
    errors = f"; {counted(run.errors, 'error')}" if run.errors else ""
    lines = [
        f"job {run.id}: {job_title(run.kind, run.location, run.paths)}",
        f"  {run_state_of(run)}, submitted {moment(run.submitted)}, last progress {ago} ago",
    ]
    if run.is_running:
        lines.append(f"  done    {counted(run.entries, 'entry', 'entries')}, {size(run.size_bytes)}{errors}")
    lines += member_lines(run.members, "entry", "entries")
    return lines


def run_report(run: RunState, unread: list[tuple[bytes, str]], now: float) -> list[str]:
    """It with all that is known."""
    lines = run_lines(run, now)
    if unread:
        lines.append(f"  went wrong ({len(unread):,}):")
        lines += [f"    {printable(what)}: {reason}" for what, reason in unread]
    if run.log:
        lines.append("  what happened:")
        lines += [f"    {line}" for line in log_lines(run.log)]
    return lines
