"""What malloc does with freed memory, where glibc's own choice costs time."""

from __future__ import annotations

import ctypes

# malloc.h of glibc, and the largest threshold that it takes.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEPT_BYTES = 32 * 1024 * 1024


def keep_freed_memory() -> None:
    """Have malloc keep what is freed for the next blob.

    By default blobs above 128 KiB come fresh from the kernel, each page zeroed anew: 7 % of the time of --read-data.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # another C library than glibc has its own ways; so below
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, 2 * _KEPT_BYTES)


def give_back_freed_memory() -> None:
    """Have malloc return to the system what was freed between blocks that are in use, some milliseconds' work.

    It does so by itself only at the end of its heap.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
