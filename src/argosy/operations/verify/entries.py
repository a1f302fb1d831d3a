"""Whether an entry is what its node says: type, mode, owner, time, links, extended attributes. Content apart."""

from __future__ import annotations

import os
import stat
from collections.abc import Container

from argosy.filesystem.metadata import node_type, read_xattrs_at
from argosy.restic_format.node import Node, format_time

Fields = dict[str, tuple[str, str]]


def differing_fields(dir_fd: int, name: bytes, node: Node, found: os.stat_result, ignored: Container[str]) -> Fields:
    """What differs, each with its two values as text: the snapshot's, the source's. OSError if it cannot be read.

    Of an entry of another type only that is told.
    """
    found_type = node_type(found.st_mode)
    if node.type != found_type:
        return {"type": (node.type, found_type)}
    pairs: dict[str, tuple[str | int, str | int]] = {
        "mode": (f"{stat.S_IMODE(node.st_mode()):04o}", f"{stat.S_IMODE(found.st_mode):04o}"),
        "owner": (f"{node.uid}:{node.gid}", f"{found.st_uid}:{found.st_gid}"),
        "mtime": (node.mtime_ns(), found.st_mtime_ns),
    }
    if node.type == "file":
        pairs["size"] = (node.size, found.st_size)
    if node.links:
        pairs["links"] = (node.links, found.st_nlink)
    if node.type == "symlink":
        pairs["target"] = (_text(node.linktarget_bytes()), _text(os.readlink(name, dir_fd=dir_fd)))
    if node.type in ("dev", "chardev"):
        pairs["device"] = (node.device, found.st_rdev)
    fields = {
        field: (_value(field, ours), _value(field, theirs))
        for field, (ours, theirs) in pairs.items()
        if ours != theirs and field not in ignored
    }
    if "xattrs" not in ignored:
        _compare_xattrs(dir_fd, name, node, fields)
    return fields


def _compare_xattrs(dir_fd: int, name: bytes, node: Node, fields: Fields) -> None:
    """Name the attributes that are not on both sides with the same value."""
    found = dict(read_xattrs_at(dir_fd, name))
    if not found and not node.extended_attributes:
        return
    saved = dict(node.xattrs())
    if saved != found:
        fields["xattrs"] = _other_than(saved, found), _other_than(found, saved)


def _other_than(ours: dict[str, bytes], theirs: dict[str, bytes]) -> str:
    return " ".join(sorted(name for name, value in ours.items() if theirs.get(name) != value))


def _value(field: str, value: str | int) -> str:
    return format_time(value) if field == "mtime" and isinstance(value, int) else str(value)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
