"""How a restore is cut into tasks."""

from __future__ import annotations

import msgspec

_MIB = 1024 * 1024


class Cuts(msgspec.Struct, frozen=True):
    """A batch is full with so many entries, or so many bytes of content. A file of ``large_bytes`` or more is cut into
    segments of about ``segment_bytes``.
    """

    entries: int = 1000
    size_bytes: int = 64 * _MIB
    large_bytes: int = 256 * _MIB
    segment_bytes: int = 64 * _MIB
