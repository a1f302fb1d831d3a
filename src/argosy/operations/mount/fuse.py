"""The door to FUSE (mfusepy): questions of the kernel in, answers of the browser out, failures as error numbers.

libfuse asks from several threads at once. Nothing here writes, and the mount is read-only to the kernel.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from threading import Event
from typing import Any

from argosy.errors import ArgosyError, UsageError
from argosy.operations.mount.browser import Attributes, Browser, OpenFile
from argosy.operations.mount.quick_fuse import KernelMemory, attributes_with_every_listing, quick_fuse

Report = Callable[[bytes, ArgosyError], None]

APT_LINE = "sudo apt-get install -y fuse3 libfuse3-3"

# What a snapshot holds never changes; which snapshots there are is looked up once a minute.
_KERNEL_REMEMBERS_SECONDS = 60
# libfuse before 3.12 ends threads that are idle beyond this number, ten by default.
_THREADS_KEPT = 10_000
# `ls -l` asks for it for each file, unless it was told for one that there is no such thing: half of its time. That is
# what a directory answers in which nothing has attributes. (A kernel with SELinux answers by itself.)
_LABEL = b"security.selinux"
# An entry whose inode is 0 is one that readdir(3) leaves out.
_DOT = Attributes(0o040555, 1, 1, 0, 0, 0, 0, 0, 0, 0)
_DOT_ENTRIES = ((b".", _DOT), (b"..", _DOT))
_UNMOUNT_COMMANDS = (("fusermount3", "-u", "-z", "--"), ("fusermount", "-u", "-z", "--"), ("umount", "-l", "--"))


def require_fuse() -> None:
    """UsageError that says what to install unless a file system can be mounted from here."""
    _library()
    if not os.path.exists("/dev/fuse"):
        raise UsageError("/dev/fuse is missing: this machine cannot mount", hint=f"Try: {APT_LINE}; modprobe fuse")


def serve(
    browser: Browser,
    directory: str,
    report: Report,
    ready: Event,
    memory: KernelMemory,
    *,
    allow_other: bool = False,
    check_permissions: bool = True,
    xattrs: bool = True,
) -> None:
    """Mount at ``directory`` and answer until it is unmounted; sets ``ready``. UsageError if it cannot be mounted.

    ``memory`` is to be told which links have changed.
    """
    operations = _WithAttributes if xattrs else _Operations
    options: dict[str, Any] = {"allow_other": True} if allow_other else {}
    if allow_other and check_permissions:
        options["default_permissions"] = True
    try:
        quick_fuse(_library())(
            operations(browser, report, ready, memory),
            directory,
            foreground=True,
            ro=True,
            fsname="argosy",
            subtype="argosy",
            use_ino=True,
            attr_timeout=_KERNEL_REMEMBERS_SECONDS,
            entry_timeout=_KERNEL_REMEMBERS_SECONDS,
            # What was read stays with the kernel while the file's size and time do.
            auto_cache=True,
            max_idle_threads=_THREADS_KEPT,
            **options,
        )
    except RuntimeError as error:
        if ready.is_set():
            return
        raise UsageError(
            f"nothing could be mounted at {directory} (libfuse's error {error})",
            hint="libfuse's own message stands above. --allow-other needs user_allow_other in /etc/fuse.conf.",
        ) from error


def unmount(directory: str) -> None:
    """Take the mount away, now for those who come, and for who has a file open when it is closed."""
    for command in _UNMOUNT_COMMANDS:
        with suppress(OSError):
            if subprocess.run([*command, directory], capture_output=True, check=False).returncode == 0:
                return


def _library() -> Any:
    try:
        import mfusepy
    except ImportError as error:
        raise UsageError("mount needs the Python package mfusepy", hint="pip install 'argosy[mount]'") from error
    except OSError as error:
        raise UsageError(f"mount needs libfuse ({error})", hint=f"Install it: {APT_LINE}") from error
    return mfusepy


class _Operations:
    """What libfuse calls. Paths come as text with surrogate escapes."""

    use_ns = True

    def __init__(self, browser: Browser, report: Report, ready: Event, memory: KernelMemory) -> None:
        self.browser = browser
        self._report = report
        self._ready = ready
        self._memory = memory
        self._files: dict[int, OpenFile] = {}
        self._numbers = count(1)

    def init_with_config(self, connection: Any, _config: Any) -> None:
        """The mount stands."""
        attributes_with_every_listing(connection)
        self._memory.begin(_library(), connection)
        self._ready.set()

    def destroy(self, _path: str) -> None:
        """The mount ends."""
        self._memory.end()

    def getattr(self, path: str, _handle: int | None = None) -> dict[str, int]:
        """See stat(2)."""
        with self.answering(raw := _raw(path)):
            found = self.browser.attributes(raw)
        return {
            "st_mode": found.mode,
            "st_ino": found.inode,
            "st_nlink": found.links,
            "st_size": found.size,
            "st_blocks": -(-found.size // 512),
            "st_uid": found.uid,
            "st_gid": found.gid,
            "st_rdev": found.device,
            "st_mtime": found.mtime_ns,
            "st_atime": found.atime_ns,
            "st_ctime": found.ctime_ns,
        }

    def listing(self, path: bytes, start: int) -> Iterator[tuple[bytes, Attributes | None]]:
        """See ``Answers.listing``."""
        with self.answering(path):
            yield from _DOT_ENTRIES[start:]
            yield from self.browser.entries(path, max(0, start - len(_DOT_ENTRIES)))

    def readdir_with_offset(
        self, path: str, offset: int, _handle: int
    ) -> Iterator[tuple[str, dict[str, int] | None, int]]:
        """The same for libfuse 2: name, type and inode, and the offset behind it."""
        for number, (name, found) in enumerate(self.listing(_raw(path), offset), offset + 1):
            known = None if found is None else {"st_mode": found.mode, "st_ino": found.inode}
            yield name.decode("utf-8", "surrogateescape"), known, number

    def readlink(self, path: str) -> str:
        """See readlink(2)."""
        with self.answering(raw := _raw(path)):
            return self.browser.link_target(raw).decode("utf-8", "surrogateescape")

    def open(self, path: str, _flags: int) -> int:
        """A handle for ``read``."""
        with self.answering(raw := _raw(path)):
            file = self.browser.open(raw)
        number = next(self._numbers)
        self._files[number] = file
        return number

    def read(self, path: str, size: int, offset: int, handle: int) -> bytes:
        """Bytes that were verified, or EIO."""
        with self.answering(_raw(path)):
            return self._files[handle].read(offset, size)

    def release(self, _path: str, handle: int) -> int:
        """The end of a handle."""
        self._files.pop(handle, None)
        return 0

    @contextmanager
    def answering(self, path: bytes) -> Iterator[None]:
        """What the repository could not answer is an input/output error, and reported."""
        try:
            yield
        except ArgosyError as error:
            self._report(path, error)
            raise OSError(errno.EIO, os.strerror(errno.EIO)) from error


class _WithAttributes(_Operations):
    """Extended attributes, too. Where these are missing, libfuse says so once and is never asked again."""

    def listxattr(self, path: str) -> list[str]:
        """Names of extended attributes."""
        with self.answering(raw := _raw(path)):
            return list(self.browser.xattrs(raw))

    def extended_attribute(self, path: bytes, name: bytes) -> bytes | None:
        """See ``Answers.extended_attribute``."""
        with self.answering(path):
            value = self.browser.xattrs(path).get(name.decode("utf-8", "surrogateescape"))
            if value is None and name == _LABEL and not self.browser.has_attributes_beside(path):
                raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
            return value

    # mfusepy asks for it only where there is an operation of its name; ``QuickFuse`` answers.
    getxattr = extended_attribute


def _raw(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
