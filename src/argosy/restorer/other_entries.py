"""Everything that is no file and no directory: symbolic links, fifos, devices; and further names of files."""

from __future__ import annotations

import os
import stat

from argosy.errors import RestoreError
from argosy.filesystem.apply import make_device, make_fifo, make_hard_link, make_symlink
from argosy.restic_format.node import Node
from argosy.restorer.directories import OpenDirectory, remove_in_the_way
from argosy.restorer.messages import RestoreSettings

# What a file system that stores times more coarsely than ns (NTFS, by 100) makes of the same time.
_TIME_SLACK_NS = 1_000


def spared(directory: OpenDirectory, name: bytes, node: Node, settings: RestoreSettings) -> bool:
    """Whether something stands there that is to be left alone."""
    if directory.fresh or not settings.overwrite.goes_by_existence:
        return False
    try:
        found = os.lstat(name, dir_fd=directory.fd)
    except FileNotFoundError:
        return False
    return settings.overwrite.spares(found.st_mtime_ns, node.mtime_ns())


def make_entry(directory: OpenDirectory, name: bytes, node: Node, *, recursive: bool) -> None:
    """Make the entry anew, in place of whatever was there; its metadata is not set. OSError, RestoreError."""
    if not directory.fresh:
        remove_in_the_way(directory, name, recursive=recursive)
    kind = node.type
    if kind == "symlink":
        make_symlink(directory.fd, name, node.linktarget_bytes())
    elif kind == "fifo":
        make_fifo(directory.fd, name)
    elif kind in ("dev", "chardev"):
        make_device(directory.fd, name, kind, node.device)
    else:
        raise RestoreError(f"it is of the unknown type {kind!r}", hint="A newer program may have written it.")


def link_to(
    directory: OpenDirectory, name: bytes, first_directory: OpenDirectory, first_name: bytes, *, recursive: bool
) -> bool:
    """Make ``name`` a further name of the first; False if the file system does not allow that."""
    if not directory.fresh:
        if _is_same(directory, name, first_directory, first_name):
            return True
        remove_in_the_way(directory, name, recursive=recursive)
    try:
        make_hard_link(first_directory.fd, first_name, directory.fd, name)
    except FileExistsError:
        raise
    except OSError:  # too many links, other file systems below the target, none at all
        return False
    return True


def stands_complete(directory: OpenDirectory, name: bytes, node: Node, size_bytes: int) -> bool:
    """Whether what ``node`` describes stands there whole: a file gets its times when its content is complete."""
    try:
        found = os.lstat(name, dir_fd=directory.fd)
    except OSError:
        return False
    if abs(found.st_mtime_ns - node.mtime_ns()) > _TIME_SLACK_NS:
        return False
    if node.type == "file":
        return stat.S_ISREG(found.st_mode) and found.st_size == size_bytes
    return stat.S_IFMT(found.st_mode) == stat.S_IFMT(node.st_mode())


def _is_same(directory: OpenDirectory, name: bytes, first_directory: OpenDirectory, first_name: bytes) -> bool:
    try:
        one = os.lstat(name, dir_fd=directory.fd)
        other = os.lstat(first_name, dir_fd=first_directory.fd)
    except FileNotFoundError:
        return False
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
