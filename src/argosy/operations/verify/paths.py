"""Paths within the compared directory, and where they are in the snapshot."""

from __future__ import annotations


def join(directory: bytes, name: bytes) -> bytes:
    """The path of an entry, relative to the compared directory (b"")."""
    return directory + b"/" + name if directory else name


def location(base: bytes, path: bytes) -> bytes:
    """The absolute path in the snapshot, over which patterns go; ``base`` is the compared directory's."""
    return b"/" + b"/".join(part for part in (base.strip(b"/"), path) if part)
