"""Of each used blob one copy is the used one; how much of each pack is used follows from it.

A pack that holds other used blobs, or nothing but copies (a prune that was killed left it), gets the copy before one
that could go whole. As in restic, so that both choose alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from argosy.errors import Damaged
from argosy.operations.prune.contents import PackContents
from argosy.operations.prune.plan import Holds, PackUse
from argosy.operations.prune.used import BlobTable
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.pack import pack_size_bytes

# The byte of a used blob: not seen yet, one copy (or its copy is chosen), so many copies left; the last one of them.
_MISSING = 0
_ONE = 1
_MOST = 254
_LAST = 255
_NAMED_AT_MOST = 5


@dataclass(slots=True)
class _Count:
    used_blobs: int = 0
    used_bytes: int = 0
    copies: int = 0


def pack_uses(contents: PackContents, used: BlobTable) -> Iterator[PackUse]:
    """Each pack and what of it is used. Damaged if a used blob is in no index. Changes the bytes of ``used``."""
    has_copies = _count_copies(contents, used)
    if missing := used.with_byte(_MISSING):
        raise _missing(missing)
    counts = {pack_id: _count(blobs, used) for pack_id, blobs in contents}
    if has_copies:
        for pack_id, blobs in contents:
            _choose_copies(counts[pack_id], blobs, used)
    return (_use(pack_id, blobs, counts[pack_id]) for pack_id, blobs in contents)


def _count_copies(contents: PackContents, used: BlobTable) -> bool:
    several = False
    for _, blobs in contents:
        for blob in blobs:
            seen = used.get(blob.type, blob.id)
            if seen is not None and seen < _MOST:
                several = several or seen == _ONE
                used.set(blob.type, blob.id, seen + 1)
    return several


def _count(blobs: Sequence[PackedBlob], used: BlobTable) -> _Count:
    """A copy counts as unused for now."""
    count = _Count()
    for blob in blobs:
        seen = used.get(blob.type, blob.id)
        if seen == _ONE:
            count.used_blobs += 1
            count.used_bytes += blob.length
        elif seen is not None:
            count.copies += 1
    return count


def _choose_copies(count: _Count, blobs: Sequence[PackedBlob], used: BlobTable) -> None:
    nothing_but_copies = count.copies == len(blobs)
    for blob in blobs:
        left = used.get(blob.type, blob.id)
        if left is None or left == _ONE:
            continue
        if count.used_blobs or nothing_but_copies or left == _LAST:
            count.used_blobs += 1
            count.used_bytes += blob.length
            used.set(blob.type, blob.id, _ONE)
        else:
            used.set(blob.type, blob.id, _LAST if left == _ONE + 1 else left - 1)


def _use(pack_id: bytes, blobs: Sequence[PackedBlob], count: _Count) -> PackUse:
    kinds = {blob.type for blob in blobs}
    holds = Holds.BOTH if len(kinds) > 1 else Holds.TREES if BlobType.TREE in kinds else Holds.DATA
    return PackUse(
        pack_id,
        pack_size_bytes(blobs),
        holds,
        used_blobs=count.used_blobs,
        used_bytes=count.used_bytes,
        unused_blobs=len(blobs) - count.used_blobs,
        unused_bytes=sum(blob.length for blob in blobs) - count.used_bytes,
        is_uncompressed=any(not blob.uncompressed_length for blob in blobs),
    )


def _missing(blobs: Sequence[tuple[BlobType, bytes]]) -> Damaged:
    named = ", ".join(f"{blob_type.name.lower()} {blob_id.hex()}" for blob_type, blob_id in blobs[:_NAMED_AT_MOST])
    more = f" and {len(blobs) - _NAMED_AT_MOST} more" if len(blobs) > _NAMED_AT_MOST else ""
    return Damaged(
        f"snapshots need blobs that are in no index: {named}{more}",
        hint="Nothing was changed. Run `argosy check` to see which files they belong to.",
    )
