"""The source as a whole: is it still there, and still the one that was scanned? (R8)"""

from __future__ import annotations

import errno
import os

from argosy.errors import SourceGone

GOING_AWAY = frozenset({errno.ESTALE, errno.EIO, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ESHUTDOWN})
"""Answers of a share that goes away: they fail an attempt, never a file."""

Roots = list[tuple[bytes, int]]


def read_roots(paths: list[bytes]) -> Roots:
    """(path, inode) of each root; SourceGone names one that is not there."""
    roots: Roots = []
    for path in paths:
        try:
            roots.append((path, os.lstat(path).st_ino))
        except OSError as error:
            raise SourceGone(
                f"the source {os.fsdecode(path)} cannot be read: {error.strerror}",
                hint="Check that the path is right and the share is mounted.",
            ) from error
    return roots


def lost_root(roots: Roots) -> tuple[bytes, str] | None:
    """The first root that is gone or is another one than before, with the reason; None while all are there."""
    for path, inode in roots:
        try:
            if os.lstat(path).st_ino != inode:
                return path, "another file system or directory is there now"
        except OSError as error:
            return path, error.strerror or str(error)
    return None


class Source:
    """The roots as the master saw them when the job (or its resume) began."""

    def __init__(self, roots: Roots) -> None:
        self.roots = roots

    def check(self) -> None:
        """Raise SourceGone if a root went away: the job is suspended, nothing is taken for deleted."""
        lost = lost_root(self.roots)
        if lost is not None:
            raise SourceGone(
                f"the source {os.fsdecode(lost[0])} went away while it was read: {lost[1]}",
                hint="Bring it back and run the same command again: the job goes on where it stopped.",
            )
