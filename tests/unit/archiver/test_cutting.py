"""Batches that are cut so that all members of a job end together."""

from __future__ import annotations

import pytest

from argosy.archiver.cutting import MASTER_BATCH_SECONDS, SMALLEST_WEIGHT, TailCutter, is_too_large, smallest_weight
from argosy.archiver.ledger import Ledger
from argosy.archiver.messages import BatchWork, DirectoryPart, decode
from argosy.archiver.open_batch import BatchLimits, OpenBatch
from argosy.filesystem.directory import Entry
from argosy.state.queue import Batch
from tests.unit.archiver.conftest import DEVICE, DIRECTORY, pending, prefix_of, stat_of, taken

MIB = 1 << 20


@pytest.mark.parametrize(
    ("weight", "remaining", "workers", "expected"),
    [
        (16 * MIB, 1000 * MIB, 4, False),
        (16 * MIB, 200 * MIB, 4, True),
        (16 * MIB, 200 * MIB, 2, False),
        (2 * SMALLEST_WEIGHT - 1, SMALLEST_WEIGHT, 100, False),
        (2 * SMALLEST_WEIGHT, 2 * SMALLEST_WEIGHT, 2, True),
    ],
)
def test_a_batch_is_too_large_for_what_is_left_of_the_job(
    weight: int, remaining: int, workers: int, expected: bool
) -> None:
    assert is_too_large(weight, remaining, workers) == expected


def test_with_hundreds_of_workers_batches_stay_as_large_as_the_master_can_hand_out() -> None:
    """All workers together take no more batches a second than the master has time for."""
    workers, weight_a_second = 400, 50 * MIB
    least = smallest_weight(workers, weight_a_second)
    assert workers * weight_a_second / least <= 1 / MASTER_BATCH_SECONDS * 1.001
    assert not is_too_large(2 * least - 1, 2 * least, workers, least)
    assert is_too_large(2 * least, 2 * least, workers, least)


def test_few_workers_or_slow_ones_share_what_is_small() -> None:
    assert smallest_weight(8, 5 * MIB) == SMALLEST_WEIGHT
    assert smallest_weight(400, 0.0) == SMALLEST_WEIGHT


def seal(ledger: Ledger, name: bytes, *sizes: int) -> None:
    """A batch with a directory that is whole."""
    directory = taken(ledger, name)
    prefix = prefix_of(Entry(name, stat_of(DIRECTORY)))
    part = DirectoryPart(directory.id, directory.parent_id, name, directory.path, prefix, DEVICE, whole=True)
    batch = OpenBatch(BatchLimits())
    batch.parts.append(part)
    for number, size in enumerate(sizes):
        batch.add(part, Entry(b"%d" % number, stat_of(size=size)))
    batch.ended.append(directory)
    ledger.seal(batch, None)
    ledger.job.commit()


def lease(ledger: Ledger) -> tuple[Batch, bytes]:
    leased = ledger.queue.lease()
    assert leased is not None
    return leased


def test_the_last_batches_are_cut_until_they_are_small(ledger: Ledger) -> None:
    """The halves take its place with all its entries, once they are durable."""
    seal(ledger, b"d", *[MIB] * 16)
    cutter, handed = TailCutter(ledger), []
    while ledger.queue.waiting:
        ledger.job.commit()
        batch, payload = lease(ledger)
        if not cutter.cut(batch, payload, workers=4):
            handed.append((batch, decode(payload, BatchWork)))
    assert all(SMALLEST_WEIGHT <= batch.bytes < 3 * SMALLEST_WEIGHT for batch, _ in handed)
    assert [name for _, work in handed for part in work.parts for name in part.names] == [b"%d" % n for n in range(16)]
    assert ledger.queue.remaining() == (16, 16 * MIB)
    assert pending(ledger, handed[0][1].parts[0].directory_id) == len(handed)


def test_what_quick_workers_are_done_with_at_once_is_not_cut(ledger: Ledger) -> None:
    seal(ledger, b"d", *[MIB] * 16)
    cutter = TailCutter(ledger)
    batch, payload = lease(ledger)
    assert not cutter.cut(batch, payload, workers=400, weight_a_second=50 * MIB)
    assert cutter.cut(batch, payload, workers=400, weight_a_second=MIB)


def test_one_file_is_not_cut_and_a_suspect_stays_one(ledger: Ledger) -> None:
    cutter = TailCutter(ledger)
    seal(ledger, b"one", 100 * MIB)
    assert not cutter.cut(*lease(ledger), workers=4)
    seal(ledger, b"two", 50 * MIB, 50 * MIB)
    batch, payload = lease(ledger)
    batch.suspicions = 2
    assert cutter.cut(batch, payload, workers=4)
    ledger.job.commit()
    assert [lease(ledger)[0].suspicions for _ in range(2)] == [2, 2]
