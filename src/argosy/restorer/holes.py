"""fallocate(2), which Python's library lacks: holes in existing files, and room for large ones."""

from __future__ import annotations

import ctypes
import errno
import os
from functools import cache
from typing import Any

_KEEP_SIZE = 1
_PUNCH_HOLE = 2
# File systems, kernels and C libraries without it.
_UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.EPERM})


def punch_hole(fd: int, offset_bytes: int, length_bytes: int) -> bool:
    """Make the range read as zeros and take no room; the file keeps its size. False where that cannot be."""
    return _fallocate(fd, _PUNCH_HOLE | _KEEP_SIZE, offset_bytes, length_bytes)


def reserve(fd: int, length_bytes: int) -> bool:
    """Have room for the file ahead, so that it lies together and a full disk shows at once (OSError, ENOSPC).

    The file keeps its size. False where that cannot be.
    """
    return _fallocate(fd, _KEEP_SIZE, 0, length_bytes)


def _fallocate(fd: int, mode: int, offset_bytes: int, length_bytes: int) -> bool:
    function = _library_function()
    if function is None or length_bytes <= 0:
        return False
    while function(fd, mode, offset_bytes, length_bytes) != 0:
        code = ctypes.get_errno()
        if code in _UNSUPPORTED:
            return False
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code))
    return True


@cache
def _library_function() -> Any:
    library = ctypes.CDLL(None, use_errno=True)
    # The name with 64-bit offsets everywhere; musl has one for both.
    function = getattr(library, "fallocate64", None) or getattr(library, "fallocate", None)
    if function is None:
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return function
