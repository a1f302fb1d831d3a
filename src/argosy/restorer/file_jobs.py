"""Writing files: each from the moment when it is known what to write until its metadata is set.

A file whose content is one blob is made, written and finished at once. Others stay open until their last blob, wherever
in the batch's packs that is. A new file that cannot be completed is removed: nothing stands under a name of the
snapshot that looks like a file and is none.
"""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from contextlib import suppress
from hashlib import blake2b

from argosy.errors import Damaged, RestoreError
from argosy.filesystem.sparse import write_at
from argosy.repository.opening import BlobContent
from argosy.restic_format.node import Node
from argosy.restorer.directories import OpenDirectory, TargetDirectories, remove_in_the_way
from argosy.restorer.existing import Look, open_to_read, open_to_update
from argosy.restorer.holes import punch_hole, reserve
from argosy.restorer.locations import location_of
from argosy.restorer.messages import Outcome, RestoreSettings
from argosy.restorer.metadata import PRIVATE_MODE, MetadataSetter, times_of
from argosy.restorer.overwrite import Verdict
from argosy.restorer.target import reason_of, refuse_full

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_MOST = 128
_MIXTURE = "; it holds old and new content now"

Failure = OSError | OverflowError | Damaged | RestoreError
FAILURES = (OSError, OverflowError, Damaged, RestoreError)


def temporary_name(name: bytes) -> bytes:
    """Where a file grows that must not stand under its name before it is complete; the same in each attempt."""
    return b".argosy-%b.part" % blake2b(name, digest_size=8).hexdigest().encode("ascii")


class FileJob:
    """One file of a batch. ``part`` is its part's position, ``remaining`` how many blobs are still to be written."""

    __slots__ = ("created", "fd", "look", "name", "node", "over", "part", "path", "remaining", "size", "touched")

    def __init__(self, part: int, path: bytes, name: bytes, node: Node, size: int, look: Look, remaining: int) -> None:
        self.part = part
        self.path = path
        self.name = name
        self.node = node
        self.size = size
        self.look = look
        self.remaining = remaining
        self.fd = -1
        self.created = False
        self.touched = False
        self.over = False

    @property
    def location(self) -> bytes:
        """The absolute path within the snapshot."""
        return location_of(self.path, self.name)


