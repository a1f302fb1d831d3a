"""Reading one entry of the source on a worker: from a name to its node (R9).

Fields come from fstat before the first byte; the size is the number of bytes read. An entry whose type or inode is no
longer the scanned one raises Replaced: the master looks again.
"""

from __future__ import annotations

import os
import stat as stat_module
from collections.abc import Mapping

from argosy.archiver.nodes import NodeEncoder
from argosy.archiver.placing import BlobPlacer
from argosy.filesystem.metadata import OwnerNames, read_xattrs_at, read_xattrs_fd
from argosy.filesystem.reading import open_file, read_into, read_small
from argosy.restic_format.chunker import Chunker
from argosy.restic_format.node import encode_tail, finish_file, finish_other

SMALL_FILE_BYTES = 512 << 10
"""Files up to the chunker's least chunk are one blob, without asking it."""

READ_BUFFER_BYTES = 16 << 20
_REGULAR = 0o100000


class Replaced(Exception):
    """The entry is no longer the one that was scanned."""


class EntryReader:
    """Turns entries into nodes. Not thread-safe: it reuses one buffer."""

    def __init__(self, encoder: NodeEncoder, placer: BlobPlacer, polynomial: int, *, allow_slow_chunker: bool) -> None:
        self._encoder = encoder
        self._placer = placer
        self._place = placer.place
        self._polynomial = polynomial
        self._allow_slow = allow_slow_chunker
        self._chunker: Chunker | None = None
        self._buffer = memoryview(b"")
        self._local_owners = OwnerNames()
        self.owners: Mapping[int, str] = {}
        self.groups: Mapping[int, str] = {}
        self.bytes_read = 0

    def read(self, dir_fd: int, name: bytes, mode: int, inode: int, device: int, *, exact: bool) -> bytes:
        """The node of an entry. ``exact`` asks for the scanned inode, else only for the scanned type."""
        if mode & 0o170000 != _REGULAR:
            return self._read_special(dir_fd, name, mode, inode, device, exact=exact)
        fd = open_file(dir_fd, name)
        try:
            stat = os.fstat(fd)
            if stat.st_mode & 0o170000 != _REGULAR or (exact and stat.st_ino != inode):
                raise Replaced
            size = stat.st_size
            if size <= SMALL_FILE_BYTES:
                data = read_small(fd, size)
                content = [self._place(data)] if data else []
                length = len(data)
                if length > SMALL_FILE_BYTES:
                    # It grew while it was read; one large blob is still a valid one.
                    content = [
                        self._place(data[at : at + SMALL_FILE_BYTES]) for at in range(0, length, SMALL_FILE_BYTES)
                    ]
            else:
                content, length = self.read_range(fd, 0, None)
            self.bytes_read += length
            return finish_file(self.segment_head(fd, name, stat, device, length), content)
        finally:
            os.close(fd)

    def read_range(self, fd: int, start: int, stop: int | None) -> tuple[list[bytes], int]:
        """Chunk and place the bytes from ``start`` to ``stop`` (None: to the end); (blob ids, bytes read)."""
        chunker = self._chunker
        if chunker is None:
            chunker = self._chunker = Chunker(self._polynomial, allow_slow=self._allow_slow)
            self._buffer = memoryview(bytearray(READ_BUFFER_BYTES))
        buffer, content, filled, position, ended = self._buffer, [], 0, start, False
        while not ended:
            room = len(buffer) - filled
            wanted = room if stop is None else min(room, stop - position)
            count = read_into(fd, buffer[filled : filled + wanted], position) if wanted else 0
            position += count
            filled += count
            ended = count < wanted or position == stop
            offset = 0
            for length in chunker.cut(buffer[:filled], ended):
                content.append(self._place(buffer[offset : offset + length]))
                offset += length
            filled -= offset
            buffer[:filled] = buffer[offset : offset + filled]
        return content, position - start

    def segment_head(self, fd: int, name: bytes, stat: os.stat_result, device: int, length: int) -> bytes:
        """The node of an open file up to its content: equal for all segments of a file if nothing changed."""
        xattrs = read_xattrs_fd(fd, [])
        prefix = self._prefix(name, stat, device, length)
        return prefix + encode_tail(None, xattrs, 0) if xattrs else prefix

    def _read_special(self, dir_fd: int, name: bytes, mode: int, inode: int, device: int, *, exact: bool) -> bytes:
        stat = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        if stat.st_mode & 0o170000 != mode & 0o170000 or (exact and stat.st_ino != inode):
            raise Replaced
        target = os.readlink(name, dir_fd=dir_fd) if stat_module.S_ISLNK(stat.st_mode) else None
        is_device = stat_module.S_ISBLK(stat.st_mode) or stat_module.S_ISCHR(stat.st_mode)
        tail = encode_tail(target, read_xattrs_at(dir_fd, name, []), stat.st_rdev if is_device else 0)
        return finish_other(self._prefix(name, stat, device, 0) + tail)

    def _prefix(self, name: bytes, stat: os.stat_result, device: int, length: int) -> bytes:
        user = self.owners.get(stat.st_uid)
        if user is None:
            user = self._local_owners.user(stat.st_uid)
        group = self.groups.get(stat.st_gid)
        if group is None:
            group = self._local_owners.group(stat.st_gid)
        return self._encoder.prefix(name, stat, user, group, device, stat.st_ino, length)
