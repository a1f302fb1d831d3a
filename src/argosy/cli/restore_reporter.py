"""What a restore says while it runs and when it is done: as JSON, as lines, or on a live line."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from argosy.cli.display import Display, ProgressReporter
from argosy.cli.member_words import members_document
from argosy.cli.output import Output
from argosy.cli.pace import Pace
from argosy.cli.wording import counted, duration, json_text, moment, printable, size
from argosy.operations.restore.options import RestoreObserver, RestoreProgress, RestoreResult
from argosy.repository.snapshots import StoredSnapshot

_LIST_LEVEL = 2


class RestoreReporter(ProgressReporter[RestoreProgress]):
    """The observer's ears."""

    def __init__(self, output: Output, display: Display[RestoreProgress] | None, target: bytes) -> None:
        super().__init__(output, display)
        self._target = target
        self._verifying_since = 0.0

    def begun(self, stored: StoredSnapshot, subpath: str) -> None:
        """Say which snapshot it is."""
        if not self.output.json:
            self.output.message(f"restoring {snapshot_words(stored, subpath)} to {printable(self._target)}")

    def progress(self, progress: RestoreProgress) -> None:
        """Show how far it is."""
        self.show(progress, progress.verified_bytes if progress.verifying else progress.bytes_restored)

    def observer(self, stop_requested: Callable[[], bool]) -> RestoreObserver:
        """What the operation is given."""
        return RestoreObserver(
            begun=self.begun,
            progress=self.progress,
            message=self.output.message,
            item=self.item,
            error=self.error,
            verifying=self.verifying,
            stop_requested=stop_requested,
        )

    def item(self, action: str, path: bytes, size_bytes: int | None) -> None:
        """An entry, for those who asked for a list. Deleted ones are named as they stood at the target (restic)."""
        if action == "deleted":
            path = os.path.abspath(self._target) + path
        if self.output.json:
            self.output.document(
                {"message_type": "verbose_status", "action": action, "item": json_text(path), "size": size_bytes or 0}
            )
        else:
            tail = "" if size_bytes is None else f" with size {size(size_bytes)}"
            self.output.detail(f"{action:<9} {printable(path)}{tail}", level=_LIST_LEVEL)

    def error(self, path: bytes, reason: str) -> None:
        """An entry that was not restored, or not wholly."""
        name = json_text(path) if self.output.json else printable(path)
        self.output.error(reason, item=name, during="restore")

    def verifying(self) -> None:
        """What was restored is read again."""
        self._verifying_since = time.monotonic()
        self.pace = Pace()
        if not self.output.json:
            self.output.message(f"verifying files in {printable(self._target)}")

    def finish(self, result: RestoreResult) -> None:
        """Say what it came to."""
        seconds = time.monotonic() - self.started
        for note, count in sorted(result.notes.items()):
            self.output.warning(f"{note} ({counted(count, 'case')})")
        if self.output.json:
            self.output.document(summary_document(result, seconds), flush=True)
            return
        self.output.message(summary_line(result, seconds))
        if result.verified is not None:
            took = duration(time.monotonic() - self._verifying_since)
            files = counted(result.verified, "file")
            self.output.message(f"finished verifying {files} in {printable(self._target)} (took {took})")


def snapshot_words(stored: StoredSnapshot, subpath: str) -> str:
    """``snapshot 1a2b3c4d of [/srv] at 2026-11-23 08:47:54 by me@host``."""
    snapshot = stored.snapshot
    paths = " ".join(printable(path) for path in snapshot.paths)
    words = f"snapshot {stored.id.hex()[:8]} of [{paths}] at {moment(snapshot.time_ns() / 1e9)}"
    if snapshot.username or snapshot.hostname:
        words += f" by {printable(snapshot.username)}@{printable(snapshot.hostname)}"
    return f"{words}, its part {printable(subpath)}," if subpath.strip("/") else words


def share_done(progress: RestoreProgress) -> float:
    """How much of the content is there, 0 to 1, as far as can be known."""
    total = progress.bytes_total if progress.planned else max(progress.bytes_total, progress.expected_bytes)
    if not total:
        return float(progress.planned)
    return min(1.0, progress.bytes_restored / total)


