"""Sorted runs of directory entries in one nameless temporary file, and their merge.

A run is written as blocks: a 4-byte length, then msgpack of up to BLOCK_ENTRIES entries. The merge holds
one block of each run: eleven million entries (the most that restic's 4 GiB tree takes) in runs of 100,000
need about 10 MB.
"""

from __future__ import annotations

import errno
import heapq
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import NoReturn

import msgspec

from argosy.errors import StateError, StateFull

BLOCK_ENTRIES = 128
_LENGTH_BYTES = 4

# mode, inode, device, links, uid, gid, size, atime, mtime, ctime (ns), block size, blocks, rdev
_Numbers = tuple[int, int, int, int, int, int, int, int, int, int, int, int, int]
_Record = tuple[bytes, _Numbers]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[_Record]).decode


class SpilledEntries:
    """Runs go in one by one, then come out merged by name. The file vanishes with ``close``, or with the process."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._runs: list[tuple[int, int]] = []
        self._end_bytes = 0
        try:
            # Huge directories are rare, and each worker would import this at its start.
            import tempfile

            # Closed by close(): the file lives as long as this object. Mode 0600, no name on disk.
            self._file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115
        except OSError as error:
            self._refuse(error)

    def add_run(self, entries: Sequence[tuple[bytes, os.stat_result]]) -> None:
        """Write entries that are sorted by name. Raises StateFull or StateError."""
        start_bytes = self._end_bytes
        try:
            for first in range(0, len(entries), BLOCK_ENTRIES):
                block = entries[first : first + BLOCK_ENTRIES]
                data = _encode([(name, _numbers(stat)) for name, stat in block])
                self._file.write(len(data).to_bytes(_LENGTH_BYTES, "little") + data)
                self._end_bytes += _LENGTH_BYTES + len(data)
            self._file.flush()
        except OSError as error:
            self._refuse(error)
        self._runs.append((start_bytes, self._end_bytes))

    def merged(self) -> Iterator[tuple[bytes, os.stat_result]]:
        """All entries by name; of a name that stands in several runs, one."""
        previous = None
        readers = [self._read_run(start, end) for start, end in self._runs]
        for name, numbers in heapq.merge(*readers, key=itemgetter(0)):
            if name != previous:
                yield name, _stat_result(numbers)
            previous = name

    def close(self) -> None:
        """Give the disk space back. A second call does nothing."""
        # Closing tries to write again what a full disk refused before; it closes all the same.
        with suppress(OSError):
            self._file.close()

    def _read_run(self, start_bytes: int, end_bytes: int) -> Iterator[_Record]:
        fd = self._file.fileno()
        position = start_bytes
        while position < end_bytes:
            length = int.from_bytes(os.pread(fd, _LENGTH_BYTES, position), "little")
            yield from _decode(os.pread(fd, length, position + _LENGTH_BYTES))
            position += _LENGTH_BYTES + length

    def _refuse(self, error: OSError) -> NoReturn:
        message = f"the temporary file for a huge directory in {self._directory} failed: {error.strerror}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StateFull(message, hint="Free some space there, or choose another --state-dir.") from error
        raise StateError(message, hint="Check that the directory exists and may be written.") from error


def _numbers(stat: os.stat_result) -> _Numbers:
    return (
        stat.st_mode,
        stat.st_ino,
        stat.st_dev,
        stat.st_nlink,
        stat.st_uid,
        stat.st_gid,
        stat.st_size,
        stat.st_atime_ns,
        stat.st_mtime_ns,
        stat.st_ctime_ns,
        stat.st_blksize,
        stat.st_blocks,
        stat.st_rdev,
    )


def _stat_result(numbers: _Numbers) -> os.stat_result:
    atime_ns, mtime_ns, ctime_ns, block_size, blocks, rdev = numbers[7:]
    atime, mtime, ctime = divmod(atime_ns, 10**9), divmod(mtime_ns, 10**9), divmod(ctime_ns, 10**9)
    return os.stat_result(
        (*numbers[:7], atime[0], mtime[0], ctime[0]),
        {
            # The same arithmetic as os.stat's, so that the floats are equal too.
            "st_atime": atime[0] + 1e-9 * atime[1],
            "st_mtime": mtime[0] + 1e-9 * mtime[1],
            "st_ctime": ctime[0] + 1e-9 * ctime[1],
            "st_atime_ns": atime_ns,
            "st_mtime_ns": mtime_ns,
            "st_ctime_ns": ctime_ns,
            "st_blksize": block_size,
            "st_blocks": blocks,
            "st_rdev": rdev,
        },
    )
