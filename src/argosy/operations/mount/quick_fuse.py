"""mfusepy with quicker answers to what is asked once for each entry of a directory.

`ls -l` wants each entry's attributes and two extended ones. mfusepy hands a listing to the kernel without attributes,
so that each costs a question of its own, and takes each path and name from bytes to text and back. Here a listing
carries the attributes with it (readdirplus), bytes stay bytes, and threads of libfuse stay known to Python.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from ctypes import c_void_p, memmove, pythonapi
from threading import Lock, local
from typing import Any, Protocol

from argosy.operations.mount.browser import Attributes

# fuse_common.h and fuse.h of libfuse 3.
_CAP_READDIRPLUS_AUTO = 1 << 14
_CAP_CACHE_SYMLINKS = 1 << 23
_READDIR_PLUS = 1 << 0
_FILL_DIR_PLUS = 1 << 1
_NS = 1_000_000_000


class Answers(Protocol):
    """What the operations given to ``quick_fuse`` answer besides mfusepy's own."""

    def listing(self, path: bytes, start: int) -> Iterable[tuple[bytes, Attributes | None]]:
        """The entries of a directory from number ``start`` on, the dots among them; None: nothing is known of it."""

    def extended_attribute(self, path: bytes, name: bytes) -> bytes | None:
        """The value of an extended attribute, None if there is none of the name."""


def attributes_with_every_listing(connection: Any) -> None:
    """Have the kernel ask for them always: left to itself it does for the first part of a listing only."""
    if hasattr(connection, "want"):
        connection.want &= ~_CAP_READDIRPLUS_AUTO


class KernelMemory:
    """What the kernel remembers of the links in a mount: for good, unless it is told to forget one. Thread-safe.

    Without that each question about a file below ``snapshots/latest`` is one more about ``latest``.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._forget: Callable[[bytes], int] | None = None

    def begin(self, mfusepy: Any, connection: Any) -> None:
        """Have it remember links if it can. To be called by libfuse when the mount begins."""
        library = mfusepy._libfuse  # its own functions end where this begins
        if mfusepy.fuse_version_major < 3 or not hasattr(library, "fuse_invalidate_path"):
            return
        connection.want |= connection.capable & _CAP_CACHE_SYMLINKS
        fuse = c_void_p(library.fuse_get_context().contents.fuse)
        self._forget = lambda path: int(library.fuse_invalidate_path(fuse, path))

    def forget(self, path: bytes) -> None:
        """Have it ask again. Not to be called from what answers it: it may wait for that answer."""
        with self._lock:
            if self._forget is not None:
                self._forget(path)

    def end(self) -> None:
        """The mount ends: there is nobody to be told any more."""
        with self._lock:
            self._forget = None


def quick_fuse(mfusepy: Any) -> Any:
    """A subclass of mfusepy's FUSE whose ``operations`` are ``Answers``, too. With libfuse 2 its own readdir stays."""

    class QuickFuse(mfusepy.FUSE):  # type: ignore[misc]  # mfusepy is imported when a mount is asked for
        operations: Answers

        def readdir_fuse_3(
            self, path: bytes, buffer: Any, fill: Callable[..., int], start: int, _info: Any, flags: int
        ) -> int:
            """As many entries as the kernel has room for; it comes back with the number of the next."""
            _keep_thread()
            told = _FILL_DIR_PLUS if flags & _READDIR_PLUS else 0
            stat = mfusepy.c_stat()
            for number, (name, attributes) in enumerate(self.operations.listing(path, start), start + 1):
                if attributes is None:
                    full = fill(buffer, name, None, number, 0)
                else:
                    write_stat(stat, attributes)
                    full = fill(buffer, name, stat, number, told)
                if full:
                    break
            return 0

        def getxattr(self, path: bytes, name: bytes, buffer: Any, size: int, *_: Any) -> int:
            """The length of a value, which is put into the buffer unless there is none."""
            _keep_thread()
            value = self.operations.extended_attribute(path, name)
            if value is None:
                return -errno.ENODATA
            if buffer:
                if len(value) > size:
                    return -errno.ERANGE
                memmove(buffer, value, len(value))
            return len(value)

    return QuickFuse


def write_stat(stat: Any, attributes: Attributes) -> None:
    """Fill a C ``struct stat`` as mfusepy declares it."""
    (
        stat.st_mode,
        stat.st_ino,
        stat.st_nlink,
        size,
        stat.st_uid,
        stat.st_gid,
        stat.st_rdev,
        mtime_ns,
        atime_ns,
        ctime_ns,
    ) = attributes
    stat.st_size = size
    stat.st_blocks = -(-size // 512)
    for time, time_ns in (
        (stat.st_mtimespec, mtime_ns),
        (stat.st_atimespec, atime_ns),
        (stat.st_ctimespec, ctime_ns),
    ):
        time.tv_sec, time.tv_nsec = divmod(time_ns, _NS)


_kept = local()


def _keep_thread() -> None:
    """Have Python remember the thread of libfuse that is calling, for as long as the mount stands.

    Without it Python makes itself a new state for each call, which maps and unmaps memory: 12 µs of the kernel's time.
    libfuse ends none of its threads before the mount ends (its default from 3.12 on, asked for with older ones).
    """
    if not hasattr(_kept, "known"):
        pythonapi.PyGILState_Ensure()
        _kept.known = True
