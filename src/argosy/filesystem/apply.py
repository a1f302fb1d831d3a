"""Making entries in a restore's target, where every name is hostile input.

A name is one component, checked before each use, and taken relative to the descriptor of its directory; no
call follows a symbolic link, so nothing that a repository names, and no link planted meanwhile, leads out
of the target. What is made starts private (0600, 0700); ``apply_metadata`` opens it up.

Errors: RestoreError for a name or value that may not be; OSError with the full path for what the kernel
refuses.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import NoReturn

from argosy.errors import RestoreError

_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_EXISTING_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DEVICE_TYPES = {"dev": stat.S_IFBLK, "chardev": stat.S_IFCHR}

_TAMPERED_HINT = "The repository is damaged or was tampered with: run `argosy check`, or exclude this entry."

_Identity = tuple[int, int]


def check_name(name: bytes) -> None:
    """Raise RestoreError unless ``name`` is one component of a path: not empty, ".", "..", with "/" or
    NUL.
    """
    if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
        raise RestoreError(
            f"the snapshot holds the name {name!r}, which may not be written",
            hint=_TAMPERED_HINT,
        )


def open_target(path: bytes) -> int:
    """A descriptor of the target directory, made with its parents where missing. Links in ``path`` are
    followed.

    Raises RestoreError.
    """
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise RestoreError(
            f"cannot write to the target {os.fsdecode(path)}: {error.strerror}",
            hint="Choose a directory that you may write, with --target.",
        ) from error


def open_directory_in(dir_fd: int, name: bytes) -> int:
    """A descriptor of the existing directory ``name``; ENOTDIR for a symbolic link or anything else."""
    check_name(name)
    try:
        return os.open(name, _DIRECTORY_FLAGS, dir_fd=dir_fd)
    except OSError as error:
        raise_with_path(error, dir_fd, name)


def make_directory(dir_fd: int, name: bytes) -> int:
    """Make the directory ``name``, unless it exists, and open it. ENOTDIR for a symbolic link or anything else."""
    check_name(name)
    try:
        with suppress(FileExistsError):  # opening it tells whether it is a directory
            os.mkdir(name, 0o700, dir_fd=dir_fd)
        return os.open(name, _DIRECTORY_FLAGS, dir_fd=dir_fd)
    except OSError as error:
        raise_with_path(error, dir_fd, name)


def create_file(dir_fd: int, name: bytes) -> int:
    """Make the regular file ``name`` and open it for writing. EEXIST for whatever is there, links too."""
    check_name(name)
    try:
        return os.open(name, _CREATE_FLAGS, 0o600, dir_fd=dir_fd)
    except OSError as error:
        raise_with_path(error, dir_fd, name)


def open_existing_file(dir_fd: int, name: bytes) -> int:
    """Open the regular file ``name`` to read and overwrite it. ELOOP for a symbolic link, EINVAL for
    another type.

    A file with several links shows in ``st_nlink``: writing to it writes to them all.
    """
    check_name(name)
    try:
        fd = os.open(name, _EXISTING_FLAGS, dir_fd=dir_fd)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file")
    except OSError as error:
        raise_with_path(error, dir_fd, name)


def make_symlink(dir_fd: int, name: bytes, link_target: bytes) -> None:
    """Make a symbolic link; its target is stored, never looked at. EEXIST for whatever is there."""
    check_name(name)
    if not link_target or b"\0" in link_target:
        raise RestoreError(
            f"the symbolic link {name!r} has the target {link_target!r}, which may not be written",
            hint=_TAMPERED_HINT,
        )
    try:
        os.symlink(link_target, name, dir_fd=dir_fd)
    except OSError as error:
        raise_with_path(error, dir_fd, name)


def make_fifo(dir_fd: int, name: bytes) -> None:
    """Make a named pipe. EEXIST for whatever is there."""
    check_name(name)
    try:
        os.mkfifo(name, 0o600, dir_fd=dir_fd)
    except OSError as error:
        raise_with_path(error, dir_fd, name)


def make_device(dir_fd: int, name: bytes, node_type: str, device: int) -> None:
    """Make a device node of the type "dev" or "chardev" and the number ``st_rdev``. EPERM unless
    privileged.
    """
    check_name(name)
    try:
        os.mknod(name, _DEVICE_TYPES[node_type] | 0o600, device, dir_fd=dir_fd)
    except OverflowError as error:
        raise RestoreError(f"the device {name!r} has the impossible number {device}", hint=_TAMPERED_HINT) from error
    except OSError as error:
        raise_with_path(error, dir_fd, name)


def make_hard_link(from_dir_fd: int, from_name: bytes, dir_fd: int, name: bytes) -> None:
    """Make ``name`` a further name of an entry restored before (of a symbolic link itself, if it is one)."""
    check_name(from_name)
    check_name(name)
    try:
        os.link(from_name, name, src_dir_fd=from_dir_fd, dst_dir_fd=dir_fd, follow_symlinks=False)
    except OSError as error:
        raise_with_path(error, dir_fd, name)


def remove_entry(dir_fd: int, name: bytes) -> None:
    """Remove ``name`` and, if it is a directory, everything below it, however deep. ENOENT if there is nothing."""
    check_name(name)
    try:
        try:
            os.unlink(name, dir_fd=dir_fd)
        except IsADirectoryError:
            _empty_directory(os.open(name, _DIRECTORY_FLAGS, dir_fd=dir_fd))
            os.rmdir(name, dir_fd=dir_fd)
    except OSError as error:
        raise_with_path(error, dir_fd, name)


def _empty_directory(fd: int) -> None:
    """Remove all below an open directory, and close it.

    One descriptor is open at a time, so that depth has no limit. Going back up checks that ".." is the
    directory that it came from: one moved away meanwhile would lead out of the target.
    """
    above: list[tuple[_Identity, list[bytes]]] = []
    pending = _unlink_all(fd)
    try:
        while pending or above:
            if pending:
                child_fd = os.open(pending[-1], _DIRECTORY_FLAGS, dir_fd=fd)
                above.append((_identity(fd), pending))
                os.close(fd)
                fd = child_fd
                pending = _unlink_all(fd)
            else:
                identity, pending = above.pop()
                parent_fd = os.open(b"..", _DIRECTORY_FLAGS, dir_fd=fd)
                os.close(fd)
                fd = parent_fd
                if _identity(fd) != identity:
                    raise OSError(errno.EBUSY, "a directory was moved while it was removed")
                os.rmdir(pending.pop(), dir_fd=fd)
    finally:
        os.close(fd)


def _unlink_all(fd: int) -> list[bytes]:
    """Remove what is no directory; return the names of the directories."""
    directories = []
    for name in os.listdir(b"/proc/self/fd/%d" % fd):
        try:
            os.unlink(name, dir_fd=fd)
        except IsADirectoryError:
            directories.append(name)
    return directories


def _identity(fd: int) -> _Identity:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def raise_with_path(error: OSError, dir_fd: int, name: bytes) -> NoReturn:
    """Raise the error again with the full path, which a call relative to a descriptor does not know."""
    path = os.readlink(b"/proc/self/fd/%d" % dir_fd) + b"/" + name
    raise OSError(error.errno, error.strerror, os.fsdecode(path)) from error
