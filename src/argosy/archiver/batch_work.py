"""Working on one batch: every part and segment, with each entry's fate accounted for."""

from __future__ import annotations

import errno
import os
import stat as stat_module
from collections.abc import Callable
from contextlib import closing
from itertools import groupby

import msgspec

from argosy.archiver.fetching import Fetcher, Replaced
from argosy.archiver.file_reader import EntryReader
from argosy.archiver.messages import (
    GONE,
    REPLACED,
    SEGMENT_BYTES,
    UNREAD,
    BatchResult,
    BatchWork,
    DirectoryPart,
    PartResult,
    Segment,
    SegmentResult,
)
from argosy.archiver.placing import BlobPlacer
from argosy.archiver.runs import encode_run
from argosy.archiver.source import GOING_AWAY, Roots, lost_root
from argosy.filesystem.directory import open_directory
from argosy.filesystem.reading import open_file
from argosy.repository.encoder import BlobEncoder
from argosy.restic_format.blob import BlobType, blob_id
from argosy.restic_format.compression import Compressor
from argosy.restic_format.tree import encode_tree

MOST_RETURNS = 2
"""After so many returns an entry is read whatever its inode is by then, and named in the report."""

Progress = Callable[[int, int], None]
_PROGRESS_FILES = 16
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR})


