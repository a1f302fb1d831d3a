"""Cutting a batch in two: when it is too large for what is left of a job, and what takes its place in the queue."""

from __future__ import annotations

from argosy.archiver.halving import Halves, halve
from argosy.archiver.ledger import Ledger
from argosy.archiver.messages import BatchWork, decode, encode
from argosy.state.assemblies import Assembly
from argosy.state.queue import Batch

FILE_BYTES = 32 * 1024
"""So many bytes weigh as much as a file's own cost: over a network its calls take milliseconds, whatever its size."""

SMALLEST_WEIGHT = 2 << 20
"""What weighs less is not cut: half a second's work over a link of 40 Mbit/s, or 64 empty files."""

MASTER_BATCH_SECONDS = 0.005
"""What the master spends on a batch (benchmarks/master_cost.py). Batches that keep a worker for less than all workers'
batches take the master together would wait for it, in their hundreds: toward the end, when it counts."""

_BATCHES_A_WORKER = 4
"""So many batches each worker is to have before it at any moment: one in work, one beside it, and some to share."""


def weight_of(files: int, size_bytes: int) -> int:
    """How much work so many files of so many bytes together are, in bytes."""
    return size_bytes + files * FILE_BYTES


def smallest_weight(workers: int, weight_a_second: float) -> int:
    """What is not cut where so many workers do so much each: what the master can hand out as fast as they take it."""
    return max(SMALLEST_WEIGHT, int(workers * MASTER_BATCH_SECONDS * weight_a_second))


def is_too_large(weight: int, remaining: int, workers: int, smallest: int = SMALLEST_WEIGHT) -> bool:
    """Whether a batch is to be shared, so that ``workers`` with so much work left between them end together."""
    return weight >= 2 * smallest and weight * workers * _BATCHES_A_WORKER > remaining


class TailCutter:
    """Makes batches smaller toward the end of a job. Used by the coordinator alone."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def cut(self, batch: Batch, payload: bytes, workers: int, weight_a_second: float = 0.0) -> bool:
        """Put two halves in the place of a batch that was just leased, if that helps; else False.

        ``weight_a_second`` is what a worker does, 0 while nothing is known of that.
        """
        weight, remaining = weight_of(batch.files, batch.bytes), weight_of(*self._ledger.queue.remaining())
        if not is_too_large(weight, remaining, workers, smallest_weight(workers, weight_a_second)):
            return False
        halves = halve(decode(payload, BatchWork))
        if halves is None:
            return False
        replace_by_halves(self._ledger, batch, halves, (batch.suspicions, batch.suspicions))
        return True


def replace_by_halves(ledger: Ledger, batch: Batch, halves: Halves, suspicions: tuple[int, int]) -> list[int]:
    """Two batches take its place, in one transaction: their numbers. A late result of it finds it gone and counts for
    nothing. ``suspicions`` are what each half begins with.
    """
    with ledger.job.mutex:
        ledger.queue.complete(batch.seq, batch.attempt)
        cut = halves.cut
        if cut is not None and cut.whole:
            # No worker has all its entries any more, so the master joins them.
            ledger.assemblies.open(Assembly(cut.directory_id, cut.parent_id, cut.name, cut.prefix))
        if cut is not None:
            ledger.assemblies.expect(cut.directory_id, 1)
        both = zip((halves.first, halves.second), suspicions, strict=True)
        return [_enqueue(ledger, half, suspected) for half, suspected in both]


def _enqueue(ledger: Ledger, half: BatchWork, suspicions: int) -> int:
    files = sum(len(part.names) for part in half.parts)
    size = sum(sum(part.sizes) for part in half.parts)
    return ledger.queue.enqueue(encode(half), files, size, suspicions=suspicions)
