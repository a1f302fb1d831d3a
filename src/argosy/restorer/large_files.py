"""Large files: prepared and finished by the master, written by several workers at once, a segment each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from argosy.restic_format.node import Node
from argosy.restorer.content import BlobPlaces
from argosy.restorer.cuts import Cuts
from argosy.restorer.directories import TargetDirectories, Unreachable
from argosy.restorer.existing import Look, first_look, must_be_replaced
from argosy.restorer.file_jobs import FAILURES, FileJob, FileRestorer
from argosy.restorer.ledger import LedgerEntry
from argosy.restorer.messages import RestoreSettings, Segment, SegmentResult
from argosy.restorer.overwrite import Verdict
from argosy.restorer.target import refuse_full

# Blobs looked up at a time: of restic's cuts these make up one segment at most.
_IDS_AT_ONCE = 8
# restic's and Argosy's chunks have 8 MiB at most.
_PLAUSIBLE_BLOB_BYTES = 8 * 1024 * 1024


class LargeFileTools(msgspec.Struct):
    """What large files are prepared and finished with. ``over`` is called with each at its end."""

    places: BlobPlaces
    directories: TargetDirectories
    files: FileRestorer
    settings: RestoreSettings
    target: bytes
    cuts: Cuts
    over: Callable[[LargeFile], None]


class LargeFile:
    """One large file. ``number`` is what further names of it wait for."""

    def __init__(self, number: int, entry: LedgerEntry, name: bytes, node: Node, tools: LargeFileTools) -> None:
        self.number = number
        self.entry = entry
        self.name = name
        self.node = node
        self.done: list[tuple[int, bytes]] = []
        self.done_bytes = 0
        self._tools = tools
        self._job: FileJob | None = None
        self._segments: Iterator[Segment] = self._cut()
        self._awaited = 1
        self._written = False
        self._reason = ""

    @property
    def is_restored(self) -> bool:
        """Whether its content was written, all of it, by the time that it is over."""
        return self._written and not self._reason

    def next_segment(self) -> Segment | None:
        """The next piece of work; None if all has been handed out, or there is nothing to do."""
        if self._awaited and not self._reason:
            segment = next(self._segments, None)
            if segment is not None:
                self._awaited += 1
                return segment
        self._settle()
        return None

    def segment_done(self, segment: Segment, result: SegmentResult) -> None:
        """A segment came back."""
        self._reason = self._reason or result.reason
        self._written = self._written or result.written
        self.done.append((segment.offset, segment.ids))
        self.done_bytes += result.size_bytes
        self._settle()

    def _settle(self) -> None:
        self._awaited -= 1
        if self._awaited:
            return
        if self._job is not None and not self._job.over:
            self._finish(self._job)
        self._tools.over(self)

    def _cut(self) -> Iterator[Segment]:
        """Prepare the file, then yield its segments; yields nothing where it can be finished at once."""
        tools = self._tools
        job = FileJob(0, self.entry.path, self.name, self.node, self.node.size, Look(Verdict.NEW), 0)
        self._job = job
        try:
            ids = self.node.content_ids()
            job.look = self._look()
            if job.look.verdict >= Verdict.UNCHANGED:
                return
            dry = tools.settings.dry_run
            if dry and job.look.verdict is not Verdict.UPDATE:
                self._written = True
                return
            name, compare = (self.name, True) if dry else tools.files.begin(job, room=self._plausible_bytes(ids))
            # A file that is new, and an existing one that is too long, differ even if no blob is missing.
            self._written = job.created or job.look.stat is None or job.look.stat.st_size != self.node.size
            yield from self._segments_of(ids, name, compare)
        except FAILURES as error:
            refuse_full(error.cause if isinstance(error, Unreachable) else error, tools.target, job.location)
            self._reason = str(error)

    def _segments_of(self, ids: list[bytes], name: bytes, compare: bool) -> Iterator[Segment]:
        start = offset = 0
        joined = b""
        for at in range(0, len(ids), _IDS_AT_ONCE):
            content = self._tools.places.content(ids[at : at + _IDS_AT_ONCE])
            joined += b"".join(content.ids)
            offset += content.size
            if offset - start >= self._tools.cuts.segment_bytes:
                yield self._segment(name, start, joined, compare)
                start, joined = offset, b""
        if joined:
            yield self._segment(name, start, joined, compare)
        if offset != self.node.size and self._job is not None:
            self._job.size = offset
            self._tools.files.report_size(self._job)

    def _plausible_bytes(self, ids: list[bytes]) -> int:
        """The file's size, or 0 if so few blobs can hardly make it up: a node may say anything."""
        return self.node.size if self.node.size <= len(ids) * _PLAUSIBLE_BLOB_BYTES else 0

    def _segment(self, name: bytes, offset: int, ids: bytes, compare: bool) -> Segment:
        return Segment(self.number, self.entry.path, name, self.name, offset, ids, compare)

    def _look(self) -> Look:
        tools, node = self._tools, self.node
        overwrite = tools.settings.overwrite
        try:
            directory = tools.directories.get(self.entry.path)
        except FileNotFoundError:  # a dry run, and the directory would be made
            return Look(Verdict.NEW)
        found = first_look(
            directory.fd,
            self.name,
            overwrite=overwrite,
            mtime_ns=node.mtime_ns(),
            links=node.links,
            size_bytes=node.size,
        )
        if isinstance(found, Look):
            return found
        if must_be_replaced(directory.fd, self.name, found, overwrite):
            return Look(Verdict.REPLACE, found)
        return Look(Verdict.UPDATE, found)

    def _finish(self, job: FileJob) -> None:
        files = self._tools.files
        if self._reason:
            files.give_up(job, self._reason)
        elif job.look.verdict is Verdict.KEPT:
            files.keep(job)
        elif self._tools.settings.dry_run or not self._written:
            if not self._written:
                job.look.verdict = Verdict.UNCHANGED
            files.finish_without_content(job)
        else:
            files.complete(job)
