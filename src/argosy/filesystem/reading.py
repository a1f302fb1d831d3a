"""Reading source files without a trace: no symbolic link followed, no access time moved, no blocking on a
fifo.

A small file costs open + fstat + one read + close: 5.3 µs for 12.7 kB on tmpfs, 5.9 with ``read_xattrs_fd``. Names are
opened relative to their directory's descriptor: full paths cost three times as much.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

# O_NONBLOCK: a fifo put in a file's place must not block the reader for ever; it has no effect on regular
# files.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_READ_BYTES = 1024 * 1024
# How far a file may grow while it is read whole, before the read stops: its second fstat then tells of the
# change.
GROWTH_LIMIT_BYTES = 16 * 1024 * 1024


def open_untouched(path: bytes, flags: int, dir_fd: int | None = None) -> int:
    """Open with O_NOATIME, or without it where the kernel refuses that flag (EPERM: not the owner, not root)."""
    try:
        return os.open(path, flags | os.O_NOATIME, dir_fd=dir_fd)
    except PermissionError as error:
        if error.errno != errno.EPERM:
            raise
        return os.open(path, flags, dir_fd=dir_fd)


def open_file(dir_fd: int, name: bytes) -> int:
    """A read-only descriptor of the entry ``name``. A symbolic link raises ELOOP.

    The type is not checked: the caller compares ``os.fstat`` with what was scanned before it reads.
    """
    return open_untouched(name, _FILE_FLAGS, dir_fd)


def read_small(fd: int, size_bytes: int) -> bytes:
    """The whole content of a file whose size is ``size_bytes`` by fstat, from its start.

    One read where the size still holds. A file that shrank or grew is read to its end, at most
    GROWTH_LIMIT_BYTES beyond the size: comparing fstat before and after is the caller's (``unchanged``).
    """
    # One byte more than expected: getting exactly the size then proves the end of the file without a second
    # read.
    data = os.read(fd, size_bytes + 1)
    if len(data) == size_bytes or not data:
        return data
    parts = [data]
    length = len(data)
    while length <= size_bytes + GROWTH_LIMIT_BYTES:
        data = os.read(fd, _READ_BYTES)
        if not data:
            break
        parts.append(data)
        length += len(data)
    return b"".join(parts)


def read_into(fd: int, buffer: memoryview, offset_bytes: int) -> int:
    """Fill ``buffer`` from ``offset_bytes`` of the file; return the bytes read, fewer only at the file's end."""
    filled = os.preadv(fd, [buffer], offset_bytes)
    if filled == len(buffer) or not filled:
        return filled
    while filled < len(buffer):
        count = os.preadv(fd, [buffer[filled:]], offset_bytes + filled)
        if not count:
            break
        filled += count
    return filled


def data_ranges(fd: int, start_bytes: int, end_bytes: int) -> Iterator[tuple[int, int]]:
    """The parts of [start, end) that are not holes, as (offset, length) in order.

    File systems without SEEK_DATA report one range. Moves the descriptor's offset.
    """
    position = start_bytes
    while position < end_bytes:
        try:
            data = os.lseek(fd, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise
            yield position, end_bytes - position
            return
        if data >= end_bytes:
            return
        hole = min(os.lseek(fd, data, os.SEEK_HOLE), end_bytes)
        yield data, hole - data
        position = hole


def unchanged(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether two fstats of a file agree that nothing was written to it in between."""
    return (
        before.st_ino == after.st_ino
        and before.st_dev == after.st_dev
        and before.st_mode == after.st_mode
        and before.st_size == after.st_size
        and before.st_mtime_ns == after.st_mtime_ns
        and before.st_ctime_ns == after.st_ctime_ns
    )
