"""Batches that cost worker after worker: narrowed down by halves, until one entry is left and is set aside.

So a file whose reading kills its reader (a fault in a library, memory that runs out) costs the backup this one file,
which is named as unread, and some workers: after MOST_FAILURES for the batch, one a halving, two more for the verdict.
"""

from __future__ import annotations

import os

from argosy.archiver.cutting import replace_by_halves
from argosy.archiver.halving import Halves, entries_of, halve
from argosy.archiver.ledger import Ledger
from argosy.archiver.messages import (
    UNREAD,
    BatchResult,
    BatchWork,
    DirectoryPart,
    PartResult,
    SegmentResult,
    decode,
)
from argosy.archiver.results import Results
from argosy.errors import EngineError
from argosy.state.queue import Batch

MOST_FAILURES = 3
"""So many attempts of a batch may fail before it is cut, set aside, or its files that fail are named."""

_OF_A_HALF = MOST_FAILURES - 1
"""Suspicions that a half begins with: cutting a good batch costs nothing, so it is cut at the next loss."""

_OF_ONE_ENTRY = 1
"""The same for a half that is one entry: what is left out of a snapshot was tried alone more than once."""

MOST_IN_A_ROW = 100
"""So many batches cut or set aside while none is completed: then the files are not what is wrong."""


class Suspects:
    """Cuts batches, and sets aside what cannot be cut. Used by the coordinator alone."""

    def __init__(self, ledger: Ledger, results: Results) -> None:
        self._ledger = ledger
        self._results = results
        self._in_a_row = 0

    def completed(self) -> None:
        """A batch was completed: workers can work."""
        self._in_a_row = 0

    def narrow(self, batch: Batch, reason: str) -> None:
        """The batch waits again after it was suspected too often, last because of ``reason``.

        Raises EngineError where nothing but this happens.
        """
        self._in_a_row += 1
        if self._in_a_row > MOST_IN_A_ROW:
            raise EngineError(
                f"batch after batch fails, and none is completed: {reason}",
                hint="Solve what it names, then run the same command again: it goes on. 'argosy logs' tells more.",
            )
        payload = self._ledger.queue.payload(batch.seq)
        assert payload is not None, f"batch {batch.seq} waits and has no row"
        work = decode(payload, BatchWork)
        # A lost worker's last lines are in the job's log already.
        reason = reason.partition("\n")[0].removesuffix("; its last lines:")
        halves = halve(work)
        if halves is None:
            self._set_aside(batch, work, reason)
        else:
            self._split(batch, halves, reason)

    def _split(self, batch: Batch, halves: Halves, reason: str) -> None:
        ledger, suspicions = self._ledger, (_suspicions(halves.first), _suspicions(halves.second))
        with ledger.job.mutex:
            first, second = replace_by_halves(ledger, batch, halves, suspicions)
            ledger.reports.log(f"batch {batch.seq} failed again and again ({reason}): now batches {first} and {second}")

    def _set_aside(self, batch: Batch, work: BatchWork, reason: str) -> None:
        """Take a result in which its entry could not be read."""
        why = f"set aside, since every attempt to read it failed: {reason}"
        parts = [self._without_entries(part) for part in work.parts]
        unread = [(path, why) for part in work.parts for path in _paths(part)]
        segments = [SegmentResult(segment, b"", b"", 0, b"", UNREAD, why) for segment in work.segments]
        links = [(link, b"") for link in work.link_firsts]
        # As a worker counts a big file: with its first segment, read or not.
        files = sum(segment.index == 0 for segment in work.segments)
        named = [path for path, _ in unread] + [segment.path + b"/" + segment.name for segment in work.segments]
        self._ledger.reports.log(f"batch {batch.seq} was set aside: {', '.join(map(os.fsdecode, named))}: {reason}")
        self._results.apply(
            batch.seq, batch.attempt, batch.member or "", BatchResult(parts, segments, links, unread, files=files)
        )

    def _without_entries(self, part: DirectoryPart) -> PartResult:
        """As of a part whose entries all failed; a directory without entries failed itself."""
        return PartResult(
            part.directory_id,
            part.parent_id,
            part.name,
            part.prefix,
            nodes=self._ledger.encode_run([], []),
            was_whole=part.whole,
            path=part.path,
            tries=part.tries,
            left_out=not part.names,
        )


def _suspicions(half: BatchWork) -> int:
    return _OF_ONE_ENTRY if entries_of(half) == 1 else _OF_A_HALF


def _paths(part: DirectoryPart) -> list[bytes]:
    return [part.path + b"/" + name for name in part.names] or [part.path]
