"""Deleting from the target what the snapshot does not have, within the selected part (``--delete``).

Unlike restic, which removes a superfluous directory with all that is in it, this leaves excluded entries in it alone.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection

import msgspec

from argosy.restorer.directories import OpenDirectory
from argosy.restorer.selection import Selection
from argosy.restorer.target import is_probe

# Each level takes a descriptor and some of Python's stack. What lies deeper is left, and named.
_DEEPEST = 200
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Deleted(msgspec.Struct):
    """What a deletion came to. ``paths`` are locations, children before their directory."""

    paths: list[bytes] = msgspec.field(default_factory=list)
    errors: list[tuple[bytes, str]] = msgspec.field(default_factory=list)


class Deleter:
    """Deletes, or with ``dry_run`` tells what it would delete. ``protected``: (device, inode) that must stay."""

    def __init__(self, selection: Selection, protected: Collection[tuple[int, int]], *, dry_run: bool) -> None:
        self._selection = selection
        self._protected = frozenset(protected)
        self._dry_run = dry_run

    def clean(self, directory: OpenDirectory, path: bytes, kept: Collection[bytes]) -> Deleted:
        """Delete what is in the directory at ``path`` (relative to the target) and not among the names ``kept``."""
        deleted = Deleted()
        location = b"/" + path if path else b""
        for name in _names(directory.fd):
            place = location + b"/" + name
            if not path and is_probe(name):
                continue
            if name not in kept and self._selection.selects(place):
                self._attempt(directory.fd, name, place, deleted, 0)
        return deleted

    def _attempt(self, dir_fd: int, name: bytes, place: bytes, deleted: Deleted, depth: int) -> bool:
        """Delete an entry with all below it; False if something of it stays."""
        try:
            return self._delete(dir_fd, name, place, deleted, depth)
        except FileNotFoundError:
            return True
        except OSError as error:
            deleted.errors.append((place, f"it could not be deleted: {error.strerror}"))
            return False

    def _delete(self, dir_fd: int, name: bytes, place: bytes, deleted: Deleted, depth: int) -> bool:
        found = os.lstat(name, dir_fd=dir_fd)
        if not stat.S_ISDIR(found.st_mode):
            if not self._dry_run:
                os.unlink(name, dir_fd=dir_fd)
            deleted.paths.append(place)
            return True
        if (found.st_dev, found.st_ino) in self._protected:
            deleted.errors.append((place, "it is not deleted: the repository, or a directory of Argosy's, lies there"))
            return False
        if not self._empty(dir_fd, name, place, deleted, depth):
            return False
        if not self._dry_run:
            os.rmdir(name, dir_fd=dir_fd)
        deleted.paths.append(place)
        return True

    def _empty(self, dir_fd: int, name: bytes, place: bytes, deleted: Deleted, depth: int) -> bool:
        if depth >= _DEEPEST:
            deleted.errors.append((place, f"it is not deleted: it lies more than {_DEEPEST} directories deep"))
            return False
        fd = os.open(name, _FLAGS, dir_fd=dir_fd)
        try:
            whole = True
            for child in _names(fd):
                child_place = place + b"/" + child
                selected = self._selection.everything or self._selection.selects(child_place)
                whole = selected and self._attempt(fd, child, child_place, deleted, depth + 1) and whole
            return whole
        finally:
            os.close(fd)


def _names(fd: int) -> list[bytes]:
    return sorted(os.listdir(b"/proc/self/fd/%d" % fd))
