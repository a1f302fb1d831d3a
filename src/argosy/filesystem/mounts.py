"""Mounted file systems: which one holds a path, whether it is a network's, and --one-file-system."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence

from argosy.errors import SourceError

_NETWORK_TYPES = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "gfs2",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "pvfs2",
        "smb3",
        "smbfs",
        "virtiofs",
    }
)
# FUSE names its file system in the subtype; these are a disk of this machine. Any other may be remote, and
# is taken for it: the answer decides on caution (R12) and on read concurrency.
_LOCAL_FUSE_TYPES = frozenset({"fuseblk", "fuse.lxcfs", "fuse.mergerfs", "fuse.bindfs", "fuse.ntfs-3g"})


def filesystem_type(path: bytes) -> str:
    """The type of the mount that holds ``path``, as in /proc/self/mountinfo (ext4, nfs4, fuse.sshfs); "" if
    unknown.

    Raises SourceError if the path cannot be opened.
    """
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise SourceError(
            f"cannot open {os.fsdecode(path)}: {error.strerror}", hint="Check that the path exists."
        ) from error
    try:
        mount_id = _mount_id(fd)
    finally:
        os.close(fd)
    with open("/proc/self/mountinfo", "rb") as table:
        return _types_by_mount_id(table.read().splitlines()).get(mount_id, "")


def is_network_filesystem(path: bytes) -> bool:
    """Whether the path lies on another machine's disks, as far as its type tells. Raises SourceError."""
    return is_network_type(filesystem_type(path))


def is_network_type(filesystem: str) -> bool:
    """The same by the name of a type."""
    if filesystem.startswith("fuse"):
        return filesystem not in _LOCAL_FUSE_TYPES
    return filesystem in _NETWORK_TYPES


def kept_on_one_filesystem(root_device: int, parent_device: int, entry: os.stat_result) -> bool:
    """restic's --one-file-system: whether an entry stays in the backup.

    What lies on the source root's device stays; of another device only the directory on which it is mounted
    stays, as an empty directory (``parent_device`` is the device of the directory that holds the entry).
    """
    if entry.st_dev == root_device:
        return True
    return stat.S_ISDIR(entry.st_mode) and parent_device == root_device


def _mount_id(fd: int) -> int:
    """The mount of an open file: exact where st_dev is not (btrfs subvolumes, overlays, bind mounts)."""
    with open(f"/proc/self/fdinfo/{fd}", "rb") as lines:
        found = re.search(rb"^mnt_id:\s*(\d+)", lines.read(), re.MULTILINE)
    return int(found[1]) if found else -1


def _types_by_mount_id(lines: Sequence[bytes]) -> dict[int, str]:
    """Fields of a line: mount id, parent, device, root, mount point, options, tags … "-", type, source,
    options.
    """
    types: dict[int, str] = {}
    for line in lines:
        left, separator, right = line.partition(b" - ")
        if separator:
            types[int(left.split(b" ", 1)[0])] = right.split(b" ", 1)[0].decode("ascii", "replace")
    return types
