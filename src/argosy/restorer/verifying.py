"""Reading restored files again and comparing them with the blobs' hashes (``--verify``)."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from argosy.errors import Damaged
from argosy.restorer.content import BlobPlaces, Content, split_ids
from argosy.restorer.directories import TargetDirectories
from argosy.restorer.existing import Extent, holds, open_to_read
from argosy.restorer.file_jobs import FAILURES
from argosy.restorer.locations import location_of
from argosy.restorer.messages import Outcome, VerifyWork
from argosy.restorer.target import reason_of
from argosy.restorer.tree_nodes import decode_nodes, usable_name


class Verifier:
    """Verifies batches one by one; nothing is written."""

    def __init__(self, places: BlobPlaces, directories: TargetDirectories) -> None:
        self._places = places
        self._directories = directories

    def run(self, work: VerifyWork, show: Callable[[int, int], None]) -> Outcome:
        """Every file that differs is an error in the outcome."""
        outcome = Outcome()
        for part in work.parts:
            for node in decode_nodes(part.tree)[0]:
                name = usable_name(node.name) or b""
                try:
                    content = self._places.content(node.content_ids())
                    self._compare(part.path, name, content, 0, whole=True)
                except FAILURES as error:
                    outcome.errors.append((location_of(part.path, name), reason_of(error)))
                else:
                    outcome.verified += 1
                    outcome.verified_bytes += content.size
                show(outcome.verified, outcome.verified_bytes)
        for segment in work.segments:
            try:
                content = self._places.content(split_ids(segment.ids))
                self._compare(segment.path, segment.name, content, segment.offset, whole=False)
            except FAILURES as error:
                outcome.errors.append((location_of(segment.path, segment.name), reason_of(error)))
            else:
                outcome.verified += segment.offset == 0
                outcome.verified_bytes += content.size
        return outcome

    def _compare(self, path: bytes, name: bytes, content: Content, offset: int, *, whole: bool) -> None:
        fd = open_to_read(self._directories.get(path).fd, name)
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise Damaged("it is no regular file")
            if whole and found.st_size != content.size:
                raise Damaged(f"it has {found.st_size} bytes, not {content.size}")
            for blob_id, length in zip(content.ids, content.lengths, strict=True):
                if not holds(fd, Extent(blob_id, offset, length)):
                    raise Damaged(f"its content differs from the snapshot's, from byte {offset} on")
                offset += length
        finally:
            os.close(fd)
