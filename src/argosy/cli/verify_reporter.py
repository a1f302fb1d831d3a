"""What a verification says while it runs and when it is done: as JSON, as lines, or on a live line."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from argosy.cli.display import Display, ProgressReporter
from argosy.cli.member_words import members_document
from argosy.cli.output import Output
from argosy.cli.pace import Pace
from argosy.cli.restore_reporter import snapshot_words
from argosy.cli.wording import counted, duration, json_text, printable, size
from argosy.operations.verify.messages import (
    CHANGED,
    CHANGING,
    MISSING_IN_SNAPSHOT,
    MISSING_IN_SOURCE,
    UNREADABLE,
    Difference,
)
from argosy.operations.verify.options import VerifyObserver, VerifyProgress, VerifyResult
from argosy.operations.verify.report import CheckedReport, difference_document
from argosy.operations.verify.run import summary_document
from argosy.repository.snapshots import StoredSnapshot


class VerifyReporter(ProgressReporter[VerifyProgress]):
    """The observer's ears."""

    def __init__(self, output: Output, display: Display[VerifyProgress] | None, source: bytes) -> None:
        super().__init__(output, display)
        self._source = source

    def observer(self, stop_requested: Callable[[], bool]) -> VerifyObserver:
        """What the operation is given."""
        return VerifyObserver(
            begun=self.begun,
            found=self.found,
            problem=self.problem,
            message=self.output.message if not self.output.json else lambda _text: None,
            progress=self.progress,
            stop_requested=stop_requested,
        )

    def begun(self, stored: StoredSnapshot, subpath: str) -> None:
        """Say what is compared with what."""
        if not self.output.json:
            self.output.message(f"comparing {snapshot_words(stored, subpath)} with {printable(self._source)}")

    def found(self, difference: Difference) -> None:
        """A difference, or what could not be read."""
        if self.output.json:
            self.output.document(difference_document(difference))
        elif difference.kind == UNREADABLE:
            self.output.error(difference.reason, item=printable(difference.path or b"."), during="verify")
        else:
            self.output.line(difference_line(difference))

    def problem(self, path: bytes, reason: str) -> None:
        """Damage in the repository."""
        name = json_text(path) if self.output.json else printable(path or b".")
        self.output.error(reason, item=name, during="verify")

    def progress(self, progress: VerifyProgress) -> None:
        """Show how far it is."""
        self.show(progress, progress.size_bytes)

    def finish(self, result: VerifyResult) -> int:
        """Say what it came to; the exit code."""
        seconds = time.monotonic() - self.started
        if self.output.json:
            self.output.document({**summary_document(result), "seconds_elapsed": int(seconds)}, flush=True)
            return result.exit_code
        entries = f"{counted(result.files, 'file')}, {counted(result.directories, 'directory', 'directories')}"
        self.output.message(
            f"compared {entries}, {counted(result.others, 'other')}, {size(result.size_bytes)} in {duration(seconds)}"
        )
        if result.silent:
            files = counted(result.silent, "file has", "files have")
            self.output.warning(f"{files} other content although size and time are the same: nobody changes files so")
        if result.problems:
            self.output.error_line("The repository is damaged: `argosy check` tells all of it.")
        self.output.message(verdict(result))
        if result.report is not None:
            self.output.message(f"the report is in {printable(result.report)}")
        return result.exit_code


def difference_line(difference: Difference) -> str:
    """A letter as `argosy diff` has it (! where a file would not hold still), the path, and what differs."""
    path = printable(difference.path or b".") + ("/" if difference.type == "dir" else "")
    below = f" (and {counted(difference.below, 'entry', 'entries')} below)" if difference.below else ""
    if difference.kind == MISSING_IN_SOURCE:
        return f"-    {path}"
    if difference.kind == MISSING_IN_SNAPSHOT:
        return f"+    {path}{below}"
    if difference.kind == CHANGING:
        return f"!    {path} (it changes while it is read)"
    assert difference.kind == CHANGED
    fields = difference.fields
    letter = "T" if "type" in fields else "M" if "content" in fields else "U"
    return f"{letter}    {path} ({'; '.join(_field_words(field, *values) for field, values in fields.items())})"


def verdict(result: VerifyResult) -> str:
    """The last line."""
    if not (result.differences or result.unreadable or result.problems):
        return "no differences were found"
    counts = {
        "changed": result.changed,
        "changing": result.changing,
        "missing in the source": result.missing_in_source,
        "missing in the snapshot": result.missing_in_snapshot,
        "unreadable": result.unreadable,
    }
    words = ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)
    return (
        f"{counted(result.differences, 'difference')}: {words}" if words else "what could be compared does not differ"
    )


def show_proved(output: Output, path: str, report: CheckedReport) -> None:
    """Say what a report proves."""
    if output.json:
        output.document({"message_type": "proved", "report": report.header, "summary": report.summary})
        return
    header, summary = report.header, report.summary
    output.message(f"{printable(path)} is as it was written, with this repository's key")
    who = f"{_text(header, 'username')}@{_text(header, 'hostname')}"
    part = f"{_text(header, 'snapshot_id')[:8]}:{_text(header, 'subpath')}"
    output.message(f"{who} compared snapshot {part} with {_text(header, 'source')}")
    output.message(f"from {_text(header, 'started')} to {_text(summary, 'ended')}")
    output.message(
        f"{summary.get('files', 0):,} files, {summary.get('bytes', 0):,} bytes; {summary.get('differences', 0):,} "
        f"differences, {summary.get('unreadable', 0):,} unreadable, {summary.get('problems', 0):,} problems"
    )


def status_document(progress: VerifyProgress, seconds: float, pace: Pace) -> dict[str, Any]:
    """A "status" in the manner of restic's."""
    document: dict[str, Any] = {"message_type": "status", "seconds_elapsed": int(seconds)}
    if progress.expected_bytes:
        document["percent_done"] = min(1.0, progress.size_bytes / progress.expected_bytes)
        document |= {"total_files": progress.expected_files, "total_bytes": progress.expected_bytes}
    return document | {
        "files_done": progress.files,
        "bytes_done": progress.size_bytes,
        "differences": progress.differences,
        "bytes_per_second": int(pace.bytes_per_second),
        "members": members_document(progress.members),
    }


def progress_line(progress: VerifyProgress, seconds: float, pace: Pace) -> str:
    """One line about a running verification."""
    parts = [
        f"[{duration(seconds)}] {counted(progress.files, 'file')}, {size(progress.size_bytes)}",
        f"{size(pace.bytes_per_second)}/s",
        counted(progress.differences, "difference"),
    ]
    left = pace.seconds_left(max(0, progress.expected_bytes - progress.size_bytes)) if progress.expected_bytes else None
    if left is not None:
        parts.insert(2, f"ETA {duration(left)}")
    return "; ".join(parts)


def _field_words(field: str, ours: str, theirs: str) -> str:
    return field if field == "content" else f"{field} {printable(ours) or 'none'} -> {printable(theirs) or 'none'}"


def _text(document: dict[str, Any], key: str) -> str:
    return printable(str(document.get(key, "?")))
