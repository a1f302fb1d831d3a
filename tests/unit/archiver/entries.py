"""Entries as a scan finds them, and the nodes that a backup makes of them, without a file system."""

from __future__ import annotations

import os
import stat
from typing import Any

from argosy.archiver.nodes import NodeEncoder
from argosy.filesystem.directory import Entry
from argosy.restic_format.node import encode_tail, finish_directory, finish_file, finish_other
from argosy.restic_format.tree import encode_tree

ENCODER = NodeEncoder(with_atime=False, device_id_always=True)
SECOND_NS = 1_000_000_000
KINDS = {"file": stat.S_IFREG, "dir": stat.S_IFDIR, "symlink": stat.S_IFLNK, "fifo": stat.S_IFIFO}


def entry(name: bytes, kind: str = "file", **given: Any) -> Entry:
    """An entry; ``given`` are mode, inode, size, mtime_ns, ctime_ns, links, device, uid."""
    mtime, ctime = given.get("mtime_ns", 5 * SECOND_NS), given.get("ctime_ns", 6 * SECOND_NS)
    mode = KINDS[kind] | given.get("mode", 0o644)
    uid = given.get("uid", 0)
    numbers = (mode, given.get("inode", sum(name) + 1), given.get("device", 7), given.get("links", 1), uid, 0)
    size = given.get("size", 10 if kind == "file" else 0)
    seconds = (mtime / SECOND_NS, mtime / SECOND_NS, ctime / SECOND_NS)
    status = os.stat_result(
        (*numbers, size, mtime // SECOND_NS, mtime // SECOND_NS, ctime // SECOND_NS),
        {
            "st_atime": seconds[0],
            "st_mtime": seconds[1],
            "st_ctime": seconds[2],
            "st_atime_ns": mtime,
            "st_mtime_ns": mtime,
            "st_ctime_ns": ctime,
            "st_rdev": 0,
        },
    )
    return Entry(name, status)


def prefix(item: Entry) -> bytes:
    """The node's metadata as the scan encodes it."""
    return ENCODER.prefix(item.name, item.stat, "root", "root", item.stat.st_dev, item.stat.st_ino)


def node(
    item: Entry, *content: bytes, subtree: bytes | None = None, xattrs: tuple[tuple[str, bytes], ...] = ()
) -> bytes:
    """The node that a backup writes of the entry."""
    head = prefix(item) + encode_tail(None, xattrs, 0)
    if stat.S_ISREG(item.stat.st_mode):
        return finish_file(head, content)
    return finish_other(head) if subtree is None else finish_directory(head, subtree)


def tree(*nodes: bytes) -> bytes:
    """A tree of these nodes, which must be in name order."""
    return encode_tree(nodes)
