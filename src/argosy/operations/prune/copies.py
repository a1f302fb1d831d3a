"""Of each used blob one copy is the used one; how much of each pack is used follows from it.

A pack that holds other used blobs, or nothing but copies (a prune that was killed left it), gets the copy before one
that could go whole. As in restic, so that both choose alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from argosy.errors import Damaged
from argosy.operations.prune.blob_marks import MISSING, BlobMarks, PackCount
from argosy.operations.prune.contents import PackContents
from argosy.operations.prune.plan import Holds, PackUse
from argosy.restic_format.blob import BlobType
from argosy.restic_format.index import PackListing

_NAMED_AT_MOST = 5


def pack_uses(contents: PackContents, used: BlobMarks) -> Iterator[PackUse]:
    """Each pack and what of it is used. Damaged if a used blob is in no index. Changes the marks of ``used``."""
    has_copies = False
    for pack in contents:
        has_copies |= used.see(pack.header)
    count, missing = used.with_mark(MISSING, _NAMED_AT_MOST)
    if count:
        raise _missing(count, missing)
    counts = {pack.id: used.count(pack.header) for pack in contents}
    if has_copies:
        for pack in contents:
            counts[pack.id] = used.choose(pack.header, counts[pack.id])
    return (_use(pack, counts[pack.id]) for pack in contents)


def _use(pack: PackListing, count: PackCount) -> PackUse:
    return PackUse(
        pack.id,
        pack.size_bytes,
        Holds.BOTH if pack.has_data and pack.has_trees else Holds.TREES if pack.has_trees else Holds.DATA,
        used_blobs=count.used_blobs,
        used_bytes=count.used_bytes,
        unused_blobs=count.blobs - count.used_blobs,
        unused_bytes=pack.content_bytes - count.used_bytes,
        is_uncompressed=pack.has_uncompressed,
    )


def _missing(count: int, blobs: Sequence[tuple[BlobType, bytes]]) -> Damaged:
    named = ", ".join(f"{blob_type.name.lower()} {blob_id.hex()}" for blob_type, blob_id in blobs)
    more = f" and {count - len(blobs)} more" if count > len(blobs) else ""
    return Damaged(
        f"snapshots need blobs that are in no index: {named}{more}",
        hint="Nothing was changed. Run `argosy check` to see which files they belong to.",
    )
