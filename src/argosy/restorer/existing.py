"""Looking at what is there before a file is restored: left alone, right already, to be updated or replaced."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from argosy.restic_format.blob import blob_id
from argosy.restorer.overwrite import Overwrite, Verdict

_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Parts of a file end within a page. A client of NFS that has such a page whole writes all of it, over what another host
# has written beside it meanwhile, unless the file is open with this (Linux, fs/nfs/write.c, nfs_can_extend_write).
_EXACT_FLAG = os.O_DSYNC
_PIN_FLAGS = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Extent(msgspec.Struct, frozen=True):
    """A blob's place in a file."""

    id: bytes
    offset: int
    length: int


class Look(msgspec.Struct):
    """What was found. ``matching`` are the positions of blobs that are in place (for UPDATE)."""

    verdict: Verdict
    stat: os.stat_result | None = None
    matching: set[int] = msgspec.field(default_factory=set)


def first_look(
    dir_fd: int, name: bytes, *, overwrite: Overwrite, mtime_ns: int, links: int, size_bytes: int
) -> Look | os.stat_result:
    """Decide about a file without reading what stands at its place; its stat if that has to be read. OSError."""
    try:
        found = os.lstat(name, dir_fd=dir_fd)
    except FileNotFoundError:
        return Look(Verdict.NEW)
    if overwrite.spares(found.st_mtime_ns, mtime_ns):
        return Look(Verdict.KEPT, found)
    # Its other names may lie outside the target: neither content nor metadata are written through it.
    if not stat.S_ISREG(found.st_mode) or (found.st_nlink > 1 and links <= 1):
        return Look(Verdict.REPLACE, found)
    if overwrite is Overwrite.IF_CHANGED and found.st_size == size_bytes and found.st_mtime_ns == mtime_ns:
        return Look(Verdict.UNCHANGED, found)
    return found


def look_at(
    dir_fd: int,
    name: bytes,
    *,
    overwrite: Overwrite,
    mtime_ns: int,
    links: int,
    size_bytes: int,
    extents: Sequence[Extent],
    dry_run: bool = False,
) -> Look:
    """Decide about a file from what stands at its place. OSError if it cannot be read."""
    found = first_look(dir_fd, name, overwrite=overwrite, mtime_ns=mtime_ns, links=links, size_bytes=size_bytes)
    if isinstance(found, Look):
        return found
    if dry_run and not os.access(name, os.R_OK, dir_fd=dir_fd, effective_ids=True, follow_symlinks=False):
        return Look(Verdict.UPDATE, found)  # to know would take a change of its mode
    matching = _compare(dir_fd, name, extents)
    if len(matching) == len(extents) and found.st_size == size_bytes:
        return Look(Verdict.UNCHANGED, found)
    if must_be_replaced(dir_fd, name, found, overwrite):
        return Look(Verdict.REPLACE, found)
    return Look(Verdict.UPDATE, found, matching)


def must_be_replaced(dir_fd: int, name: bytes, found: os.stat_result, overwrite: Overwrite) -> bool:
    """Whether a file that differs cannot be written to: other names share it, it is running, or it must stay whole."""
    return found.st_nlink > 1 or overwrite.goes_by_existence or _runs(dir_fd, name)


def _runs(dir_fd: int, name: bytes) -> bool:
    """Whether the file is a running program, which cannot be written to."""
    try:
        os.close(open_to_update(dir_fd, name))
    except OSError as error:
        if error.errno != errno.ETXTBSY:
            raise
        return True
    return False


def _compare(dir_fd: int, name: bytes, extents: Sequence[Extent]) -> set[int]:
    fd = open_to_read(dir_fd, name)
    try:
        return {at for at, extent in enumerate(extents) if holds(fd, extent)}
    finally:
        os.close(fd)


def holds(fd: int, extent: Extent) -> bool:
    """Whether the file has the blob's content in its place."""
    data = os.pread(fd, extent.length, extent.offset)
    return len(data) == extent.length and blob_id(data) == extent.id


def open_to_read(dir_fd: int, name: bytes) -> int:
    """Open a file of the target to compare it; its owner may, whatever its mode."""
    return _open(dir_fd, name, _READ_FLAGS)


def open_to_update(dir_fd: int, name: bytes, *, shared: bool = False) -> int:
    """Open a file of the target to write to it; its owner may, whatever its mode. ETXTBSY while it runs.

    ``shared``: other machines write other parts of it at the same time.
    """
    return _open(dir_fd, name, _WRITE_FLAGS | (_EXACT_FLAG if shared else 0))


def _open(dir_fd: int, name: bytes, flags: int) -> int:
    try:
        return os.open(name, flags, dir_fd=dir_fd)
    except PermissionError:
        with _unlocked(dir_fd, name):
            return os.open(name, flags, dir_fd=dir_fd)


@contextmanager
def _unlocked(dir_fd: int, name: bytes) -> Iterator[None]:
    """Within, the owner has his rights to a file. PermissionError for anybody else."""
    pin = os.open(name, _PIN_FLAGS, dir_fd=dir_fd)
    try:
        found = os.fstat(pin)
        if not stat.S_ISREG(found.st_mode):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        place, mode = b"/proc/self/fd/%d" % pin, stat.S_IMODE(found.st_mode)
        os.chmod(place, mode | stat.S_IRUSR | stat.S_IWUSR)
        try:
            yield
        finally:
            os.chmod(place, mode)
    finally:
        os.close(pin)
