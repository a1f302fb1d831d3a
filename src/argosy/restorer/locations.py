"""What an entry is called in reports: its absolute path within the snapshot."""

from __future__ import annotations


def location_of(path: bytes, name: bytes) -> bytes:
    """The location of ``name`` in the directory ``path``, which is relative: b"" is the top."""
    return b"/%b/%b" % (path, name) if path else b"/" + name
