"""What a backup says of itself: restic's documents and words, and ours."""

from __future__ import annotations

import io
import json
import threading
from typing import Any

import msgspec
import pytest

from argosy.cli.backup_reporter import (
    BackupReporter,
    progress_line,
    status_document,
    summary_document,
    summary_lines,
    unread_lines,
)
from argosy.cli.display import JsonDisplay, LineDisplay
from argosy.cli.output import Output
from argosy.cli.pace import Pace
from argosy.operations.backup.options import BackupProgress, BackupResult

PROGRESS = BackupProgress(
    files_done=1234,
    bytes_done=30 << 20,
    files_unmodified=200,
    entries_scanned=2000,
    scan_done=False,
    scan_threads=3,
    queue_batches=4,
    queue_bytes=10 << 20,
    packed_bytes=20 << 20,
    unread=0,
    members=[("vm", 2, 4, 1034, 28 << 20)],
    current=[],
)
SCANNED = msgspec.structs.replace(PROGRESS, scan_done=True, unread=2)
RESULT = BackupResult(
    snapshot_id=bytes(31) + b"\1",
    tree_id=bytes(32),
    parent=None,
    job_id="20260102-030405-abcdef",
    counters={"files_new": 3, "dirs_new": 1, "data_added": 2048, "data_added_packed": 1024, "total_files_processed": 3},
    unread=0,
    started_ns=1_700_000_000_000_000_000,
    ended_ns=1_700_000_007_000_000_000,
    resumed=False,
)
# What restic 0.18 prints; a reader of its documents must find all of it.
RESTIC_SUMMARY = {
    "message_type", "files_new", "files_changed", "files_unmodified", "dirs_new", "dirs_changed", "dirs_unmodified",
    "data_blobs", "tree_blobs", "data_added", "data_added_packed", "total_files_processed", "total_bytes_processed",
    "total_duration", "backup_start", "backup_end", "snapshot_id",
}  # fmt: skip


def going(bytes_per_second: int = 1 << 20) -> Pace:
    """A pace of so much."""
    pace = Pace()
    pace.look(0, 0)
    pace.look(10, 10 * bytes_per_second)
    return pace


def changed(result: BackupResult, **fields: Any) -> BackupResult:
    return msgspec.structs.replace(result, **fields)


def test_a_status_has_restics_fields_and_ours() -> None:
    document = status_document(SCANNED, 12.5, going())
    restics = ("message_type", "seconds_elapsed", "seconds_remaining", "percent_done", "files_done", "total_bytes")
    assert [document[name] for name in restics] == ["status", 12, 10, 0.75, 1234, 40 << 20]
    assert document["error_count"] == 2
    assert document["members"] == [
        {"name": "vm", "workers": 2, "batches": 4, "files_done": 1034, "bytes_done": 28 << 20}
    ]


def test_the_end_is_not_foretold_while_the_scan_goes_on() -> None:
    assert "seconds_remaining" not in status_document(PROGRESS, 12.5, going())
    assert "ETA" not in progress_line(PROGRESS, 12.5, going())


def test_a_line_tells_files_bytes_rate_scan_queue_and_the_end() -> None:
    assert progress_line(SCANNED, 75, going()) == (
        "[1:15] 1,234 files, 30.000 MiB; 1.000 MiB/s; scan finished, 2,000 entries;"
        " queue 4 batches of 10.000 MiB; stored 20.000 MiB; 75.0%, ETA 0:10; 2 unread"
    )


def test_lines_come_soon_at_first_and_rarely_later() -> None:
    """A log of a job of many hours must stay readable."""
    stdout = io.StringIO()
    display = LineDisplay(Output(stdout=stdout, stderr=io.StringIO()), progress_line)
    for second in range(3600):
        display.show(PROGRESS, second, going())
    lines = stdout.getvalue().splitlines()
    assert lines[0].startswith("[0:10]")
    assert 55 < len(lines) < 70


def test_documents_come_as_often_as_asked() -> None:
    stdout = io.StringIO()
    display = JsonDisplay(Output(json=True, stdout=stdout), status_document, 2.0)
    for tenth in range(100):
        display.show(PROGRESS, tenth / 10, going())
    assert len(stdout.getvalue().splitlines()) == 5


