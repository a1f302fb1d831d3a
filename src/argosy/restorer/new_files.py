"""New files of one blob, made many at a time by the native kernel; all others, and all without a kernel, one by one.

``FileRestorer`` is the definition: whatever the kernel does not make, for whatever reason, is left to it.
"""

from __future__ import annotations

from argosy import native
from argosy.repository.opening import BlobContent
from argosy.restorer.directories import OpenDirectory, TargetDirectories
from argosy.restorer.file_jobs import FAILURES, FileJob, FileRestorer
from argosy.restorer.messages import RestoreSettings
from argosy.restorer.metadata import PRIVATE_MODE, MetadataSetter, times_of
from argosy.restorer.overwrite import Verdict


class NewFiles:
    """Takes blobs for the files of one batch. ``settle`` after them, while their contents are there."""

    def __init__(
        self, files: FileRestorer, directories: TargetDirectories, setter: MetadataSetter, settings: RestoreSettings
    ) -> None:
        self._files = files
        self._directories = directories
        self._setter = setter
        kernel = native.kernel()
        is_plain = not (settings.sparse or settings.overwrite.goes_by_existence)
        self._writing = kernel.writing() if kernel is not None and is_plain else None
        self._directory: tuple[bytes, OpenDirectory] | None = None
        # In parallel; a directory stays open as long as it is here.
        self._jobs: list[FileJob] = []
        self._contents: list[BlobContent] = []
        self._places: list[OpenDirectory] = []
        self._rows: list[bytes] = []

    def take(self, purpose: tuple[FileJob, int], content: BlobContent) -> None:
        """See ``FileRestorer.take``; perhaps not before ``settle``."""
        job = purpose[0]
        row = None if job.over or job.remaining != 1 or job.created else self._row(job, content)
        if row is None:
            self._files.take(purpose, content)
        else:
            self._jobs.append(job)
            self._contents.append(content)
            self._rows.append(row)

    def settle(self) -> None:
        """Make what was taken."""
        self._directory = None  # it may be closed by the next time
        if not self._jobs or self._writing is None:
            return
        self._directories.hold()
        done = self._writing.make_files([job.name for job in self._jobs], self._rows)
        for is_done, job, content in zip(done, self._jobs, self._contents, strict=True):
            if is_done:
                self._files.made(job)
            else:
                self._files.take((job, 0), content)
        self._jobs, self._contents, self._places, self._rows = [], [], [], []

    def _row(self, job: FileJob, content: BlobContent) -> bytes | None:
        """What the kernel needs to make a file; None if that needs more than its content and its times."""
        if self._writing is None or job.look.verdict is not Verdict.NEW:
            return None
        try:
            directory = self._open(job.path)
            mode = self._setter.mode_for_new(directory, job.node)
            if mode == PRIVATE_MODE or directory.owner is None:
                return None
            atime_ns, mtime_ns = times_of(job.node)
        except FAILURES:
            return None  # said when it is met again
        return self._writing.row(directory.fd, mode, atime_ns, mtime_ns, content)

    def _open(self, path: bytes) -> OpenDirectory:
        if self._directory is None or self._directory[0] != path:
            self._directory = path, self._directories.get(path)
            self._places.append(self._directory[1])
        return self._directory[1]
