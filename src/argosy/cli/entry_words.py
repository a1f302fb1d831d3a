"""An entry of a snapshot in text, as restic shows it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from argosy.cli.output import Output
from argosy.cli.snapshot_words import local_time
from argosy.cli.wording import printable, size

if TYPE_CHECKING:
    from argosy.restic_format.node import Node

ShownName = Callable[[bytes], str]

# Letters of Go's FileMode.String, from bit 31 down.
_MODE_LETTERS = "dalTLDpSugct?"
_PERMISSIONS = "rwxrwxrwx"
_TYPE_BITS = {
    "dir": 1 << 31,
    "symlink": 1 << 27,
    "dev": 1 << 26,
    "chardev": 1 << 26 | 1 << 21,
    "fifo": 1 << 25,
    "socket": 1 << 24,
}


def shown_name(output: Output) -> ShownName:
    """How names are written: as they are, but on a terminal in a form that cannot steer it."""
    return printable if output.on_terminal else os.fsdecode


def long_line(path: bytes, node: Node, shown: ShownName, *, human_readable: bool = False) -> str:
    """Type, mode, owner, size, time and path; a symlink's target."""
    size_text = size(node.size) if human_readable else f"{node.size:6d}"
    target = f" -> {shown(node.linktarget_bytes())}" if node.type == "symlink" else ""
    mode = mode_text(node.mode | _TYPE_BITS.get(node.type, 0))
    time = local_time(node.mtime_ns())
    return f"{mode} {node.uid:5d} {node.gid:5d} {size_text} {time} {shown(path)}{target}"


def mode_text(mode: int) -> str:
    """``drwxr-xr-x``, as Go's FileMode prints itself."""
    letters = "".join(letter for number, letter in enumerate(_MODE_LETTERS) if mode >> (31 - number) & 1)
    bits = "".join(letter if mode >> (8 - number) & 1 else "-" for number, letter in enumerate(_PERMISSIONS))
    return (letters or "-") + bits