def test_a_summary_has_restics_fields_and_ours() -> None:
    document = summary_document(RESULT, dry_run=False)
    assert set(document) >= RESTIC_SUMMARY
    assert document["snapshot_id"] == (bytes(31) + b"\1").hex()
    assert document["total_duration"] == 7.0
    assert document["job_id"] == "20260102-030405-abcdef"
    assert "dry_run" not in document


def test_a_summary_without_a_snapshot_has_no_id() -> None:
    document = summary_document(changed(RESULT, snapshot_id=None), dry_run=True)
    assert "snapshot_id" not in document
    assert document["dry_run"] is True


def test_the_summary_in_restics_words() -> None:
    assert summary_lines(RESULT, dry_run=False) == [
        "",
        "Files:           3 new,     0 changed,     0 unmodified",
        "Dirs:            1 new,     0 changed,     0 unmodified",
        "Added to the repository: 2.000 KiB (1.000 KiB stored)",
        "",
        "processed 3 files, 0 B in 0:07",
        "compared with no snapshot: every file was read",
        "snapshot 00000000 saved",
    ]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"excluded": 5}, "left out by rules: 5 entries"),
        ({"snapshot_directories": 1}, "skipped: 1 storage snapshot directory"),
        ({"counters": {"vanished": 2}}, "vanished while the backup ran: 2 entries"),
        ({"resumed": True}, "in 0:07 since its first start"),
        ({"parent": bytes(32)}, "compared with snapshot 00000000"),
        ({"snapshot_id": None}, "nothing has changed: no snapshot was made"),
    ],
)
def test_what_is_out_of_the_ordinary_is_said(fields: dict[str, Any], words: str) -> None:
    assert words in "\n".join(summary_lines(changed(RESULT, **fields), dry_run=False))
    assert words not in "\n".join(summary_lines(RESULT, dry_run=False))


def test_a_dry_run_says_what_it_would_do() -> None:
    text = "\n".join(summary_lines(changed(RESULT, snapshot_id=None), dry_run=True))
    assert "Would add" in text
    assert "nothing was written" in text


def test_exit_code_3_is_explained() -> None:
    text = "\n".join(unread_lines(changed(RESULT, unread=2)))
    assert "2 files or directories" in text
    assert "exit code is 3" in text
    assert "argosy jobs 20260102-030405-abcdef" in text


def test_unread_files_are_named_by_the_thread_that_shows_progress() -> None:
    """Scan threads find them; a live display must be drawn over by one thread only."""
    stderr = io.StringIO()
    with BackupReporter(Output(stdout=io.StringIO(), stderr=stderr), None) as reporter:
        thread = threading.Thread(target=reporter.unread, args=(b"/a\nb", "permission denied"))
        thread.start()
        thread.join()
        assert stderr.getvalue() == ""
        reporter.progress(PROGRESS)
        assert stderr.getvalue() == 'error: "/a\\nb": permission denied\n'
        reporter.unread(b"/late", "odd")
    assert stderr.getvalue().splitlines()[1] == "error: /late: odd"


def test_unread_files_are_restics_error_documents() -> None:
    stderr = io.StringIO()
    with BackupReporter(Output(json=True, stdout=io.StringIO(), stderr=stderr), None) as reporter:
        reporter.unread(b"/\xff", "permission denied")
    assert json.loads(stderr.getvalue()) == {
        "message_type": "error",
        "error": {"message": "permission denied"},
        "during": "archival",
        "item": "/\ufffd",
    }


@pytest.mark.parametrize("as_json", [True, False])
def test_the_end_of_the_scan_is_told_once_to_those_who_ask(as_json: bool) -> None:
    stdout = io.StringIO()
    with BackupReporter(Output(json=as_json, verbosity=1, stdout=stdout), None) as reporter:
        for look in (PROGRESS, SCANNED, SCANNED):
            reporter.progress(look)
    (line,) = stdout.getvalue().splitlines()
    assert "scan_finished" in line if as_json else line.startswith("scan finished")


def test_the_pace_is_that_of_the_last_seconds() -> None:
    pace = Pace(window_seconds=10)
    assert pace.bytes_per_second == 0
    assert pace.seconds_left(100) is None
    assert pace.seconds_left(0) == 0
    for second in range(100):
        pace.look(second, 1000 * second if second < 50 else 49_000 + 10 * (second - 49))
    assert pace.bytes_per_second == pytest.approx(10)
    assert pace.seconds_left(100) == pytest.approx(10)
