"""Which blobs are in the repository already, as a worker knows it.

Of a repository that was empty when the worker started, the ids that the master tells of are all there is to know: a
set in memory, at a fiftieth of a look-up's price. Otherwise, and once the set has grown large, the lookup is asked, and
the newest ids besides: the master tells of them before it writes them into the lookup, or never does.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from argosy.repository.lookup import DedupLookup
from argosy.restic_format.blob import BlobType
from argosy.restic_format.ids import ID_BYTES

REMEMBERED_MOST = 300_000
"""About 30 MB."""

TOLD_AHEAD_MOST = 8192
"""So many blobs the master may tell of before the lookup that it shares has them."""


class KnownBlobs:
    """Answers for blobs that are durable and recorded. ``add`` may be called from another thread."""

    def __init__(self, lookup: DedupLookup | None, *, shared: bool = True) -> None:
        """``shared``: the master writes what it records into the same lookup, soon after it tells of it."""
        self._lookup = lookup
        self._shared = shared
        self._ask = lookup is not None and lookup.blob_count > 0
        self._told: set[bytes] = set()
        self._told_before: set[bytes] = set()

    def add(self, ids: bytes) -> None:
        """Hear of data blobs that were recorded."""
        self._told.update([ids[at : at + ID_BYTES] for at in range(0, len(ids), ID_BYTES)])
        most = TOLD_AHEAD_MOST if self._ask and self._shared else REMEMBERED_MOST
        if len(self._told) > most and self._lookup is not None:
            self._forget_some()

    def those_known(self, ids: AbstractSet[bytes]) -> AbstractSet[bytes]:
        """Those of these data blobs that are there."""
        known = (ids & self._told) | (ids & self._told_before)
        if self._ask and self._lookup is not None and len(known) < len(ids):
            known |= self._lookup.contains_many(ids - known)
        return known

    def contains_tree(self, identity: bytes) -> bool:
        """Whether a tree blob is there; of these nobody tells."""
        return self._lookup is not None and self._lookup.contains(identity, BlobType.TREE)

    def _forget_some(self) -> None:
        """Forget all but the newest. A blob that is forgotten is at worst stored twice."""
        self._ask = self._ask or self._shared
        self._told_before, self._told = self._told, set()
