"""Metadata beside the lstat: extended attributes (POSIX ACLs among them), owner names, node types.

Extended attributes keep the order in which the kernel lists them, as restic writes them.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat

import msgspec

Xattrs = tuple[tuple[str, bytes], ...]

# The file system has no attributes, or (CIFS, which answers ENODATA) says so in other words: restic's
# handleXattrErr.
_UNSUPPORTED = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENODATA})

_NODE_TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFBLK: "dev",
    stat.S_IFCHR: "chardev",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


class UnreadableXattr(msgspec.Struct, frozen=True):
    """An attribute that could not be read; ``attribute`` is empty where the list itself could not."""

    attribute: str
    error: OSError


def read_xattrs_fd(fd: int, unreadable: list[UnreadableXattr] | None = None) -> Xattrs:
    """The extended attributes of an open file or directory, in the kernel's order.

    A file system without attributes gives none. An attribute that cannot be read is appended to
    ``unreadable``, or raised (OSError) where no list is given.
    """
    try:
        names = os.listxattr(fd)
    except OSError as error:
        names = _no_list(error, unreadable)
    # Most files have none, and this is done for each of them.
    return _read_values(fd, names, True, unreadable) if names else ()


def read_xattrs_at(dir_fd: int, name: bytes, unreadable: list[UnreadableXattr] | None = None) -> Xattrs:
    """As ``read_xattrs_fd`` for an entry that is not opened: a symbolic link (its own), a fifo, a device.

    Linux takes these calls by path only, so the path goes through the descriptor in /proc/self/fd.
    """
    path = b"/proc/self/fd/%d/%b" % (dir_fd, name)
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        names = _no_list(error, unreadable)
    return _read_values(path, names, False, unreadable) if names else ()


def _no_list(error: OSError, unreadable: list[UnreadableXattr] | None) -> list[str]:
    if error.errno not in _UNSUPPORTED:
        if unreadable is None:
            raise error
        unreadable.append(UnreadableXattr("", error))
    return []


def _read_values(
    place: int | bytes, names: list[str], follow_symlinks: bool, unreadable: list[UnreadableXattr] | None
) -> Xattrs:
    found: list[tuple[str, bytes]] = []
    for name in names:
        try:
            value = os.getxattr(place, name, follow_symlinks=follow_symlinks)
        except OSError as error:
            if error.errno == errno.ENODATA:
                continue  # removed since it was listed
            if unreadable is None:
                raise
            unreadable.append(UnreadableXattr(name, error))
            continue
        found.append((name if name.isascii() else _json_text(name), value))
    return tuple(found)


def _json_text(name: str) -> str:
    """The name as a tree's JSON can hold it: a byte that is no UTF-8 becomes U+FFFD, as restic's encoder has it."""
    return "".join("\ufffd" if "\udc80" <= c <= "\udcff" else c for c in name)


def node_type(st_mode: int) -> str:
    """restic's name for the type. Raises ValueError for a type that Linux does not have."""
    try:
        return _NODE_TYPES[stat.S_IFMT(st_mode)]
    except KeyError:
        raise ValueError(f"no node type for the mode {st_mode:o}") from None


class OwnerNames:
    """Names of users and groups as this machine knows them; "" for an unknown id.

    Every id is looked up once in the life of the object (a directory service may take its time). Thread-safe.
    """

    def __init__(self) -> None:
        self._users: dict[int, str] = {}
        self._groups: dict[int, str] = {}

    def user(self, uid: int) -> str:
        """The user's name."""
        name = self._users.get(uid)
        if name is None:
            name = self._users[uid] = _user_name(uid)
        return name

    def group(self, gid: int) -> str:
        """The group's name."""
        name = self._groups.get(gid)
        if name is None:
            name = self._groups[gid] = _group_name(gid)
        return name


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ""
