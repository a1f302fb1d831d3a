"""Packs that a proxy has stored and no master has recorded: reported again for the same job, if they are there."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from argosy.archiver.messages import Notice, PackReport, WorkerSetup, decode, encode
from argosy.daemon.leftover_packs import LeftoverPacks
from argosy.operations.backup.handler import HANDLER as BACKUP
from argosy.operations.check.handler import HANDLER as CHECK
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.pack import encode_header
from tests.support.backups import Scene
from tests.unit.daemon.test_fitting import setup_for


@pytest.fixture
def setup(tmp_path: Path) -> bytes:
    return encode(setup_for(Scene(tmp_path / "scene").init()))


@pytest.fixture
def reports(setup: bytes) -> list[bytes]:
    """Of two packs that are in the repository, with other bytes than any pack has."""
    repository = Path(decode(setup, WorkerSetup).location)
    found = []
    for number in (1, 2):
        identity = bytes([number]) * 32
        path = repository / "data" / identity.hex()[:2] / identity.hex()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * number)
        header = encode_header([PackedBlob(bytes([blob]) * 32, BlobType.DATA, 0, 100) for blob in (number, 9)])
        found.append(encode(PackReport(identity, number, header)))
    return found


def taken(leftovers: LeftoverPacks, setup: bytes) -> list[bytes]:
    return [leftover.report for leftover in leftovers.take(BACKUP, setup)]


def of_job(setup: bytes, job: str) -> bytes:
    return encode(msgspec.structs.replace(decode(setup, WorkerSetup), job_id=job))


def test_reports_of_the_same_job_come_once(setup: bytes, reports: list[bytes]) -> None:
    leftovers = LeftoverPacks()
    for report in reports:
        leftovers.keep(BACKUP, setup, [report])
    leftovers.keep(BACKUP, setup, [])
    assert taken(leftovers, setup) == reports
    assert taken(leftovers, setup) == []


def test_the_workers_are_told_of_the_blobs(setup: bytes, reports: list[bytes]) -> None:
    leftovers = LeftoverPacks()
    leftovers.keep(BACKUP, setup, reports)
    told = [decode(leftover.notice, Notice) for leftover in leftovers.take(BACKUP, setup)]
    assert told == [Notice(blob_ids=bytes([number]) * 32 + bytes([9]) * 32) for number in (1, 2)]


def test_a_pack_that_is_gone_or_has_another_size_is_not_reported(setup: bytes, reports: list[bytes]) -> None:
    leftovers = LeftoverPacks()
    gone, cut = PackReport(bytes(32), 1, b""), PackReport(bytes([2]) * 32, 7, b"")
    leftovers.keep(BACKUP, setup, [encode(gone), encode(cut), reports[0]])
    assert taken(leftovers, setup) == reports[:1]


def test_reports_of_another_job_are_dropped_for_it(setup: bytes, reports: list[bytes]) -> None:
    leftovers = LeftoverPacks()
    leftovers.keep(BACKUP, setup, reports)
    assert taken(leftovers, of_job(setup, "job-2")) == []
    leftovers.keep(BACKUP, of_job(setup, "job-2"), reports[:1])
    assert taken(leftovers, setup) == []
    assert taken(leftovers, of_job(setup, "job-2")) == reports[:1]


def test_a_check_leaves_nothing(setup: bytes) -> None:
    leftovers = LeftoverPacks()
    leftovers.keep(CHECK, b"a check's setup", [b"whatever"])
    assert leftovers.take(CHECK, b"a check's setup") == []
    assert taken(leftovers, setup) == []
