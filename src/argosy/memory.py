"""Large buffers that cost nothing until they are used."""

from __future__ import annotations

from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap


def untouched(size_bytes: int) -> mmap:
    """A buffer of zeros, at least one byte long, whose pages are taken when they are first written.

    A ``bytearray`` writes its zeros, and so takes all of its pages at once. MemoryError without memory.
    """
    try:
        return mmap(-1, size_bytes, flags=MAP_PRIVATE | MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(str(error)) from error


def resize(buffer: mmap, size_bytes: int) -> None:
    """Give such a buffer another length; nothing is copied. BufferError while there is a view of it, MemoryError."""
    try:
        buffer.resize(size_bytes)
    except OSError as error:
        raise MemoryError(str(error)) from error
