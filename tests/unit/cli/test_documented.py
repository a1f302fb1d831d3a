"""What the documents say of flags, fields and exit codes is what the program has."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from msgspec.structs import replace

from argosy import errors
from argosy.certificates.register import Entry
from argosy.certificates.role import Role
from argosy.cli import job_words, run_words
from argosy.cli.backup_reporter import status_document, summary_document
from argosy.cli.commands import (
    attach,
    backup,
    cache,
    cancel,
    cluster,
    copy,
    diff,
    find,
    forget,
    init,
    jobs,
    logs,
    master,
    migrate,
    mount,
    proxy,
    prune,
    recover,
    repair,
    rewrite,
    status,
    tag,
    unlock,
    verify,
    version,
)
from argosy.cli.failures import EXIT_BROKEN_PIPE
from argosy.cli.pace import Pace
from argosy.cli.prune_reporter import plan_document
from argosy.cli.repair_words import loss_document
from argosy.cli.replaced_words import changed_document
from argosy.daemon.protocol import MemberState, RunState
from argosy.operations.copy.options import CopyProgress
from argosy.operations.prune.plan import PrunePlan
from argosy.operations.repair.index import IndexRepair
from argosy.operations.repair.options import Loss
from argosy.operations.repair.packs import PacksRepair
from argosy.operations.status import BatchStatus, JobStatus, MemberStatus, QueueStatus, ScanStatus, ScanThreadStatus
from argosy.operations.verify.messages import Difference
from argosy.operations.verify.options import EXIT_DIFFERENT, IGNORABLE, VerifyResult
from argosy.operations.verify.report import difference_document
from argosy.operations.verify.run import summary_document as verify_summary
from argosy.repository.snapshots import StoredSnapshot
from argosy.restic_format.snapshot import Snapshot
from argosy.state.history import JobHistory
from argosy.state.record import JobRecord
from tests.unit.cli.test_backup_reporter import RESULT, SCANNED, going

DOCS = Path(__file__).resolve().parents[3] / "docs"
COMMAND_LINE = (DOCS / "command-line.md").read_text(encoding="utf-8")
BROWSE = (DOCS / "browse.md").read_text(encoding="utf-8")
VERIFY = (DOCS / "verify.md").read_text(encoding="utf-8")
JSON = (DOCS / "json.md").read_text(encoding="utf-8")
HELD = BatchStatus(9, "in progress", 2, 1, 10, 4, 1000, 700, 1e9, 1)
RUNNING = JobStatus(
    record=JobRecord("20260102-030405-abcdef", "backup", "ab" * 32, "/repository", 10**18, b""),
    pid=7,
    active=1e9,
    paths=[b"/data/\xff"],
    counters={"total_files_processed": 100, "total_bytes_processed": 5000},
    scan=ScanStatus(3, 1, [ScanThreadStatus(0, b"/data/x", 2, 30, 400, 1e9)]),
    queue=QueueStatus(5, 4, 1, 50, 6000, 700),
    members=[
        MemberStatus(
            [BatchStatus(9, "in progress", 2, 1, 10, 4, 1000, 700, 1e9, 1)],
            "vm",
            "h",
            7,
            2,
            1e9,
            1e9,
            None,
            100,
            5000,
            8,
        )
    ],
    packs=2,
    packed_bytes=3000,
    unread=1,
    log=[(1e9, "resumed")],
)
ENDED = JobHistory(
    "20260102-030405-abcdef", "backup", "/repository", ["/a"], 1e9, 1e9 + 60, "closed", "ab" * 32, "too old"
)
RUN = RunState(
    "20260103-030405-abcdef",
    "restore",
    "/repository",
    [b"/target"],
    True,
    1e9,
    1e9,
    8,
    60,
    1,
    [("nas-1", 1, 2, 3, 4)],
    [(1e9, "nas-2 left")],
)
MEMBER = MemberState("nas-1", "h", 7, 4, 1e9, 1e9)
CERTIFICATE = Entry(name="nas", role=Role.MEMBER, serial="1f", valid_from=1, valid_until=2)


WITHOUT_VERBS_OF_THEIR_OWN = (
    attach,
    backup,
    cache,
    cancel,
    copy,
    diff,
    find,
    forget,
    init,
    jobs,
    logs,
    master,
    migrate,
    mount,
    proxy,
    prune,
    recover,
    rewrite,
    status,
    tag,
    unlock,
    verify,
    version,
)


def section(text: str, heading: str) -> str:
    """What stands below a heading of the second level."""
    found = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"there is no section {heading}"
    return found[1]


def fields(document: Any) -> Iterator[str]:
    """All keys, at whatever depth, but those of counters."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield key
            if key != "counters":
                yield from fields(value)
    elif isinstance(document, list):
        for item in document:
            yield from fields(item)


@pytest.mark.parametrize(
    "command",
    [
        *(module.command for module in WITHOUT_VERBS_OF_THEIR_OWN),
        *cluster.command.commands.values(),
        *repair.command.commands.values(),
    ],
    ids=lambda command: str(command.name),
)
def test_every_flag_is_documented(command: click.Command) -> None:
    names = [name for param in command.params if isinstance(param, click.Option) for name in param.opts]
    assert names
    said = COMMAND_LINE + BROWSE + VERIFY
    missing = [name for name in names if not re.search(rf"`[^`]*{re.escape(name)}\b[^`]*`", said)]
    assert not missing


