"""The waiting half of reading an entry: open, look, read; nothing is hashed or packed here.

A source across a network answers each call after a while, so several files are fetched at once there; on a local file
system threads cost more than they bring, and entries are fetched one by one.
"""

from __future__ import annotations

import os
import stat as stat_module
from collections import deque
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from argosy.filesystem.metadata import UnreadableXattr, read_xattrs_at, read_xattrs_fd
from argosy.filesystem.reading import open_file, read_small
from argosy.filesystem.xattr_losses import XattrLosses
from argosy.restic_format.node import encode_tail

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

SMALL_FILE_BYTES = 512 << 10
"""Files up to the chunker's least chunk are one blob, and are read whole."""

_REGULAR = 0o100000

Fetched = tuple[os.stat_result, bytes, bytes | None, int]
"""(stat before reading, the node's tail, a small file's content, a large file's descriptor or -1)"""


class Replaced(Exception):
    """The entry is no longer the one that was scanned."""


def fetch(dir_fd: int, name: bytes, mode: int, inode: int, exact: bool, losses: XattrLosses) -> Fetched:
    """Look at an entry and read it if it is small. ``exact`` asks for the scanned inode, else only for its type.

    Attributes that cannot be read are put into ``losses``.

    Raises Replaced, or OSError as the source answers. A descriptor that is returned is the caller's to close.
    """
    if mode & 0o170000 != _REGULAR:
        return _fetch_special(dir_fd, name, mode, inode, exact, losses)
    fd = open_file(dir_fd, name)
    try:
        stat = os.fstat(fd)
        if stat.st_mode & 0o170000 != _REGULAR or (exact and stat.st_ino != inode):
            raise Replaced
        unreadable: list[UnreadableXattr] = []
        xattrs = read_xattrs_fd(fd, unreadable)
        if unreadable:
            losses.add(dir_fd, name, stat.st_dev, unreadable)
        tail = encode_tail(None, xattrs, 0) if xattrs else b""
        if stat.st_size > SMALL_FILE_BYTES:
            large, fd = fd, -1
            return stat, tail, None, large
        return stat, tail, read_small(fd, stat.st_size), -1
    finally:
        if fd >= 0:
            os.close(fd)


def _fetch_special(dir_fd: int, name: bytes, mode: int, inode: int, exact: bool, losses: XattrLosses) -> Fetched:
    stat = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    if stat.st_mode & 0o170000 != mode & 0o170000 or (exact and stat.st_ino != inode):
        raise Replaced
    target = os.readlink(name, dir_fd=dir_fd) if stat_module.S_ISLNK(stat.st_mode) else None
    is_device = stat_module.S_ISBLK(stat.st_mode) or stat_module.S_ISCHR(stat.st_mode)
    unreadable: list[UnreadableXattr] = []
    tail = encode_tail(target, read_xattrs_at(dir_fd, name, unreadable), stat.st_rdev if is_device else 0)
    losses.add(dir_fd, name, stat.st_dev, unreadable)
    return stat, tail, None, -1


class Fetcher:
    """Fetches the entries of a directory in order, up to ``concurrency`` at once."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self.losses = XattrLosses()
        self._pool = _pool(concurrency) if concurrency > 1 else None

    def fetch_all(
        self, dir_fd: int, names: Sequence[bytes], modes: Sequence[int], inodes: Sequence[int], exact: bool
    ) -> Generator[Fetched | Replaced | OSError, None, None]:
        """What became of each entry, in the order given. Close it if you stop early: descriptors may be open."""
        if self._pool is None:
            for name, mode, inode in zip(names, modes, inodes, strict=True):
                try:
                    yield fetch(dir_fd, name, mode, inode, exact, self.losses)
                except (Replaced, OSError) as error:
                    yield error
            return
        pending: deque[Future[Fetched]] = deque()
        try:
            for name, mode, inode in zip(names, modes, inodes, strict=True):
                pending.append(self._pool.submit(fetch, dir_fd, name, mode, inode, exact, self.losses))
                if len(pending) >= 2 * self._concurrency:
                    yield _outcome(pending.popleft())
            while pending:
                yield _outcome(pending.popleft())
        finally:
            for future in pending:
                outcome = _outcome(future)
                if isinstance(outcome, tuple) and outcome[3] >= 0:
                    os.close(outcome[3])


def _pool(concurrency: int) -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # 10 ms, which a local source spares each worker

    return ThreadPoolExecutor(concurrency, "fetch")


def _outcome(future: Future[Fetched]) -> Fetched | Replaced | OSError:
    try:
        return future.result()
    except (Replaced, OSError) as error:
        return error
