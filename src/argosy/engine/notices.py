"""The broadcasts that workers and members hear which begin later."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

LATE_BYTES = 2 * 1024 * 1024
"""As many as this are kept. The ids of all blobs that wait for an index, of which there are 50,000 at most, fit."""


class LateNotices:
    """Those to be kept, and of the others the last one; see ``interface.Engine.broadcast``."""

    def __init__(self) -> None:
        self._kept: deque[bytes] = deque()
        self._bytes = 0
        self._last: bytes | None = None

    def add(self, notice: bytes, *, keep: bool) -> None:
        """It was told to all that there are now."""
        if not keep:
            self._last = notice
            return
        self._kept.append(notice)
        self._bytes += len(notice)
        while self._bytes > LATE_BYTES and len(self._kept) > 1:
            self._bytes -= len(self._kept.popleft())

    def __iter__(self) -> Iterator[bytes]:
        """Those that were kept, oldest first, and the last other one."""
        yield from self._kept
        if self._last is not None:
            yield self._last
