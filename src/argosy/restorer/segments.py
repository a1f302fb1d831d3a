"""A piece of a large file: its blobs written, or compared, into a file that the master has prepared."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from argosy.errors import Damaged
from argosy.filesystem.sparse import write_at
from argosy.repository.opening import BlobContent
from argosy.restorer.blob_fetching import BlobFetcher, WantedBlobs
from argosy.restorer.content import BlobPlaces, split_ids
from argosy.restorer.directories import TargetDirectories
from argosy.restorer.existing import Extent, holds, open_to_read, open_to_update
from argosy.restorer.file_jobs import FAILURES
from argosy.restorer.holes import punch_hole
from argosy.restorer.locations import location_of
from argosy.restorer.messages import RestoreSettings, Segment, SegmentResult
from argosy.restorer.target import reason_of, refuse_full


class SegmentRestorer:
    """Restores segments one by one."""

    def __init__(
        self,
        places: BlobPlaces,
        fetcher: BlobFetcher,
        directories: TargetDirectories,
        settings: RestoreSettings,
        target: bytes,
    ) -> None:
        self._places = places
        self._fetcher = fetcher
        self._directories = directories
        self._target = target
        self._sparse = settings.sparse
        # A dry run compares alone.
        self._open = open_to_read if settings.dry_run else partial(open_to_update, shared=settings.is_shared)
        self._dry_run = settings.dry_run

    def run(self, segment: Segment, show: Callable[[int, int], None]) -> SegmentResult:
        """Write what is not there yet. RestoreError if the target is full, StorageError if the store fails."""
        location = location_of(segment.path, segment.shown)
        try:
            fd = self._open(self._directories.get(segment.path).fd, segment.name)
            try:
                return self._write(segment, fd, show)
            finally:
                os.close(fd)  # network file systems tell of a full disk only now
        except FAILURES as error:
            refuse_full(error, self._target, location)
            return SegmentResult(segment.file, reason=reason_of(error))

    def _write(self, segment: Segment, fd: int, show: Callable[[int, int], None]) -> SegmentResult:
        wanted: WantedBlobs[int] = WantedBlobs()
        missing: list[str] = []
        sparse, compare = self._sparse, segment.compare
        done = written = 0
        content = self._places.content(split_ids(segment.ids))
        offset = segment.offset
        for blob_id, place, length in zip(content.ids, content.places, content.lengths, strict=True):
            if not (compare and holds(fd, Extent(blob_id, offset, length))):
                wanted.add(blob_id, place, offset)
                written += 1
            offset += length

        def take(at: int, data: BlobContent) -> None:
            nonlocal done
            # What a file that existed holds there has to go before zeros can be left out.
            zeros = sparse and (not compare or punch_hole(fd, at, len(data)))
            write_at(fd, data, at, sparse=zeros)
            done += len(data)
            show(0, done)

        if self._dry_run:
            return SegmentResult(segment.file, content.size, written > 0)
        self._fetcher.deliver(wanted, take, lambda _offset, reason: missing.append(reason))
        if missing:
            raise Damaged(missing[0])
        return SegmentResult(segment.file, content.size, written > 0)
