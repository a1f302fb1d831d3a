"""The master's own look at what a member elsewhere could not find or read (R8).

A share that is not mounted there, or whose server gives that machine fewer rights, answers like one whose files are
gone or closed. So such an answer counts only where the master gets it too.
"""

from __future__ import annotations

import os

from argosy.archiver.messages import GONE, UNREAD, BatchResult
from argosy.filesystem.readable import is_readable


def first_contradiction(result: BatchResult) -> str:
    """The first entry that the member missed and that this machine has, in words; empty if there is none."""
    gone, unread = list(result.gone), [path for path, _ in result.unread]
    for piece in result.segments:
        path = piece.segment.path + b"/" + piece.segment.name
        if piece.fate == GONE:
            gone.append(path)
        elif piece.fate == UNREAD:
            unread.append(path)
    for path in gone:
        if os.path.lexists(path):
            return f"it does not see {os.fsdecode(path)}, which is there"
    for path in unread:
        if is_readable(path):
            return f"it cannot read {os.fsdecode(path)}, which the master can"
    return ""
