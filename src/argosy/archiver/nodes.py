"""From a stat to the first bytes of a node: the one place that decides what of a stat is written.

The scan and the workers use the same encoder, so that a directory's tree does not depend on who read its files.
"""

from __future__ import annotations

import os
import re
import stat as stat_module

from argosy.restic_format.mode import mode_to_go
from argosy.restic_format.node import encode_metadata

_TYPES = {
    stat_module.S_IFREG: "file",
    stat_module.S_IFDIR: "dir",
    stat_module.S_IFLNK: "symlink",
    stat_module.S_IFBLK: "dev",
    stat_module.S_IFCHR: "chardev",
    stat_module.S_IFIFO: "fifo",
}

_TYPE = b'","type":"'
# A quote within a name or an owner is escaped, so that this matches the key alone.
_SIZE = re.compile(rb',"size":(\d+)')


class NodeEncoder:
    """Encodes prefixes: a node's metadata up to and including its links.

    ``device_id_always`` writes the device number for every node (as restic does), else only where links > 1.
    Without ``with_atime`` the access time written is the modification time (as restic does).
    """

    def __init__(self, *, with_atime: bool, device_id_always: bool) -> None:
        self._with_atime = with_atime
        self.device_id_always = device_id_always

    def prefix(
        self,
        name: bytes,
        stat: os.stat_result,
        user: str,
        group: str,
        device: int,
        inode: int,
        size: int | None = None,
    ) -> bytes:
        """``device`` and ``inode`` are the master's: two members see different numbers for one share.

        ``size`` is what was read of a file, where it was read.
        """
        mode = stat.st_mode
        kind = mode & 0o170000
        mtime = stat.st_mtime_ns
        if kind == 0o100000:
            size, links = stat.st_size if size is None else size, stat.st_nlink
        elif kind == 0o040000:
            size = links = 0
        else:
            size, links = 0, stat.st_nlink
        return encode_metadata(
            name,
            _TYPES[kind],
            mode_to_go(mode),
            mtime,
            stat.st_atime_ns if self._with_atime else mtime,
            stat.st_ctime_ns,
            stat.st_uid,
            stat.st_gid,
            user,
            group,
            inode,
            device if self.device_id_always or links > 1 else 0,
            size,
            links,
        )


def totals_of_node(node: bytes) -> dict[str, int]:
    """What a node adds to the job's totals: files count, as restic counts them, and nothing else does."""
    if not node.startswith(b'file"', node.index(_TYPE) + len(_TYPE)):
        return {}
    size = _SIZE.search(node)
    return {"total_files_processed": 1, "total_bytes_processed": 0 if size is None else int(size[1])}


def rename_node(node: bytes, name: bytes) -> bytes:
    """The same node under another name: hard links differ in nothing else. ``name`` is encoded."""
    return b'{"name":"' + name + node[node.index(_TYPE) :]
