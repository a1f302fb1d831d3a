"""New files of one blob, made many at a time by the native kernel; all others, and all without a kernel, one by one.

``FileRestorer`` is the definition: whatever the kernel does not make, for whatever reason, is left to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from argosy import native
from argosy.repository.opening import BlobContent
from argosy.restorer.directories import OpenDirectory
from argosy.restorer.file_jobs import FAILURES, FileJob, FileRestorer
from argosy.restorer.metadata import times_of

if TYPE_CHECKING:
    from argosy.native.writing import NativeWriting


class NewFiles:
    """Takes blobs for the files of one batch. ``settle`` after them, while their contents are there."""

    def __init__(self, files: FileRestorer) -> None:
        self._files = files
        kernel = native.kernel()
        self._writing = None if kernel is None else kernel.writing()
        # In parallel; the directories stay open as long as they are here.
        self._jobs: list[tuple[FileJob, BlobContent]] = []
        self._directories: list[OpenDirectory] = []
        self._rows: list[bytes] = []

    def take(self, purpose: tuple[FileJob, int], content: BlobContent) -> None:
        """See ``FileRestorer.take``; perhaps not before ``settle``."""
        if self._writing is None or not self._gather(self._writing, purpose[0], content):
            self._files.take(purpose, content)

    def settle(self) -> None:
        """Make what was taken."""
        if not self._jobs or self._writing is None:
            return
        done = self._writing.make_files([job.name for job, _ in self._jobs], self._rows)
        for is_done, (job, content) in zip(done, self._jobs, strict=True):
            if is_done:
                self._files.made(job)
            else:
                self._files.take((job, 0), content)
        self._jobs, self._directories, self._rows = [], [], []

    def _gather(self, writing: NativeWriting, job: FileJob, content: BlobContent) -> bool:
        """Keep it for the kernel, if that can make the file."""
        try:
            found = self._files.plain_place(job)
            if found is None:
                return False
            atime_ns, mtime_ns = times_of(job.node)
        except FAILURES:
            return False
        directory, mode = found
        row = writing.row(directory.fd, mode, atime_ns, mtime_ns, content)
        if row is None:
            return False
        self._jobs.append((job, content))
        self._directories.append(directory)
        self._rows.append(row)
        return True
