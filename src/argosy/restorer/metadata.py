"""Owner, mode, attributes and times of what is restored: only the calls that change something, and what was refused.

restic's rule for what the system refuses: an ordinary user may not give files away or set every attribute, and a file
system may have no attributes at all; both are no errors. Here they are counted, so that the user hears of it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Sequence

from argosy.filesystem.apply_metadata import (
    Metadata,
    MetadataProblem,
    removable_xattr,
    set_metadata_at,
    set_metadata_fd,
)
from argosy.filesystem.metadata import Xattrs
from argosy.filesystem.patterns import PatternList
from argosy.restic_format.mode import go_to_mode
from argosy.restic_format.node import Node
from argosy.restorer.directories import OpenDirectory

PRIVATE_MODE = 0o600

NOTE_OWNER = "owners could not be set: only root may give files away"
NOTE_ATTRIBUTES_DENIED = "extended attributes could not be set: that takes root"
NOTE_ATTRIBUTES_UNKNOWN = "extended attributes could not be set: the target's file system does not have them"
NOTE_DENIED = "modes or times could not be set: the entries belong to another user"

_UNSUPPORTED = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENODATA})
_DENIED = frozenset({errno.EPERM, errno.EACCES})

Report = Callable[[bytes, str], None]


class MetadataSetter:
    """Sets the metadata of nodes. ``report`` hears of what failed, ``notes`` counts what cannot be had here."""

    def __init__(
        self, exclude: Sequence[bytes], include: Sequence[bytes], report: Report, *, is_root: bool | None = None
    ) -> None:
        self._exclude = PatternList(exclude)
        self._include = PatternList(include)
        self._report = report
        self._is_root = os.geteuid() == 0 if is_root is None else is_root
        self.notes: dict[str, int] = {}

    def mode_for_new(self, directory: OpenDirectory, node: Node) -> int:
        """The mode to make a file with: its own, if it needs nothing more than times then; else a private one.

        Its own must not take effect before the file has its owner, and while it is written it must stay writable.
        """
        mode = stat.S_IMODE(go_to_mode(node.mode))
        plain = mode <= 0o777 and mode & stat.S_IWUSR and not node.extended_attributes
        if plain and directory.owner == (node.uid, node.gid) and not directory.gives_acl:
            return mode
        return PRIVATE_MODE

    def finish_new(self, fd: int, directory: OpenDirectory, node: Node, path: bytes) -> None:
        """A new file that ``mode_for_new`` could not settle."""
        found = os.fstat(fd)
        directory.owner = (found.st_uid, found.st_gid)
        if node.extended_attributes or directory.gives_acl:
            self.set_fd(fd, node, path)
        else:
            self._set_needed(fd, found, node, path)

    def finish_existing(self, fd: int, found: os.stat_result, node: Node, path: bytes) -> None:
        """A file that existed; ``found`` is what it was before this."""
        if node.extended_attributes or _has_xattrs(fd):
            self.set_fd(fd, node, path)
        else:
            self._set_needed(fd, found, node, path)

    def set_fd(self, fd: int, node: Node, path: bytes) -> None:
        """All metadata of an open file or directory."""
        self._sort_out(set_metadata_fd(fd, self._metadata(node), self._removable), path)

    def set_at(self, dir_fd: int, name: bytes, node: Node, path: bytes) -> None:
        """All metadata of an entry that is not opened."""
        self._sort_out(set_metadata_at(dir_fd, name, self._metadata(node), self._removable), path)

    def _set_needed(self, fd: int, found: os.stat_result, node: Node, path: bytes) -> None:
        """Owner and mode where they differ, and the times, in the order of ``apply_metadata``."""
        mode = stat.S_IMODE(go_to_mode(node.mode))
        try:
            given_away = (found.st_uid, found.st_gid) != (node.uid, node.gid)
            if given_away:
                os.fchown(fd, node.uid, node.gid)
            if given_away or stat.S_IMODE(found.st_mode) != mode:
                os.fchmod(fd, mode)
            os.utime(fd, ns=times_of(node))
        except (OSError, OverflowError):
            # Rare, or done by an ordinary user: once more, part by part, to know what is refused.
            self.set_fd(fd, node, path)

    def _metadata(self, node: Node) -> Metadata:
        atime_ns, mtime_ns = times_of(node)
        return Metadata(
            mode=stat.S_IMODE(go_to_mode(node.mode)),
            uid=node.uid,
            gid=node.gid,
            atime_ns=atime_ns,
            mtime_ns=mtime_ns,
            xattrs=self._wanted_xattrs(node) if node.extended_attributes else (),
        )

    def _wanted_xattrs(self, node: Node) -> Xattrs:
        return tuple((name, value) for name, value in node.xattrs() if self._wants(name))

    def _wants(self, name: str) -> bool:
        place = b"/" + os.fsencode(name)
        if self._include:
            return self._include.matches(place)
        return not (self._exclude and self._exclude.matches(place))

    def _removable(self, name: str) -> bool:
        return removable_xattr(name) and self._wants(name)

    def _sort_out(self, problems: list[MetadataProblem], path: bytes) -> None:
        for problem in problems:
            code = problem.error.errno
            is_attribute = problem.what not in ("owner", "mode", "times")
            if is_attribute and code in _UNSUPPORTED:
                note = NOTE_ATTRIBUTES_UNKNOWN
            elif code in _DENIED and not self._is_root:
                note = NOTE_ATTRIBUTES_DENIED if is_attribute else NOTE_DENIED
                note = NOTE_OWNER if problem.what == "owner" else note
            else:
                reason = problem.error.strerror or str(problem.error)
                what = f"the attribute {problem.what}" if is_attribute else f"its {problem.what}"
                self._report(path, f"{what} could not be set: {reason}")
                continue
            self.notes[note] = self.notes.get(note, 0) + 1


def times_of(node: Node) -> tuple[int, int]:
    """Access and modification time of a node, in ns. Damaged if one is no time."""
    mtime_ns = node.mtime_ns()
    # restic and Argosy store one time twice, unless asked for access times.
    return (mtime_ns if node.atime == node.mtime else node.atime_ns()), mtime_ns


def _has_xattrs(fd: int) -> bool:
    try:
        return bool(os.listxattr(fd))
    except OSError:
        return False