class FileRestorer:
    """Carries out the jobs of one batch, and notes in ``outcome`` what became of them."""

    def __init__(
        self, directories: TargetDirectories, setter: MetadataSetter, settings: RestoreSettings, target: bytes
    ) -> None:
        self._directories = directories
        self._setter = setter
        self._settings = settings
        self._target = target
        self._by_existence = settings.overwrite.goes_by_existence
        self._open: OrderedDict[FileJob, None] = OrderedDict()
        self.outcome = Outcome()

    def take(self, purpose: tuple[FileJob, int], content: BlobContent) -> None:
        """A blob for a place of a file."""
        job, offset = purpose
        if job.over:
            return
        try:
            if job.remaining == 1 and not job.created and job.look.verdict is not Verdict.UPDATE:
                self._write_whole(job, content)
            else:
                self._write_piece(job, offset, content)
        except FAILURES as error:
            self.fail(job, error)

    def missing(self, purpose: tuple[FileJob, int], reason: str) -> None:
        """A blob that cannot be had: its file is not restored."""
        job, _ = purpose
        if not job.over:
            self.give_up(job, reason)

    def finish_without_content(self, job: FileJob) -> None:
        """A job that no blob is to be written for: an empty file, one that is right but for its size, or metadata."""
        try:
            if self._settings.dry_run:
                self._count(job)
            elif job.look.verdict is Verdict.UNCHANGED:
                self._finish_unchanged(job)
            elif job.look.verdict is Verdict.UPDATE:
                self._complete(job, self._descriptor(job))
            else:
                self._write_whole(job, b"")
        except FAILURES as error:
            self.fail(job, error)

    def keep(self, job: FileJob) -> None:
        """A file that is left as it is."""
        if self._by_existence and job.look.stat is not None and job.look.stat.st_nlink > 1:
            self._drop_second_name(job, job.look.stat)
        self._count(job)

    def report_size(self, job: FileJob) -> None:
        """The snapshot contradicts itself about a file; it is restored as its content has it."""
        said = f"it has {job.node.size} bytes in the snapshot, but content of {job.size}; the content is restored"
        self.outcome.errors.append((job.location, said))

    def fail(self, job: FileJob, error: Failure) -> None:
        """The file could not be restored; RestoreError if nothing can."""
        refuse_full(error, self._target, job.location)
        reason = reason_of(error)
        if isinstance(error, FileExistsError):
            reason = "something else made it meanwhile, or the file system takes two names for one"
        self.give_up(job, reason)

    def begin(self, job: FileJob, *, room: int) -> tuple[bytes, bool]:
        """Have a file that others write to: its present name, and whether something may be in it already.

        What an interrupted restore left under a temporary name is taken up. ``room`` is reserved for a new file, bytes.
        """
        directory = self._directories.get(job.path)
        if self._by_existence:
            with suppress(OSError):
                fd = open_to_update(directory.fd, temporary_name(job.name))
                job.created = os.fstat(fd).st_nlink == 1
                os.close(fd)
        found = job.created or job.look.verdict is Verdict.UPDATE
        fd = self._descriptor(job)
        if not found and not self._settings.sparse:
            reserve(fd, room)
        self._lay_aside(job)
        job.touched = True
        return self._present_name(job), found

    def complete(self, job: FileJob) -> None:
        """All content of a file that was begun is there."""
        try:
            self._complete(job, self._descriptor(job))
        except FAILURES as error:
            self.fail(job, error)

    def close(self) -> None:
        """Close what is open still; the jobs are not over."""
        while self._open:
            job, _ = self._open.popitem()
            os.close(job.fd)
            job.fd = -1

    # -- writing ------------------------------------------------------------------------------------------------

    def _write_whole(self, job: FileJob, content: BlobContent) -> None:
        directory = self._directories.get(job.path)
        mode = self._setter.mode_for_new(directory, job.node)
        fd = self._create(job, directory, mode)
        if self._settings.sparse:
            os.ftruncate(fd, job.size)
            write_at(fd, content, 0, sparse=True)
        elif os.write(fd, content) != len(content):
            write_at(fd, content, 0)
        job.remaining = 0
        if mode != PRIVATE_MODE and directory.owner is not None:
            os.utime(fd, ns=times_of(job.node))
        else:
            self._setter.finish_new(fd, directory, job.node, job.location)
        self._close_and_publish(job, directory)

    def _write_piece(self, job: FileJob, offset: int, content: BlobContent) -> None:
        fd = self._descriptor(job)
        sparse = self._settings.sparse
        if sparse and job.look.verdict is Verdict.UPDATE:
            sparse = punch_hole(fd, offset, len(content))
        job.touched = True
        write_at(fd, content, offset, sparse=sparse)
        job.remaining -= 1
        if not job.remaining:
            self._complete(job, fd)

    def _create(self, job: FileJob, directory: OpenDirectory, mode: int) -> int:
        """Make the file, under its own name or (where existence counts) another."""
        name = temporary_name(job.name) if self._by_existence else job.name
        if self._by_existence:
            with suppress(FileNotFoundError):  # what an interrupted restore left
                os.unlink(name, dir_fd=directory.fd)
        elif job.look.verdict is Verdict.REPLACE:
            remove_in_the_way(directory, name, recursive=self._settings.delete)
        fd = job.fd = os.open(name, _CREATE, mode, dir_fd=directory.fd)
        job.created = True
        return fd

    def _descriptor(self, job: FileJob) -> int:
        if job.fd >= 0:
            self._open.move_to_end(job)
            return job.fd
        directory = self._directories.get(job.path)
        if job.created:
            job.fd = open_to_update(directory.fd, self._present_name(job))
        elif job.look.verdict is Verdict.UPDATE:
            job.fd = open_to_update(directory.fd, job.name)
            if os.fstat(job.fd).st_size > job.size:
                os.ftruncate(job.fd, job.size)
        else:
            self._create(job, directory, PRIVATE_MODE)
            if self._settings.sparse:
                os.ftruncate(job.fd, job.size)
        self._open[job] = None
        if len(self._open) > _OPEN_MOST:
            coldest = next(iter(self._open))
            try:
                self._lay_aside(coldest)
            except OSError as error:  # a network file system tells only now, and only once, what it could not write
                self.fail(coldest, error)
        return job.fd

    def _lay_aside(self, job: FileJob) -> None:
        """Close a file that is not complete yet."""
        del self._open[job]
        fd, job.fd = job.fd, -1
        os.close(fd)

    def _present_name(self, job: FileJob) -> bytes:
        return temporary_name(job.name) if self._by_existence and job.created else job.name

    def _complete(self, job: FileJob, fd: int) -> None:
        """All content is there: metadata, and then the name."""
        del self._open[job]
        found = os.fstat(fd)
        if found.st_size != job.size:
            os.ftruncate(fd, job.size)
        directory = self._directories.get(job.path)
        if job.created:
            self._setter.finish_new(fd, directory, job.node, job.location)
        else:
            self._setter.finish_existing(fd, found, job.node, job.location)
        self._close_and_publish(job, directory)

    def _close_and_publish(self, job: FileJob, directory: OpenDirectory) -> None:
        fd, job.fd = job.fd, -1
        os.close(fd)  # network file systems tell of a full disk only now
        if self._by_existence and job.created:
            self._publish(job, directory)
        self._count(job)

    def _publish(self, job: FileJob, directory: OpenDirectory) -> None:
        temporary, name, fd = temporary_name(job.name), job.name, directory.fd
        if job.look.verdict is Verdict.NEW:
            try:
                # Fails if something stands there by now; a rename would overwrite it.
                os.link(temporary, name, src_dir_fd=fd, dst_dir_fd=fd, follow_symlinks=False)
            except FileExistsError:
                raise
            except OSError:  # a file system without hard links
                os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
            else:
                os.unlink(temporary, dir_fd=fd)
            return
        found = job.look.stat
        if found is not None and stat.S_ISDIR(found.st_mode):
            remove_in_the_way(directory, name, recursive=self._settings.delete)
        os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)

    def _drop_second_name(self, job: FileJob, found: os.stat_result) -> None:
        """A restore that died between the two steps of ``_publish`` left the file under both names."""
        with suppress(OSError, RestoreError):
            directory, temporary = self._directories.get(job.path), temporary_name(job.name)
            other = os.lstat(temporary, dir_fd=directory.fd)
            if not self._settings.dry_run and (other.st_dev, other.st_ino) == (found.st_dev, found.st_ino):
                os.unlink(temporary, dir_fd=directory.fd)

    def _finish_unchanged(self, job: FileJob) -> None:
        directory = self._directories.get(job.path)
        fd = job.fd = open_to_read(directory.fd, job.name)
        self._setter.finish_existing(fd, os.fstat(fd), job.node, job.location)
        job.fd = -1
        os.close(fd)
        self._count(job)

    # -- accounting ---------------------------------------------------------------------------------------------

    def give_up(self, job: FileJob, reason: str) -> None:
        """The file is not restored: what was made of it goes away."""
        job.over = True
        self._open.pop(job, None)
        if job.fd >= 0:
            with suppress(OSError):
                os.close(job.fd)
            job.fd = -1
        if job.created:
            with suppress(*FAILURES):
                directory = self._directories.get(job.path)
                os.unlink(self._present_name(job), dir_fd=directory.fd)
        elif job.touched:
            reason += _MIXTURE
        self.outcome.errors.append((job.location, reason))

    def _count(self, job: FileJob) -> None:
        job.over = True
        outcome, verdict = self.outcome, job.look.verdict
        if verdict >= Verdict.UNCHANGED:
            outcome.skipped += 1
            outcome.skipped_bytes += job.size
        else:
            outcome.restored += 1
            outcome.restored_bytes += job.size
            if self._settings.recorded:
                outcome.written[job.part].append(job.name)
        if self._settings.listing:
            outcome.items.append((_action(job.look), job.location, job.size))


def _action(look: Look) -> str:
    """restic's word for what happened to a file."""
    if look.verdict is Verdict.NEW:
        return "restored"
    if look.verdict >= Verdict.UNCHANGED:
        return "unchanged"
    return "updated" if look.stat is not None and stat.S_ISREG(look.stat.st_mode) else "restored"
