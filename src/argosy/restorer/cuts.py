"""How a restore is cut into tasks."""

from __future__ import annotations

import msgspec

_MIB = 1024 * 1024


class Cuts(msgspec.Struct, frozen=True):
    """A batch is full with so many entries, or so many bytes of content. A file of ``large_bytes`` or more is cut into
    segments of about ``segment_bytes``; of the last ``tail_bytes`` of a snapshot one of two segments is cut already, so
    that workers end together.
    """

    entries: int = 1000
    size_bytes: int = 64 * _MIB
    large_bytes: int = 256 * _MIB
    segment_bytes: int = 64 * _MIB
    tail_bytes: int = 512 * _MIB

    @property
    def least_large(self) -> int:
        """No smaller file is cut."""
        return min(self.large_bytes, 2 * self.segment_bytes)

    def large_from(self, left_bytes: float) -> int:
        """From which size on a file is cut, with so many bytes of the snapshot left."""
        return self.large_bytes if left_bytes > self.tail_bytes else self.least_large
