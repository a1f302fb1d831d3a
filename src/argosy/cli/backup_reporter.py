"""What a backup says while it runs and when it is done: as JSON, as lines, or on a live display."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType
from typing import Any, Self

from argosy.cli.display import Display
from argosy.cli.member_words import members_document
from argosy.cli.output import Output
from argosy.cli.pace import Pace
from argosy.cli.wording import counted, duration, json_text, printable, size
from argosy.operations.backup.options import BackupProgress, BackupResult
from argosy.restic_format.times import format_time

UNREAD_NOTE = "at least one source file could not be read"


class BackupReporter:
    """The observer's ears. ``progress`` and ``message`` are called by one thread, ``unread`` by any."""

    def __init__(self, output: Output, display: Display[BackupProgress] | None) -> None:
        self._output = output
        self._display = display
        self._pace = Pace()
        self._started = time.monotonic()
        self._unread: deque[tuple[bytes, str]] = deque()
        self._scan_was_done = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if self._display is not None:
            self._display.close()
        if kind is not BrokenPipeError:
            self._tell_unread()

    def progress(self, progress: BackupProgress) -> None:
        """Show how far the job is."""
        now = time.monotonic()
        self._pace.look(now, progress.bytes_done)
        self._tell_unread()
        if progress.scan_done and not self._scan_was_done:
            self._scan_was_done = True
            self._tell_scan_done(progress, now - self._started)
        if self._display is not None:
            self._display.show(progress, now - self._started, self._pace)

    def message(self, text: str) -> None:
        """Something about the job: that it is resumed, for example."""
        self._output.message(text)

    def unread(self, path: bytes, reason: str) -> None:
        """A file or directory that could not be saved. Said by the next ``progress``: scan threads call this."""
        self._unread.append((path, reason))

    def _tell_unread(self) -> None:
        while self._unread:
            path, reason = self._unread.popleft()
            name = json_text(path) if self._output.json else printable(path)
            self._output.error(reason, item=name, during="archival")

    def _tell_scan_done(self, progress: BackupProgress, seconds: float) -> None:
        if self._output.verbosity == 0:
            return
        if self._output.json:
            self._output.document(
                {
                    "message_type": "verbose_status",
                    "action": "scan_finished",
                    "item": "",
                    "duration": round(seconds, 6),
                    "data_size": progress.bytes_done + progress.queue_bytes,
                    "entries_scanned": progress.entries_scanned,
                },
                flush=True,
            )
        else:
            entries = counted(progress.entries_scanned, "entry", "entries")
            self._output.detail(f"scan finished in {duration(seconds)}: {entries}")


def status_document(progress: BackupProgress, seconds: float, pace: Pace) -> dict[str, Any]:
    """A "status" document. Totals are what is known so far, until ``scan_finished``."""
    total_bytes = progress.bytes_done + progress.queue_bytes
    document: dict[str, Any] = {"message_type": "status"}
    if seconds >= 1:
        document["seconds_elapsed"] = int(seconds)
    left = pace.seconds_left(progress.queue_bytes) if progress.scan_done else None
    if left:
        document["seconds_remaining"] = int(left)
    document["percent_done"] = _share_done(progress)
    document |= {"files_done": progress.files_done, "total_bytes": total_bytes, "bytes_done": progress.bytes_done}
    if progress.unread:
        document["error_count"] = progress.unread
    return document | {
        "scan_finished": progress.scan_done,
        "scan_threads": progress.scan_threads,
        "entries_scanned": progress.entries_scanned,
        "files_unmodified": progress.files_unmodified,
        "queue_batches": progress.queue_batches,
        "queue_bytes": progress.queue_bytes,
        "bytes_stored": progress.packed_bytes,
        "bytes_per_second": int(pace.bytes_per_second),
        "members": members_document(progress.members),
    }


def progress_line(progress: BackupProgress, seconds: float, pace: Pace) -> str:
    """One line about a running job."""
    parts = [
        f"[{duration(seconds)}] {counted(progress.files_done, 'file')}, {size(progress.bytes_done)}",
        f"{size(pace.bytes_per_second)}/s",
        f"scan {scan_words(progress)}",
        f"queue {queue_words(progress)}",
    ]
    left = pace.seconds_left(progress.queue_bytes) if progress.scan_done else None
    if left is not None:
        parts.append(f"{_share_done(progress):.1%}, ETA {duration(left)}")
    if progress.unread:
        parts.append(f"{progress.unread:,} unread")
    return "; ".join(parts)


