"""The working half of reading an entry: chunk, place, encode (R9).

Fields come from fstat before the first byte; the size is the number of bytes read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from argosy.archiver.fetching import SMALL_FILE_BYTES, Fetched
from argosy.archiver.messages import DirectoryPart
from argosy.archiver.nodes import NodeEncoder
from argosy.archiver.placing import BlobPlacer
from argosy.archiver.small_files import TOGETHER_BYTES, TOGETHER_FILES, small_files
from argosy.filesystem.metadata import OwnerNames, UnreadableXattr, read_xattrs_fd
from argosy.filesystem.reading import read_into
from argosy.filesystem.xattr_losses import XattrLosses
from argosy.memory import untouched
from argosy.restic_format.chunker import Chunker
from argosy.restic_format.node import encode_tail, finish_file, finish_other, owner_keys

READ_BUFFER_BYTES = 16 << 20
_REGULAR = 0o100000
# Chunks of a large file that are placed together: two or more, since hashes are computed two at a time.
_CHUNKS_BYTES = 4 << 20


class _Waiting(NamedTuple):
    """A small file that was read: where its node belongs, and the node up to its content."""

    nodes: list[bytes]
    position: int
    head: bytes


class EntryReader:
    """Turns what was fetched into nodes. Not thread-safe: it reuses one buffer.

    ``quick`` says whether the kernel, where there is one, may read small files.
    """

    def __init__(
        self, encoder: NodeEncoder, placer: BlobPlacer, polynomial: int, *, allow_slow_chunker: bool, quick: bool
    ) -> None:
        self._encoder = encoder
        self._place = placer.place
        self._place_all = placer.place_all
        self._polynomial = polynomial
        self._allow_slow = allow_slow_chunker
        self._chunker: Chunker | None = None
        self._buffer = memoryview(b"")
        self._local_owners = OwnerNames()
        self._owners: Mapping[int, str] = {}
        self._groups: Mapping[int, str] = {}
        self.bytes_read = 0
        self.losses = XattrLosses()
        self._waiting: list[_Waiting] = []
        self._waiting_data: list[bytes] = []
        self._waiting_bytes = 0
        self._small_files = (
            small_files(placer.place_all, self._owner_keys, device_id_always=encoder.device_id_always)
            if quick
            else None
        )

    def begin(self, owners: Mapping[int, str], groups: Mapping[int, str]) -> None:
        """Start a batch, with the master's names for its owners."""
        self._owners, self._groups = owners, groups
        self.bytes_read = 0
        self.forget()
        if self._small_files is not None:
            self._small_files.begin()

    def read_small_files(self, dir_fd: int, part: DirectoryPart, start: int, *, exact: bool) -> list[bytes]:
        """The nodes of some entries from ``start`` on, their content placed; b"" for those that are to be fetched."""
        if self._small_files is not None:
            nodes, size_bytes = self._small_files.read(dir_fd, part, start, exact=exact)
            if nodes:
                self.bytes_read += size_bytes
                return nodes
        return [b""] * (len(part.names) - start)

    def read(self, name: bytes, fetched: Fetched, device: int, nodes: list[bytes]) -> None:
        """Append the node of an entry to ``nodes``, its content placed. Closes a large file's descriptor.

        A small file's node is b"" until ``settle``: such files are placed together.
        """
        stat, tail, data, fd = fetched
        if stat.st_mode & 0o170000 != _REGULAR:
            nodes.append(finish_other(self._prefix(name, stat, device, 0) + tail))
            return
        if data is None:
            try:
                content, length = self.read_range(fd, 0, None)
            finally:
                os.close(fd)
        else:
            length, content = len(data), []
            if 0 < length <= SMALL_FILE_BYTES:
                nodes.append(b"")
                self._wait(_Waiting(nodes, len(nodes) - 1, self._prefix(name, stat, device, length) + tail), data)
                return
            if length:
                # It grew while it was read. Where it is cut matters to nobody.
                content = [self._place(data[at : at + SMALL_FILE_BYTES]) for at in range(0, length, SMALL_FILE_BYTES)]
        self.bytes_read += length
        nodes.append(finish_file(self._prefix(name, stat, device, length) + tail, content))

    def settle(self) -> None:
        """Place the small files that wait for it, and finish their nodes."""
        waiting, data = self._waiting, self._waiting_data
        self.forget()
        if waiting:
            for file, identity in zip(waiting, self._place_all(b"".join(data), list(map(len, data))), strict=True):
                file.nodes[file.position] = finish_file(file.head, [identity])

    def forget(self) -> None:
        """Drop the small files that wait: their batch has failed."""
        self._waiting, self._waiting_data, self._waiting_bytes = [], [], 0

    def _wait(self, file: _Waiting, data: bytes) -> None:
        self._waiting.append(file)
        self._waiting_data.append(data)
        self._waiting_bytes += len(data)
        self.bytes_read += len(data)
        if self._waiting_bytes >= TOGETHER_BYTES or len(self._waiting) >= TOGETHER_FILES:
            self.settle()

    def read_range(self, fd: int, start: int, stop: int | None) -> tuple[list[bytes], int]:
        """Chunk and place the bytes from ``start`` to ``stop`` (None: to the end); (blob ids, bytes read)."""
        chunker = self._chunker
        if chunker is None:
            chunker = self._chunker = Chunker(self._polynomial, allow_slow=self._allow_slow)
            self._buffer = memoryview(untouched(READ_BUFFER_BYTES))
        buffer, filled, position, ended = self._buffer, 0, start, False
        content: list[bytes] = []
        while not ended:
            room = len(buffer) - filled
            wanted = room if stop is None else min(room, stop - position)
            count = read_into(fd, buffer[filled : filled + wanted], position) if wanted else 0
            position += count
            filled += count
            ended = count < wanted or position == stop
            offset = 0
            for lengths in _groups(chunker.cut(buffer[:filled], ended)):
                size = sum(lengths)
                content += self._place_all(buffer[offset : offset + size], lengths)
                offset += size
            filled -= offset
            buffer[:filled] = buffer[offset : offset + filled]
        return content, position - start

    def segment_head(self, fd: int, name: bytes, stat: os.stat_result, device: int, length: int) -> bytes:
        """The node of an open file up to its content: equal for all segments of a file if nothing changed."""
        unreadable: list[UnreadableXattr] = []
        tail = encode_tail(None, read_xattrs_fd(fd, unreadable), 0)
        self.losses.add(fd, b"", device, unreadable)
        return self._prefix(name, stat, device, length) + tail

    def _prefix(self, name: bytes, stat: os.stat_result, device: int, length: int) -> bytes:
        user, group = self._owner_names(stat.st_uid, stat.st_gid)
        return self._encoder.prefix(name, stat, user, group, device, stat.st_ino, length)

    def _owner_names(self, uid: int, gid: int) -> tuple[str, str]:
        user, group = self._owners.get(uid), self._groups.get(gid)
        return (
            self._local_owners.user(uid) if user is None else user,
            self._local_owners.group(gid) if group is None else group,
        )

    def _owner_keys(self, uid: int, gid: int) -> bytes:
        return owner_keys(uid, gid, *self._owner_names(uid, gid)).encode()


def _groups(lengths: Iterable[int]) -> Iterator[list[int]]:
    """Chunks to be placed together."""
    group: list[int] = []
    for length in lengths:
        group.append(length)
        if sum(group) >= _CHUNKS_BYTES:
            yield group
            group = []
    if group:
        yield group
