"""Owner, extended attributes, mode and times of restored entries.

The order matters: changing the owner clears set-user-id bits and file capabilities; attributes need the write
permission that the mode may take away; and times come last.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass

from argosy.filesystem.apply import check_name
from argosy.filesystem.metadata import Xattrs

_SET_ID_BITS = stat.S_ISUID | stat.S_ISGID


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is restored beside content. ``mode`` are the permission bits with set-id and sticky (0o7777)."""

    mode: int
    uid: int
    gid: int
    atime_ns: int
    mtime_ns: int
    xattrs: Xattrs = ()


@dataclass(frozen=True, slots=True)
class MetadataProblem:
    """A part of the metadata that the kernel refused: ``what`` is "owner", "mode", "times" or an
    attribute.
    """

    what: str
    error: OSError


def removable_xattr(name: str) -> bool:
    """Whether a restore may remove an attribute that the snapshot does not have.

    Security modules label each file themselves and let nobody unlabel it; only capabilities are a file's own.
    """
    return not name.startswith("security.") or name == "security.capability"


def set_metadata_fd(
    fd: int, metadata: Metadata, removable: Callable[[str], bool] = removable_xattr
) -> list[MetadataProblem]:
    """Set the metadata of an open file or directory; of a directory once nothing more is written to it.

    Goes on past what is refused, and returns it. Attributes that the snapshot does not have are removed where
    ``removable`` says so.
    """
    return _set(fd, metadata, removable, is_symlink=False)


def set_metadata_at(
    dir_fd: int, name: bytes, metadata: Metadata, removable: Callable[[str], bool] = removable_xattr
) -> list[MetadataProblem]:
    """As ``set_metadata_fd``, for an entry that must not be opened: a fifo, a device, a symbolic link itself.

    The entry is pinned first, so that all parts go to the same one. Raises OSError if it cannot be,
    RestoreError for a name that is none.
    """
    check_name(name)
    pin_fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        is_symlink = stat.S_ISLNK(os.fstat(pin_fd).st_mode)
        # Through /proc a call reaches the pinned entry itself, also a symbolic link: the kernel goes no
        # further.
        return _set(b"/proc/self/fd/%d" % pin_fd, metadata, removable, is_symlink)
    finally:
        os.close(pin_fd)


def _set(
    place: int | bytes, metadata: Metadata, removable: Callable[[str], bool], is_symlink: bool
) -> list[MetadataProblem]:
    problems: list[MetadataProblem] = []
    mode = metadata.mode
    try:
        os.chown(place, metadata.uid, metadata.gid)
    except OSError as error:
        problems.append(MetadataProblem("owner", error))
        # A program must not run with the rights of whoever happens to restore it.
        mode &= ~_SET_ID_BITS
    _set_xattrs(place, metadata.xattrs, removable, problems)
    # Linux knows no mode of a symbolic link.
    if not is_symlink:
        try:
            os.chmod(place, mode)
        except OSError as error:
            problems.append(MetadataProblem("mode", error))
    try:
        os.utime(place, ns=(metadata.atime_ns, metadata.mtime_ns))
    except OSError as error:
        problems.append(MetadataProblem("times", error))
    return problems


def _set_xattrs(
    place: int | bytes, xattrs: Xattrs, removable: Callable[[str], bool], problems: list[MetadataProblem]
) -> None:
    for name, value in xattrs:
        try:
            os.setxattr(place, name, value)
        except OSError as error:
            problems.append(MetadataProblem(name, error))
    wanted = {name for name, _ in xattrs}
    try:
        present = os.listxattr(place)
    except OSError:
        return  # no attributes here, or none to be seen: nothing can be too many
    for name in present:
        if name not in wanted and removable(name):
            try:
                os.removexattr(place, name)
            except OSError as error:
                problems.append(MetadataProblem(name, error))
