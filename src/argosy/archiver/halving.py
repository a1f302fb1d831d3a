"""Cutting a batch's work in two, so that what is wrong with it is found in few rounds: pure decisions."""

from __future__ import annotations

import msgspec

from argosy.archiver.messages import BatchWork, DirectoryPart


class Halves(msgspec.Struct, frozen=True):
    """Both halves in order; ``cut`` is the part, as it was, of which each has some entries (None: cut between two)."""

    first: BatchWork
    second: BatchWork
    cut: DirectoryPart | None


def halve(work: BatchWork) -> Halves | None:
    """Two halves with as many entries each; None for what cannot be cut: one entry, or a segment."""
    entries = entries_of(work)
    if entries < 2:
        return None
    first: list[DirectoryPart] = []
    second: list[DirectoryPart] = []
    cut = None
    room = entries // 2
    for part in work.parts:
        size = _entries_of_part(part)
        if size <= room:
            first.append(part)
        elif room <= 0:
            second.append(part)
        else:
            cut = part
            first.append(_piece(part, slice(0, room)))
            second.append(_piece(part, slice(room, None)))
        room -= min(size, room)
    return Halves(_with_parts(work, first), _with_parts(work, second), cut)


def entries_of(work: BatchWork) -> int:
    """How many things it reads; a directory without entries is one, a segment too."""
    return sum(map(_entries_of_part, work.parts)) + len(work.segments)


def _entries_of_part(part: DirectoryPart) -> int:
    return max(1, len(part.names))


def _piece(part: DirectoryPart, piece: slice) -> DirectoryPart:
    return msgspec.structs.replace(
        part,
        whole=False,
        names=part.names[piece],
        modes=part.modes[piece],
        inodes=part.inodes[piece],
        sizes=part.sizes[piece],
        devices=part.devices[piece],
    )


def _with_parts(work: BatchWork, parts: list[DirectoryPart]) -> BatchWork:
    here = {(part.directory_id, name) for part in parts for name in part.names}
    links = [link for link in work.link_firsts if (link.directory_id, link.name) in here]
    return msgspec.structs.replace(work, parts=parts, link_firsts=links)