def scan_words(progress: BackupProgress) -> str:
    """How the scan stands."""
    entries = counted(progress.entries_scanned, "entry", "entries")
    if progress.scan_done:
        return f"finished, {entries}"
    return f"goes on with {counted(progress.scan_threads, 'thread')}, {entries}"


def queue_words(progress: BackupProgress) -> str:
    """How the queue stands, and what was stored."""
    batches = counted(progress.queue_batches, "batch", "batches")
    return f"{batches} of {size(progress.queue_bytes)}; stored {size(progress.packed_bytes)}"


def _share_done(progress: BackupProgress) -> float:
    total_bytes = progress.bytes_done + progress.queue_bytes
    return progress.bytes_done / total_bytes if total_bytes else float(progress.scan_done)


def summary_document(result: BackupResult, *, dry_run: bool) -> dict[str, Any]:
    """restic's "summary" document; what restic has no field for is added."""
    counters = result.counters
    document: dict[str, Any] = {"message_type": "summary"}
    if dry_run:
        document["dry_run"] = True
    for name in _RESTIC_COUNTERS:
        document[name] = counters.get(name, 0)
    document["total_duration"] = (result.ended_ns - result.started_ns) / 1e9
    document["backup_start"] = format_time(result.started_ns)
    document["backup_end"] = format_time(result.ended_ns)
    if result.snapshot_id is not None:
        document["snapshot_id"] = result.snapshot_id.hex()
    return document | {
        "job_id": result.job_id,
        "tree": result.tree_id.hex(),
        "parent": None if result.parent is None else result.parent.hex(),
        "resumed": result.resumed,
        "unread": result.unread,
        "vanished": counters.get("vanished", 0),
        "xattrs_unread": counters.get("xattrs_unread", 0),
        "excluded": result.excluded,
        "snapshot_directories_skipped": result.snapshot_directories,
    }


_RESTIC_COUNTERS = (
    "files_new",
    "files_changed",
    "files_unmodified",
    "dirs_new",
    "dirs_changed",
    "dirs_unmodified",
    "data_blobs",
    "tree_blobs",
    "data_added",
    "data_added_packed",
    "total_files_processed",
    "total_bytes_processed",
)


def summary_lines(result: BackupResult, *, dry_run: bool) -> list[str]:
    """The summary in restic's words, and what else there is to know."""
    count = {name: result.counters.get(name, 0) for name in (*_RESTIC_COUNTERS, "vanished")}
    would = "Would add" if dry_run else "Added"
    lines = [""]
    for label, kind in (("Files:", "files"), ("Dirs:", "dirs")):
        new, changed, unmodified = (count[f"{kind}_{what}"] for what in ("new", "changed", "unmodified"))
        lines.append(f"{label:<12} {new:5d} new, {changed:5d} changed, {unmodified:5d} unmodified")
    added, stored = size(count["data_added"]), size(count["data_added_packed"])
    lines += [f"{would} to the repository: {added} ({stored} stored)", ""]
    processed = f"processed {count['total_files_processed']} files, {size(count['total_bytes_processed'])}"
    since = " since its first start" if result.resumed else ""
    lines.append(f"{processed} in {duration((result.ended_ns - result.started_ns) / 1e9)}{since}")
    if result.parent is None:
        lines.append("compared with no snapshot: every file was read")
    else:
        lines.append(f"compared with snapshot {result.parent.hex()[:8]}")
    if result.excluded:
        lines.append(f"left out by rules: {counted(result.excluded, 'entry', 'entries')}")
    if result.snapshot_directories:
        skipped = counted(result.snapshot_directories, "storage snapshot directory", "storage snapshot directories")
        lines.append(f"skipped: {skipped} (.snapshot, ~snapshot, .zfs, @eaDir)")
    if count["vanished"]:
        lines.append(f"vanished while the backup ran: {counted(count['vanished'], 'entry', 'entries')}")
    if lost := result.counters.get("xattrs_unread", 0):
        lines.append(f"extended attributes that could not be read: {lost:,}; the entries were saved without them")
    return [*lines, _outcome(result, dry_run=dry_run)]


def _outcome(result: BackupResult, *, dry_run: bool) -> str:
    if dry_run:
        return "dry run: nothing was written"
    if result.snapshot_id is None:
        return "nothing has changed: no snapshot was made"
    return f"snapshot {result.snapshot_id.hex()[:8]} saved"


def unread_lines(result: BackupResult) -> list[str]:
    """What exit code 3 means, for the user of this run."""
    count = counted(result.unread, "file or directory", "files or directories")
    return [
        f"Warning: {UNREAD_NOTE} ({count} in all): the snapshot lacks them, and the exit code is 3",
        f"'argosy jobs {result.job_id}' lists them.",
    ]
