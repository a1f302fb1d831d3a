"""Files that several workers read in segments: join their results, or have them read again (R9)."""

from __future__ import annotations

import os
from collections import defaultdict

from argosy.archiver.ledger import Ledger
from argosy.archiver.messages import BatchWork, Segment, SegmentResult, decode, encode
from argosy.filesystem.directory import Entry
from argosy.restic_format.ids import ID_BYTES
from argosy.restic_format.node import finish_file
from argosy.state.frontier import ScanDirectory

_MOST_TRIES = 2

_Key = tuple[int, bytes]


class BigFiles:
    """Collects segment results in the checkpoint database; a file's node is made once all are there."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._there: defaultdict[_Key, set[int]] = defaultdict(set)
        self._whole: list[Segment] = []

    def load(self) -> None:
        """After a crash: which segments of which files are there."""
        for directory_id, name, index, result in self._ledger.job.read(
            "SELECT directory_id, name, segment, result FROM segments"
        ):
            key = (directory_id, name)
            self._there[key].add(index)
            segment = decode(result, SegmentResult).segment
            if len(self._there[key]) == segment.count:
                self._whole.append(segment)

    def add(self, result: SegmentResult) -> None:
        """Note one segment (the mutex is held)."""
        segment = result.segment
        key = (segment.directory_id, segment.name)
        self._ledger.job.journal(
            "INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?)", (*key, segment.index, encode(result))
        )
        self._there[key].add(segment.index)
        if len(self._there[key]) == segment.count:
            self._whole.append(segment)

    def join(self) -> None:
        """Make the nodes of the files whose segments are all there."""
        while self._whole:
            segment = self._whole.pop()
            # The results are read back from the database: a file of terabytes has too many to keep in memory.
            self._ledger.job.commit()
            self._join(segment)

    def _join(self, segment: Segment) -> None:
        ledger, key = self._ledger, (segment.directory_id, segment.name)
        rows = ledger.job.read("SELECT result FROM segments WHERE directory_id = ? AND name = ? ORDER BY segment", key)
        results = [decode(row[0], SegmentResult) for row in rows]
        with ledger.job.mutex:
            del self._there[key]
            ledger.job.journal("DELETE FROM segments WHERE directory_id = ? AND name = ?", key)
            if all(result.head for result in results):
                if not _agree(results):
                    self._again(segment)
                else:
                    content = b"".join(result.content for result in results)
                    ids = [content[at : at + ID_BYTES] for at in range(0, len(content), ID_BYTES)]
                    run = ledger.encode_run([segment.name], [finish_file(results[0].head, ids)])
                    ledger.assemblies.add_part(segment.directory_id, run)
            ledger.assemblies.settle(segment.directory_id)

    def _again(self, segment: Segment) -> None:
        """It changed while its segments were read: all of them again, and at last in sequence by one worker."""
        ledger = self._ledger
        path = segment.path + b"/" + segment.name
        try:
            stat = os.lstat(path)
        except OSError:
            ledger.state.count(vanished=1)
            return
        if segment.tries < _MOST_TRIES:
            directory = ScanDirectory(segment.directory_id, 0, b"", segment.path, None)
            ledger.seal_big_file(directory, Entry(segment.name, stat), through=False, tries=segment.tries + 1)
            return
        ledger.reports.log(f"{os.fsdecode(path)} kept changing while it was read; it was read once in sequence")
        ledger.assemblies.expect(segment.directory_id, 1)
        alone = Segment(
            segment.directory_id, segment.path, segment.name, stat.st_dev, stat.st_ino, stat.st_size, 0, 1, 0
        )
        work = BatchWork(ledger.roots, {}, {}, [], [alone], [])
        ledger.queue.enqueue(encode(work), 1, stat.st_size)


def _agree(results: list[SegmentResult]) -> bool:
    """Whether all segments saw the same file, before and after, and their lengths are its size."""
    head = results[0].head
    if any(result.head != head or result.after != head for result in results):
        return False
    return len(results) == 1 or b',"size":%d,' % sum(result.length for result in results) in head
