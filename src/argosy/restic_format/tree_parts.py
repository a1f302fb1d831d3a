"""A tree's document cut into parts as it comes, so that a directory of millions is never in memory as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from argosy.restic_format.crypto import Buffer
from argosy.restic_format.documents import is_object
from argosy.restic_format.tree import NODE_START, PREFIX, SUFFIX

PART_BYTES = 256 * 1024

# Between two nodes.
_SEAM = re.compile(rb"\}," + NODE_START)
_SEPARATOR_AT = 1
# A name of 255 bytes, each as \\u0000 or \\x00, and what stands around it: a seam may begin before what was searched.
_SEAM_BYTES = 2048


def cut_tree(pieces: Iterable[Buffer], part_bytes: int = PART_BYTES) -> Iterator[bytes]:
    """Trees that together hold the nodes of one, in order, of about ``part_bytes`` each.

    ``pieces`` are the bytes of its document. A short one, and one that is not written as restic does, is given as it
    is. Each cut is proved: what is before it has as many ends as beginnings.
    """
    waiting = bytearray()
    searched = part_bytes
    can_be_cut = True
    for piece in pieces:
        waiting += piece
        can_be_cut = can_be_cut and waiting[: len(PREFIX)] == PREFIX[: len(waiting)]
        while can_be_cut and len(waiting) > searched:
            seam = _SEAM.search(waiting, searched)
            if seam is None:
                searched = max(searched, len(waiting) - _SEAM_BYTES)
                break
            end = seam.start() + _SEPARATOR_AT
            part = b"".join((memoryview(waiting)[:end], SUFFIX))
            can_be_cut = is_object(part)
            if can_be_cut:
                yield part
                waiting[: end + 1] = PREFIX
                searched = part_bytes
    yield bytes(waiting)