def test_every_exit_code_is_documented() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ArgosyError)]
    codes = {0, backup.EXIT_INCOMPLETE, EXIT_DIFFERENT, EXIT_BROKEN_PIPE, *(kind.exit_code for kind in kinds)}
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", section(COMMAND_LINE, "Exit codes"), re.MULTILINE)}
    assert codes == documented


@pytest.mark.parametrize(
    ("heading", "document"),
    [
        ("status", status_document(SCANNED, 12.0, going())),
        ("summary", summary_document(RESULT, dry_run=True)),
        ("prune_summary", plan_document(PrunePlan().summary(dry_run=True))),
        ("changed", changed_document(bytes(32), None)),
        ("lost", loss_document(Loss("", bytes(32), b"/a", bytes(32)))),
        ("lost", repair.index_document(IndexRepair())),
        ("lost", repair.packs_document(PacksRepair())),
        ("copied", copy.snapshot_document("copied", bytes(32), bytes(32))),
        ("copied", copy.summary_document(CopyProgress())),
        ("copied", copy.status_document(CopyProgress(), 1.0, Pace())),
        ("jobs_status", job_words.status_document(RUNNING)),
        ("jobs_status", job_words.member_document(MEMBER)),
        ("jobs_status", run_words.run_status_document(RUN)),
        ("job", run_words.run_document(RUN)),
        ("job", job_words.job_document(RUNNING)),
        ("job", job_words.job_document(ENDED)),
        ("certificate", {**cluster.certificate_document(CERTIFICATE), "file": "nas.join"}),
    ],
)
def test_every_field_is_documented(heading: str, document: dict[str, Any]) -> None:
    said = section(JSON, heading)
    assert [field for field in fields(document) if field != "message_type" and f"`{field}`" not in said] == []


@pytest.mark.parametrize(
    "document",
    [
        verify_summary(VerifyResult(StoredSnapshot(bytes(32), Snapshot(time="", tree=bytes(32), paths=[])), "")),
        difference_document(Difference(b"\xff", "changed", "file", {"mode": ("0", "1")}, below=1, silent=True)),
        difference_document(Difference(b"a", "unreadable", reason="why")),
    ],
    ids=lambda document: str(document["message_type"]),
)
def test_every_field_of_verify_is_documented(document: dict[str, Any]) -> None:
    known = {"message_type", "snapshot_id", "subpath", "mode"}
    assert [field for field in fields(document) if field not in known and f"`{field}`" not in VERIFY] == []


def test_verify_ignores_what_the_operation_can() -> None:
    (ignore,) = (param for param in verify.command.params if param.name == "ignore")
    assert isinstance(ignore.type, click.Choice)
    assert tuple(ignore.type.choices) == IGNORABLE


def test_a_running_job_in_words() -> None:
    text = "\n".join(job_words.status_lines(RUNNING, now=1e9 + 5))
    for words in (
        'backup of "/data/\\xff" to /repository',
        "running by process 7",
        "last progress 0:05 ago",
        "104 files",
        "1 could not be read",
        "1 directory in progress, 3 to do",
        "thread 0: fills a batch with 30 files, 400 B; last at /data/x",
        "5 batches of 5.859 KiB: 1 in progress, 4 waiting",
        "member  vm (host h, process 7): 2 workers",
        "batch 9: in progress, attempt 2, worker 1: 4 of 10 files, 700 B of 1000 B",
    ):
        assert words in text


def test_a_restore_of_a_masters_in_words() -> None:
    text = "\n".join(run_words.run_report(RUN, [(b"/b", "damaged")], now=1e9 + 5))
    for words in (
        "job 20260103-030405-abcdef: restore from /repository to /target",
        "running, submitted",
        "last progress 0:05 ago",
        "8 entries, 60 B; 1 error",
        "1 worker, 2 batches",
        "3 entries, 4 B",
        "/b: damaged",
        "nas-2 left",
    ):
        assert words in text
    assert run_words.run_state_of(replace(RUN, is_running=False)) == "waiting"


@pytest.mark.parametrize(
    ("kind", "counters", "words"),
    [
        ("restore", {"files_restored": 7, "files_skipped": 1, "bytes_restored": 5}, "7 restored, 1 skipped, 0 deleted"),
        ("check", {"snapshots": 1, "trees": 2, "packs": 3, "packs_read": 3, "bytes_read": 9}, "3 packs of 9 B read"),
        ("prune", {"packs_kept": 5, "packs_repacked": 2, "packs_removed": 1, "bytes_freed": 7}, "1 removed; 7 B freed"),
        ("verify", {"files_compared": 5, "bytes_compared": 9, "differences": 1}, "5 files, 9 B; 1 difference"),
    ],
)
def test_what_an_ended_job_without_a_snapshot_came_to(kind: str, counters: dict[str, int], words: str) -> None:
    text = "\n".join(job_words.job_lines(replace(ENDED, kind=kind, counters=counters), []))
    assert words in text


def test_an_ended_job_in_words() -> None:
    text = "\n".join(job_words.job_lines(ENDED, [(b"/a\nb", "permission denied")]))
    assert "closed; started" in text
    assert "after 1:00" in text
    assert "too old" in text
    assert '"/a\\nb": permission denied' in text


def test_times_are_rfc_3339() -> None:
    assert job_words.json_time(None) is None
    assert job_words.json_time(time.time()) is not None
    assert job_words.json_time(1e9 + 0.5) == "2001-09-09T01:46:40.5Z"
