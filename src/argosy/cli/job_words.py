"""Jobs in words and as JSON documents: for `status`, `jobs` and `logs`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from argosy.cli.wording import counted, duration, json_text, moment, printable, size
from argosy.operations.status import BatchStatus, JobStatus, MemberStatus, ScanThreadStatus
from argosy.restic_format.times import format_time
from argosy.state.history import JobHistory

if TYPE_CHECKING:
    from argosy.daemon.protocol import MemberState

RUNNING = "running"
UNFINISHED = "unfinished"


def state_of(job: JobStatus | JobHistory) -> str:
    """running, unfinished, or how it ended: done, incomplete, damaged, different, failed, closed."""
    if isinstance(job, JobHistory):
        return job.outcome
    return RUNNING if job.running else UNFINISHED


def status_document(job: JobStatus) -> dict[str, Any]:
    """Everything that is known of a running or unfinished job."""
    return {
        "job_id": job.record.id,
        "kind": job.record.kind,
        "state": state_of(job),
        "pid": job.pid if job.pid > 0 else None,
        "repository": job.record.location,
        "repository_id": job.record.repository_id,
        "parent": job.record.parent or None,
        "paths": [json_text(path) for path in job.paths],
        "started": format_time(job.record.started_ns),
        "active": json_time(job.active),
        "files_done": job.files_done,
        "bytes_done": job.bytes_done,
        "unread": job.unread,
        "packs": job.packs,
        "bytes_stored": job.packed_bytes,
        "scan": {
            "finished": job.scan.done,
            "frontier": job.scan.frontier,
            "in_progress": job.scan.in_progress,
            "threads": [_thread_document(thread) for thread in job.scan.threads],
        },
        "queue": {
            "batches": job.queue.batches,
            "waiting": job.queue.waiting,
            "in_progress": job.queue.in_progress,
            "files": job.queue.files,
            "bytes": job.queue.bytes,
            "bytes_done": job.queue.bytes_done,
        },
        "members": [_member_document(member) for member in job.members],
        "counters": job.counters,
    }


def _thread_document(thread: ScanThreadStatus) -> dict[str, Any]:
    return {
        "thread": thread.thread,
        "path": json_text(thread.path),
        "directories": thread.directories,
        "files": thread.files,
        "bytes": thread.bytes,
        "updated": json_time(thread.updated),
    }


def member_document(member: MemberState | MemberStatus) -> dict[str, Any]:
    """A member, whether or not a job runs."""
    return {
        "name": member.name,
        "host": member.host,
        "pid": member.pid,
        "workers": member.workers,
        "joined": json_time(member.joined),
        "last_seen": json_time(member.last_seen),
    }


def member_line(member: MemberState, now: float) -> str:
    """The same for a reader; ``now`` is Unix seconds."""
    seen = max(0.0, now - member.last_seen)
    return (
        f"member {member.name} on {member.host}: {counted(member.workers, 'worker')}, joined {moment(member.joined)},"
        f" heard of {seen:.0f} s ago"
    )


def _member_document(member: MemberStatus) -> dict[str, Any]:
    return {
        **member_document(member),
        "left": json_time(member.left),
        "files_done": member.files_done,
        "bytes_done": member.bytes_done,
        "batches_done": member.batches,
        "batches": [_batch_document(batch) for batch in member.holding],
    }


def _batch_document(batch: BatchStatus) -> dict[str, Any]:
    return {
        "batch": batch.number,
        "state": batch.state,
        "attempt": batch.attempt,
        "worker": batch.worker,
        "files": batch.files,
        "files_done": batch.files_done,
        "bytes": batch.bytes,
        "bytes_done": batch.bytes_done,
        "failures": batch.failures,
        "updated": json_time(batch.updated),
    }


def status_lines(job: JobStatus, now: float) -> list[str]:
    """A running or unfinished job for a reader; ``now`` is Unix seconds."""
    paths = ", ".join(printable(path) for path in job.paths)
    scan, queue = job.scan, job.queue
    scanning = "finished"
    if not scan.done:
        scanning = f"{counted(scan.in_progress, 'directory', 'directories')} in progress, {scan.frontier:,} to do"
    lines = [
        f"job {job.record.id}: {job.record.kind} of {paths} to {printable(job.record.location)}",
        f"  {_run_words(job, now)}",
        f"  done    {counted(job.files_done, 'file')}, {size(job.bytes_done)}" + _unread_words(job.unread),
        f"  stored  {counted(job.packs, 'pack')}, {size(job.packed_bytes)}",
        f"  scan    {scanning}",
    ]
    for thread in scan.threads:
        filled = f"fills a batch with {counted(thread.files, 'file')}, {size(thread.bytes)}"
        lines.append(f"    thread {thread.thread}: {filled}; last at {printable(thread.path)}")
    busy = f"{queue.in_progress} in progress, {queue.waiting} waiting"
    lines.append(f"  queue   {counted(queue.batches, 'batch', 'batches')} of {size(queue.bytes)}: {busy}")
    for member in job.members:
        lines += _member_lines(member, now)
    return lines


def _run_words(job: JobStatus, now: float) -> str:
    started = moment(job.record.started_ns / 1e9)
    ago = duration(max(0.0, now - job.active))
    if job.running:
        by = f" by process {job.pid}" if job.pid > 0 else ""
        return f"running{by}, started {started}, last progress {ago} ago"
    return f"not running, started {started}, stopped {ago} ago: the same command resumes it"


def _unread_words(unread: int) -> str:
    return f"; {unread:,} could not be read" if unread else ""


def _member_lines(member: MemberStatus, now: float) -> list[str]:
    workers = counted(member.workers, "worker")
    where = f"{printable(member.name)} (host {printable(member.host)}, process {member.pid})"
    done = f"{counted(member.files_done, 'file')}, {size(member.bytes_done)}"
    left = f", gone for {duration(now - member.left)}" if member.left is not None else ""
    lines = [f"  member  {where}: {workers}{left}; has done {done} in {counted(member.batches, 'batch', 'batches')}"]
    for batch in member.holding:
        files = f"{batch.files_done:,} of {counted(batch.files, 'file')}"
        sizes = f"{size(batch.bytes_done)} of {size(batch.bytes)}"
        again = f", attempt {batch.attempt}" if batch.attempt > 1 else ""
        lines.append(f"    batch {batch.number}: {batch.state}{again}, worker {batch.worker}: {files}, {sizes}")
    return lines


def job_document(job: JobStatus | JobHistory) -> dict[str, Any]:
    """One job in a list."""
    if isinstance(job, JobStatus):
        return {
            "message_type": "job",
            "job_id": job.record.id,
            "kind": job.record.kind,
            "state": state_of(job),
            "pid": job.pid if job.pid > 0 else None,
            "repository": job.record.location,
            "paths": [json_text(path) for path in job.paths],
            "started": format_time(job.record.started_ns),
            "active": json_time(job.active),
            "ended": None,
            "snapshot_id": None,
            "reason": None,
            "unread": job.unread,
            "counters": job.counters,
        }
    return {
        "message_type": "job",
        "job_id": job.id,
        "kind": job.kind,
        "state": state_of(job),
        "pid": None,
        "repository": job.location,
        "paths": [json_text(path) for path in job.paths],
        "started": json_time(job.started),
        "active": json_time(job.ended),
        "ended": json_time(job.ended),
        "snapshot_id": job.snapshot or None,
        "reason": job.message or None,
        "unread": int(job.counters.get("unread", len(job.unread))),
        "counters": job.counters,
    }


def job_lines(job: JobStatus | JobHistory, unread: Sequence[tuple[bytes | str, str]]) -> list[str]:
    """One job with all that is known of it."""
    document = job_document(job)
    counters = job.counters
    ended = ""
    if isinstance(job, JobHistory):
        ended = f", ended {moment(job.ended)} after {duration(job.ended - job.started)}"
    lines = [
        f"job {document['job_id']}: {job_title(document['kind'], document['repository'], document['paths'])}",
        f"  {document['state']}; started {moment(started_at(job))}{ended}",
    ]
    if document["reason"]:
        lines.append(f"  {document['reason']}")
    if document["snapshot_id"]:
        lines.append(f"  snapshot {document['snapshot_id'][:8]}")
    lines += _RESULT_LINES.get(document["kind"], _backup_lines)(counters)
    if unread:
        lines.append(f"  {_FAULTS.get(document['kind'], 'could not be read')} ({len(unread):,}):")
        lines += [f"    {printable(path)}: {reason}" for path, reason in unread]
    if job.log:
        lines.append("  what happened:")
        lines += [f"    {line}" for line in log_lines(job.log)]
    return lines


def job_title(kind: str, repository: str, paths: Sequence[bytes | str]) -> str:
    """What a job does, from where to where."""
    named = ", ".join(map(printable, paths))
    match kind:
        case "restore":
            return f"restore from {printable(repository)} to {named}"
        case "verify":
            return f"verify {printable(repository)} against {named}"
        case "check" | "prune":
            return f"{kind} of {printable(repository)}"
    return f"{kind} of {named} to {printable(repository)}"


def processed(counters: Mapping[str, Any]) -> tuple[int, int]:
    """Entries and bytes that a job has been through, whatever its kind."""
    for entries, size_bytes in _PROCESSED:
        if entries in counters:
            return counters[entries], counters.get(size_bytes, 0)
    return 0, 0


def _backup_lines(counters: Mapping[str, Any]) -> list[str]:
    lines = []
    for label, kind in (("files", "files"), ("directories", "dirs")):
        numbers = (f"{counters.get(f'{kind}_{what}', 0):,} {what}" for what in ("new", "changed", "unmodified"))
        lines.append(f"  {label}: {', '.join(numbers)}")
    files, size_bytes = processed(counters)
    added = f"{size(counters.get('data_added', 0))} ({size(counters.get('data_added_packed', 0))} stored)"
    return [*lines, f"  processed {files:,} files, {size(size_bytes)}; added {added}"]


def _restore_lines(counters: Mapping[str, Any]) -> list[str]:
    if not counters:
        return []
    numbers = (f"{counters.get(f'files_{what}', 0):,} {what}" for what in ("restored", "skipped", "deleted"))
    return [f"  entries: {', '.join(numbers)}; {size(counters.get('bytes_restored', 0))} restored"]


def _check_lines(counters: Mapping[str, Any]) -> list[str]:
    if not counters:
        return []
    numbers = (f"{counters.get(what, 0):,} {what}" for what in ("snapshots", "trees", "packs"))
    read = f"{counters.get('packs_read', 0):,} packs of {size(counters.get('bytes_read', 0))} read"
    return [f"  checked {', '.join(numbers)}; {read}"]


def _prune_lines(counters: Mapping[str, Any]) -> list[str]:
    if not counters:
        return []
    numbers = (f"{counters.get(f'packs_{what}', 0):,} {what}" for what in ("kept", "repacked", "removed"))
    return [f"  packs: {', '.join(numbers)}; {size(counters.get('bytes_freed', 0))} freed"]


def _verify_lines(counters: Mapping[str, Any]) -> list[str]:
    if not counters:
        return []
    files, size_bytes = processed(counters)
    return [
        f"  compared {counted(files, 'file')}, {size(size_bytes)}; {counted(counters['differences'], 'difference')}"
    ]


_RESULT_LINES: Mapping[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "restore": _restore_lines,
    "check": _check_lines,
    "prune": _prune_lines,
    "verify": _verify_lines,
}
_FAULTS = {
    "restore": "was not restored, or not wholly",
    "check": "is damaged",
    "verify": "differs, or could not be compared",
}
_PROCESSED = (
    ("total_files_processed", "total_bytes_processed"),
    ("files_restored", "bytes_restored"),
    ("packs_read", "bytes_read"),
    ("packs_repacked", "bytes_repacked"),
    ("files_compared", "bytes_compared"),
    ("total_files", "total_bytes"),
)


def log_lines(log: Sequence[tuple[float, str]]) -> list[str]:
    """Events, a line each."""
    return [f"{moment(when)}  {printable(text)}" for when, text in log]


def started_at(job: JobStatus | JobHistory) -> float:
    """When the job was first started, in Unix seconds."""
    return job.started if isinstance(job, JobHistory) else job.record.started_ns / 1e9


def json_time(unix_seconds: float | None) -> str | None:
    """RFC 3339, as restic prints times; None stays None."""
    return None if unix_seconds is None else format_time(int(unix_seconds * 1e6) * 1000)