def status_document(progress: RestoreProgress, seconds: float, pace: Pace) -> dict[str, Any]:
    """restic's "status"; what restic has no field for is added. Totals are what is known so far, until "planned"."""
    document: dict[str, Any] = {"message_type": "status"}
    if seconds >= 1:
        document["seconds_elapsed"] = int(seconds)
    document["percent_done"] = share_done(progress)
    document |= _counts(
        progress.entries_total,
        progress.entries_restored,
        progress.entries_skipped,
        progress.deleted,
        progress.bytes_total,
        progress.bytes_restored,
        progress.bytes_skipped,
    )
    if progress.errors:
        document["error_count"] = progress.errors
    document |= {"planned": progress.planned, "bytes_per_second": int(pace.bytes_per_second)}
    if progress.verifying:
        document |= {"files_verified": progress.verified_files, "bytes_verified": progress.verified_bytes}
    return document | {"members": members_document(progress.members)}


def summary_document(result: RestoreResult, seconds: float) -> dict[str, Any]:
    """restic's "summary"; what restic has no field for is added."""
    document: dict[str, Any] = {"message_type": "summary"}
    if seconds >= 1:
        document["seconds_elapsed"] = int(seconds)
    document |= _counts(
        result.entries_total,
        result.entries_restored,
        result.entries_skipped,
        result.deleted,
        result.bytes_total,
        result.bytes_restored,
        result.bytes_skipped,
    )
    if result.verified is not None:
        document["files_verified"] = result.verified
    document["error_count"] = result.errors
    document["snapshot_id"] = result.snapshot.id.hex()
    return document


def _counts(
    total: int, restored: int, skipped: int, deleted: int, total_bytes: int, restored_bytes: int, skipped_bytes: int
) -> dict[str, int]:
    """restic leaves out what is zero."""
    named = {
        "total_files": total,
        "files_restored": restored,
        "files_skipped": skipped,
        "files_deleted": deleted,
        "total_bytes": total_bytes,
        "bytes_restored": restored_bytes,
        "bytes_skipped": skipped_bytes,
    }
    return {name: value for name, value in named.items() if value}


def progress_line(progress: RestoreProgress, seconds: float, pace: Pace) -> str:
    """One line about a running restore."""
    if progress.verifying:
        done = f"verified {counted(progress.verified_files, 'file')}, {size(progress.verified_bytes)}"
        return f"[{duration(seconds)}] {done}; {size(pace.bytes_per_second)}/s"
    parts = [
        f"[{duration(seconds)}] {share_done(progress):.1%}",
        f"{counted(progress.entries_restored, 'entry', 'entries')}, {size(progress.bytes_restored)}",
        f"{size(pace.bytes_per_second)}/s",
    ]
    total = progress.bytes_total if progress.planned else progress.expected_bytes
    left = pace.seconds_left(max(0, total - progress.bytes_restored)) if total else None
    if left is not None:
        parts.append(f"ETA {duration(left)}")
    if progress.entries_skipped:
        parts.append(f"skipped {counted(progress.entries_skipped, 'entry', 'entries')}")
    if progress.deleted:
        parts.append(f"deleted {counted(progress.deleted, 'entry', 'entries')}")
    if progress.errors:
        parts.append(counted(progress.errors, "error"))
    return "; ".join(parts)


def summary_line(result: RestoreResult, seconds: float) -> str:
    """restic's summary."""
    if result.entries_restored == result.entries_total and result.bytes_restored == result.bytes_total:
        done = f"{result.entries_total} files/dirs ({size(result.bytes_total)})"
    else:
        entries = f"{result.entries_restored} / {result.entries_total} files/dirs"
        done = f"{entries} ({size(result.bytes_restored)} / {size(result.bytes_total)})"
    line = f"Summary: Restored {done} in {duration(seconds)}"
    if result.entries_skipped:
        line += f", skipped {result.entries_skipped} files/dirs {size(result.bytes_skipped)}"
    if result.deleted:
        line += f", deleted {result.deleted} files/dirs"
    return line
