"""Whether an entry can be read, without reading it."""

from __future__ import annotations

import os
import stat


def is_readable(path: bytes) -> bool:
    """Whether a file or directory can be opened, and a link be read; of other entries, whether they are there."""
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            # No FIFO or device that was put there meanwhile is waited for.
            os.close(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
        elif stat.S_ISLNK(mode):
            os.readlink(path)
    except OSError:
        return False
    return True
