"""Which file system holds a path, whether another machine's, and what --one-file-system keeps."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from argosy.errors import SourceError
from argosy.filesystem.mounts import (
    filesystem_type,
    is_network_filesystem,
    is_network_type,
    kept_on_one_filesystem,
)


def test_the_type_is_the_kernels() -> None:
    assert filesystem_type(b"/proc/self") == "proc"
    assert not is_network_filesystem(b"/proc/self")


def test_a_temporary_directory_lies_on_a_known_type(tmp_path: Path) -> None:
    known = Path("/proc/filesystems").read_text().split()
    assert filesystem_type(os.fsencode(tmp_path)).partition(".")[0] in known


def test_a_missing_path_is_named() -> None:
    with pytest.raises(SourceError, match="/nowhere/at-all"):
        filesystem_type(b"/nowhere/at-all")


@pytest.mark.parametrize("name", ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs", "fuse", "fuse.x"])
def test_other_machines_file_systems_are_told(name: str) -> None:
    assert is_network_type(name)


@pytest.mark.parametrize("name", ["", "ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", "fuse.lxcfs"])
def test_this_machines_file_systems_are_told(name: str) -> None:
    assert not is_network_type(name)


def entry(device: int, mode: int = stat.S_IFREG) -> os.stat_result:
    return os.stat_result((mode, 1, device, 1, 0, 0, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("parent_device", "found", "kept"),
    [
        (1, entry(1), True),
        (1, entry(1, stat.S_IFDIR), True),
        (1, entry(2, stat.S_IFDIR), True),
        (1, entry(2), False),
        (2, entry(2), False),
        (2, entry(2, stat.S_IFDIR), False),
        (2, entry(1), True),
    ],
    ids=["file", "dir", "mount-point", "mounted-file", "file-below", "dir-below", "back-again"],
)
def test_one_file_system_keeps_its_own_and_the_mount_points(
    parent_device: int, found: os.stat_result, kept: bool
) -> None:
    assert kept_on_one_filesystem(1, parent_device, found) is kept
