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

_BATCHES_A_WORKER = 4
"""So many batches each worker is to have before it at any moment: one in work, one beside it, and some to share."""


def weight_of(files: int, size_bytes: int) -> int:
    """How much work so many files of so many bytes together are, in bytes."""
    return size_bytes + files * FILE_BYTES


def is_too_large(weight: int, remaining: int, workers: int) -> bool:
    """Whether a batch is to be shared, so that ``workers`` with so much work left between them end together."""
    return weight >= 2 * SMALLEST_WEIGHT and weight * workers * _BATCHES_A_WORKER > remaining


class TailCutter:
    """Makes batches smaller toward the end of a job. Used by the coordinator alone."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def cut(self, batch: Batch, payload: bytes, workers: int) -> bool:
        """Put two halves in the place of a batch that was just leased, if that helps; else False."""
        if not is_too_large(weight_of(batch.files, batch.bytes), weight_of(*self._ledger.queue.remaining()), workers):
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
