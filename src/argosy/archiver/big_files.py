"""Files that several workers read in segments: join their results, or have them read again (R9)."""

from __future__ import annotations

import os
import stat as stat_module
from collections import defaultdict

from argosy.archiver.ledger import Ledger
from argosy.archiver.messages import GONE, READ, SEGMENT_BYTES, UNREAD, Segment, SegmentResult, decode, encode
from argosy.archiver.returning import look_again, return_entry
from argosy.filesystem.directory import Entry
from argosy.restic_format.ids import ID_BYTES
from argosy.restic_format.node import finish_file
from argosy.state.frontier import ScanDirectory

_MOST_TRIES = 2


class BigFiles:
    """Collects segment results in the checkpoint database; a file's node is made once all are there."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._there: defaultdict[int, set[int]] = defaultdict(set)
        self._whole: list[Segment] = []

    def load(self) -> None:
        """After a crash: which segments of which files are there."""
        for (result,) in self._ledger.job.read("SELECT result FROM segments"):
            self._note(decode(result, SegmentResult).segment)

    def add(self, result: SegmentResult) -> None:
        """Note one segment (the mutex is held)."""
        segment = result.segment
        self._ledger.job.journal(
            "INSERT OR REPLACE INTO segments VALUES (?, ?, ?)", (segment.sealing, segment.index, encode(result))
        )
        self._note(segment)

    def _note(self, segment: Segment) -> None:
        there = self._there[segment.sealing]
        there.add(segment.index)
        if len(there) == segment.count:
            self._whole.append(segment)

    def join(self) -> None:
        """Make the nodes of the files whose segments are all there."""
        while self._whole:
            segment = self._whole.pop()
            # The results are read back from the database: a file of terabytes has too many to keep in memory.
            self._ledger.job.commit()
            self._join(segment)

    def _join(self, segment: Segment) -> None:
        ledger, sealing = self._ledger, segment.sealing
        rows = ledger.job.read("SELECT result FROM segments WHERE sealing = ? ORDER BY segment", (sealing,))
        results = [decode(row[0], SegmentResult) for row in rows]
        with ledger.job.mutex:
            del self._there[sealing]
            ledger.job.journal("DELETE FROM segments WHERE sealing = ?", (sealing,))
            troubles = [result for result in results if result.fate != READ]
            if not troubles and _agree(results):
                content = b"".join(result.content for result in results)
                ids = [content[at : at + ID_BYTES] for at in range(0, len(content), ID_BYTES)]
                run = ledger.encode_run([segment.name], [finish_file(results[0].head, ids)])
                ledger.assemblies.add_part(segment.directory_id, run)
            else:
                size = sum(result.length for result in results)
                ledger.state.count(total_files_processed=-1, total_bytes_processed=-size)
                self._without_node(segment, troubles)
            ledger.assemblies.settle(segment.directory_id)

    def _without_node(self, segment: Segment, troubles: list[SegmentResult]) -> None:
        """Read it again, or account for its absence once, though each segment may have met it."""
        ledger = self._ledger
        fates = {result.fate for result in troubles}
        if UNREAD in fates:
            reason = next(result.reason for result in troubles if result.fate == UNREAD)
            ledger.reports.unread(segment.path + b"/" + segment.name, reason)
            ledger.state.count(unread=1)
        elif GONE in fates:
            ledger.state.count(vanished=1)
        else:
            self._again(segment)

    def _again(self, segment: Segment) -> None:
        """It changed while its segments were read: all of them again, and at last in sequence by one worker."""
        ledger = self._ledger
        seen = look_again(segment.path, segment.name)
        if isinstance(seen, OSError) or not stat_module.S_ISREG(seen.st_mode) or seen.st_size <= SEGMENT_BYTES:
            return_entry(ledger, segment.directory_id, segment.path, segment.name, seen, segment.tries + 1)
            return
        if segment.tries < _MOST_TRIES:
            directory = ScanDirectory(segment.directory_id, 0, b"", segment.path, None)
            ledger.seal_big_file(directory, Entry(segment.name, seen), through=False, tries=segment.tries + 1)
            return
        path = os.fsdecode(segment.path + b"/" + segment.name)
        ledger.reports.log(f"{path} kept changing while it was read; it was read once in sequence")
        ledger.seal_in_sequence(segment, seen)


def _agree(results: list[SegmentResult]) -> bool:
    """Whether all segments saw the same file, before and after, and their lengths are its size."""
    head = results[0].head
    if any(result.head != head or result.after != head for result in results):
        return False
    return len(results) == 1 or b',"size":%d,' % sum(result.length for result in results) in head
