"""Writing restored content, with or without holes.

Sparse writing leaves out blocks of zeros: the file must read as zeros there already (new, or set to its
size by ``set_size``, which empties it first).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

# The block size of common file systems: a shorter hole saves nothing.
HOLE_BYTES = 4096
_HOLE = bytes(HOLE_BYTES)


def set_size(fd: int, size_bytes: int) -> None:
    """Make the file one hole of ``size_bytes``, whatever it held."""
    os.ftruncate(fd, 0)
    os.ftruncate(fd, size_bytes)


def write_at(fd: int, data: bytes | memoryview, offset_bytes: int, *, sparse: bool = False) -> int:
    """Write all of ``data`` at the offset; return the bytes really written, fewer if ``sparse`` left out zeros."""
    if not sparse:
        _write_all(fd, memoryview(data), offset_bytes)
        return len(data)
    written = 0
    view = memoryview(data)
    for start, end in _filled_ranges(bytes(data), offset_bytes):
        _write_all(fd, view[start:end], offset_bytes + start)
        written += end - start
    return written


def _write_all(fd: int, view: memoryview, offset_bytes: int) -> None:
    while view:
        count = os.pwrite(fd, view, offset_bytes)
        view = view[count:]
        offset_bytes += count


def _filled_ranges(data: bytes, offset_bytes: int) -> Iterator[tuple[int, int]]:
    """What lies between the blocks of zeros that are whole and aligned in the file: only these can be holes."""
    filled = 0
    for block in range(-offset_bytes % HOLE_BYTES, len(data) - HOLE_BYTES + 1, HOLE_BYTES):
        if data[block : block + HOLE_BYTES] == _HOLE:
            if block > filled:
                yield filled, block
            filled = block + HOLE_BYTES
    if filled < len(data):
        yield filled, len(data)
