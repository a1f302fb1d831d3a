"""Owner, extended attributes, mode and times of restored entries.

The order matters: changing the owner clears set-user-id bits and file capabilities; attributes need the write
permission that the mode may take away; and times come last.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import msgspec

from argosy.filesystem.apply import check_name, raise_with_path
from argosy.filesystem.metadata import Xattrs

_SET_ID_BITS = stat.S_ISUID | stat.S_ISGID


class Metadata(msgspec.Struct, frozen=True):
    """What is restored beside content. ``mode`` are the permission bits with set-id and sticky (0o7777)."""

    mode: int
    uid: int
    gid: int
    atime_ns: int
    mtime_ns: int
    xattrs: Xattrs = ()


class MetadataProblem(msgspec.Struct, frozen=True):
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
    try:
        pin_fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    except OSError as error:
        raise_with_path(error, dir_fd, name)
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
    if not _attempt("owner", partial(os.chown, place, metadata.uid, metadata.gid), problems):
        # A program must not run with the rights of whoever happens to restore it.
        mode &= ~_SET_ID_BITS
    for name, change in _xattr_changes(place, metadata.xattrs, removable):
        _attempt(name, partial(_change_xattr, place, change, is_symlink), problems)
    # Linux knows no mode of a symbolic link.
    if not is_symlink:
        _attempt("mode", partial(os.chmod, place, mode), problems)
    _attempt("times", partial(os.utime, place, ns=(metadata.atime_ns, metadata.mtime_ns)), problems)
    return problems


def _attempt(what: str, change: Callable[[], None], problems: list[MetadataProblem]) -> bool:
    try:
        change()
    except OSError as error:
        problems.append(MetadataProblem(what, error))
        return False
    except (ValueError, OverflowError) as error:
        # A repository may hold numbers and names that no system call takes.
        problems.append(MetadataProblem(what, OSError(errno.EINVAL, str(error))))
        return False
    return True


def _xattr_changes(
    place: int | bytes, xattrs: Xattrs, removable: Callable[[str], bool]
) -> list[tuple[str, Callable[[], None]]]:
    """What to do for each attribute by name: set those of the snapshot, remove the others."""
    changes: list[tuple[str, Callable[[], None]]] = [
        (name, partial(os.setxattr, place, name, value)) for name, value in xattrs
    ]
    wanted = {name for name, _ in xattrs}
    # Where attributes cannot be listed, there are none, and none too many.
    with suppress(OSError):
        superfluous = [name for name in os.listxattr(place) if name not in wanted and removable(name)]
        changes += [(name, partial(os.removexattr, place, name)) for name in superfluous]
    return changes


def _change_xattr(place: int | bytes, change: Callable[[], None], is_symlink: bool) -> None:
    try:
        change()
    except PermissionError:
        if is_symlink:
            raise
        # An ordinary user restores over a file that was read-only before; its mode is set afterwards.
        os.chmod(place, stat.S_IRUSR | stat.S_IWUSR)
        change()