class SourceFailed(Exception):
    """The attempt fails: the source answers like one that goes away, or is another one."""

    def __init__(self, path: bytes, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason


class _PartWork(msgspec.Struct):
    """A part that is being read: where to say what becomes of its entries, and those that have a node."""

    part: DirectoryPart
    work: BatchWork
    result: BatchResult
    done: PartResult
    progress: Progress
    names: list[bytes] = msgspec.field(default_factory=list)
    nodes: list[bytes] = msgspec.field(default_factory=list)


class BatchWorker:
    """Runs batches one by one."""

    def __init__(
        self,
        reader: EntryReader,
        placer: BlobPlacer,
        encoder: BlobEncoder,
        contains_tree: Callable[[bytes], bool],
        concurrency: int,
        *,
        here: Callable[[bytes], bytes] = lambda path: path,
        elsewhere: bool = False,
    ) -> None:
        """``here`` gives a source path's place on this machine. ``elsewhere``: this is not the master's machine."""
        self._reader = reader
        self._placer = placer
        self._encoder = encoder
        self._contains_tree = contains_tree
        self._here = here
        self._elsewhere = elsewhere
        self._fetcher = Fetcher(concurrency)
        self._runs = Compressor("fastest")
        self._files = 0

    def run(self, work: BatchWork, progress: Progress) -> BatchResult:
        """Everything that the batch asks for. Raises SourceFailed when the source cannot be trusted."""
        self._check_roots(work.roots)
        reader, placer = self._reader, self._placer
        reader.begin(work.owners, work.groups)
        self._files = placer.blobs = placer.added_bytes = placer.added_packed_bytes = 0
        result = BatchResult([], [], [], [], elsewhere=self._elsewhere)
        wanted = {(link.directory_id, link.name): link for link in work.link_firsts}
        nodes: dict[tuple[int, bytes], bytes] = {}
        for part in work.parts:
            result.parts.append(self._read_part(part, work, result, nodes if wanted else None, progress))
        for segment in work.segments:
            self._read_segment(segment, work, result, progress)
        result.links = [(link, nodes.get(key, b"")) for key, link in wanted.items()]
        self._check_roots(work.roots)
        result.files, result.size_bytes = self._files, reader.bytes_read
        result.data_blobs = placer.blobs
        result.data_added, result.data_added_packed = placer.added_bytes, placer.added_packed_bytes
        result.xattr_losses = [*self._fetcher.losses.take(), *reader.losses.take()]
        return result

    def _read_part(
        self,
        part: DirectoryPart,
        work: BatchWork,
        result: BatchResult,
        kept: dict[tuple[int, bytes], bytes] | None,
        progress: Progress,
    ) -> PartResult:
        done = PartResult(part.directory_id, part.parent_id, part.name, part.prefix, path=part.path, tries=part.tries)
        done.was_whole = part.whole
        try:
            dir_fd = open_directory(self._here(part.path))
        except OSError as error:
            if not part.names:
                self._failed(part.path, error, work, result)
            for name in part.names:
                self._failed(part.path + b"/" + name, error, work, result)
            done.left_out = True
            done.nodes = encode_run([], [], self._runs)
            return done
        at = _PartWork(part, work, result, done, progress)
        try:
            self._read_entries(dir_fd, at)
        finally:
            os.close(dir_fd)
        if kept is not None:
            kept.update({(part.directory_id, name): node for name, node in zip(at.names, at.nodes, strict=True)})
        self._finish_part(done, at.names, at.nodes, part.whole and not done.returned)
        return done

    def _read_entries(self, dir_fd: int, at: _PartWork) -> None:
        """What the kernel does not read of a run is fetched entry by entry."""
        part, start = at.part, 0
        exact = part.tries < MOST_RETURNS
        while start < len(part.names):
            nodes = self._reader.read_small_files(dir_fd, part, start, exact=exact)
            for is_read, group in groupby(nodes, bool):
                run = list(group)
                stop = start + len(run)
                if is_read:
                    at.names += part.names[start:stop]
                    at.nodes += run
                    self._files += len(run)
                else:
                    self._fetch_entries(dir_fd, at, slice(start, stop), exact=exact)
                start = stop
            at.progress(self._files, self._reader.bytes_read)
        self._reader.settle()

    def _fetch_entries(self, dir_fd: int, at: _PartWork, run: slice, *, exact: bool) -> None:
        part, done, read = at.part, at.done, self._reader.read
        names = part.names[run]
        devices = part.devices[run] if part.devices else [part.device] * len(names)
        # Closed before the directory's descriptor: what is still being fetched uses that.
        with closing(self._fetcher.fetch_all(dir_fd, names, part.modes[run], part.inodes[run], exact)) as fetched:
            for name, device, outcome in zip(names, devices, fetched, strict=True):
                try:
                    if not isinstance(outcome, tuple):
                        raise outcome
                    read(name, outcome, device, at.nodes)
                    at.names.append(name)
                    self._files += stat_module.S_ISREG(outcome[0].st_mode)
                except Replaced:
                    done.returned.append(name)
                except OSError as error:
                    if error.errno == errno.ELOOP:
                        done.returned.append(name)
                    else:
                        self._failed(part.path + b"/" + name, error, at.work, at.result)
                if not self._files % _PROGRESS_FILES:
                    at.progress(self._files, self._reader.bytes_read)

    def _finish_part(self, outcome: PartResult, names: list[bytes], nodes: list[bytes], whole: bool) -> None:
        if not whole:
            outcome.nodes = encode_run(names, nodes, self._runs)
            return
        tree = encode_tree(nodes)
        outcome.tree_id = blob_id(tree)
        if not self._contains_tree(outcome.tree_id):
            blob = self._encoder.encode(BlobType.TREE, outcome.tree_id, tree)
            outcome.sealed_tree, outcome.tree_bytes = bytes(blob.sealed), len(tree)

    def _read_segment(self, segment: Segment, work: BatchWork, result: BatchResult, progress: Progress) -> None:
        path = segment.path + b"/" + segment.name
        try:
            head, after, content, length = self._read_open_segment(segment, lambda size: progress(0, size))
            outcome = SegmentResult(segment, head, after, length, content)
        except Replaced:
            outcome = SegmentResult(segment, b"", b"", 0, b"", REPLACED)
        except OSError as error:
            fate = REPLACED if error.errno == errno.ELOOP else self._fate(path, error, work)
            outcome = SegmentResult(segment, b"", b"", 0, b"", fate, error.strerror or str(error))
        if segment.index == 0:
            self._files += 1
        result.segments.append(outcome)

    def _read_open_segment(self, segment: Segment, progress: Callable[[int], None]) -> tuple[bytes, bytes, bytes, int]:
        dir_fd = open_directory(self._here(segment.path))
        try:
            fd = open_file(dir_fd, segment.name)
        finally:
            os.close(dir_fd)
        try:
            stat = os.fstat(fd)
            if not stat_module.S_ISREG(stat.st_mode) or (segment.count > 1 and stat.st_ino != segment.inode):
                raise Replaced
            before = self._reader.segment_head(fd, segment.name, stat, segment.device, stat.st_size)
            start = segment.index * SEGMENT_BYTES
            stop = None if segment.index == segment.count - 1 else start + SEGMENT_BYTES
            content, length = self._reader.read_range(fd, start, stop)
            self._reader.bytes_read += length
            progress(self._reader.bytes_read)
            if segment.count == 1:
                # Read by one worker in sequence, because it kept changing: the node says what was read.
                before = after = self._reader.segment_head(fd, segment.name, stat, segment.device, length)
            else:
                stat = os.fstat(fd)
                after = self._reader.segment_head(fd, segment.name, stat, segment.device, stat.st_size)
            return before, after, b"".join(content), length
        finally:
            os.close(fd)

    def _failed(self, path: bytes, error: OSError, work: BatchWork, result: BatchResult) -> None:
        """Gone since the scan: counted. Unreadable: named."""
        if self._fate(path, error, work) == GONE:
            result.vanished += 1
            if self._elsewhere:
                result.gone.append(path)
        else:
            result.unread.append((path, error.strerror or str(error)))

    def _fate(self, path: bytes, error: OSError, work: BatchWork) -> str:
        """GONE or UNREAD. A share that goes away fails the attempt, never the file (SourceFailed)."""
        if error.errno in GOING_AWAY and not work.lenient:
            raise SourceFailed(path, error.strerror or str(error))
        self._check_roots(work.roots)
        return GONE if error.errno in _GONE else UNREAD

    def _check_roots(self, roots: Roots) -> None:
        lost = lost_root([(self._here(path), inode) for path, inode in roots])
        if lost is not None:
            raise SourceFailed(*lost)
