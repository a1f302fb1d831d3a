"""The walk over all trees that some roots reach, each once: which were come to, and which are to be read next.

Depth first, so that what waits stays short. It reads nothing itself: a check has its workers read the trees, a prune
reads them itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from argosy import native
from argosy.operations.blob_tables import split_ids
from argosy.operations.id_table import IdTable

# The part of a parent's id that is remembered; enough to find it again for a message.
_PARENT_BYTES = 8
NO_PARENT = bytes(_PARENT_BYTES)


class _Visited(Protocol):
    """``NativeTable`` or ``IdTable``, whose payload is the start of the id of the tree in which one was found first."""

    def add_fresh(self, ids: bytes, payload: bytes, /) -> bytes:
        """Add the ids that are not there; returns them."""

    def get(self, identity: bytes, /) -> bytes | None:
        """The payload of an id."""

    def starting_with(self, start: bytes, /) -> bytes | None:
        """An id that starts so."""


class TreeFrontier:
    """Not thread-safe. A tree takes about 50 bytes."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._visited = _table()

    def fresh(self, tree_ids: bytes, parent: bytes = NO_PARENT) -> Sequence[bytes]:
        """Those of the trees (ids joined) that the walk comes to for the first time; noted, with the tree that names
        them."""
        return split_ids(self._visited.add_fresh(tree_ids, parent[:_PARENT_BYTES]))

    def wait(self, tree_id: bytes) -> None:
        """Have a tree read next."""
        self._waiting.append(tree_id)

    def enter(self, tree_ids: bytes, parent: bytes = NO_PARENT) -> None:
        """Have all of these (ids joined) read next that the walk comes to for the first time."""
        self._waiting.extend(self.fresh(tree_ids, parent))

    def next_trees(self) -> Iterator[bytes]:
        """Trees to be read, for as long as there are any; each counts as read once it is given out."""
        while self._waiting:
            yield self._waiting.pop()

    def parent_of(self, tree_id: bytes) -> bytes | None:
        """The tree that named it first; None for a root."""
        start = self._visited.get(tree_id)
        return None if start is None or start == NO_PARENT else self._visited.starting_with(start)


def _table() -> _Visited:
    kernel = native.kernel()
    if kernel is None:
        return IdTable(_PARENT_BYTES)
    from argosy.native.tables import NativeTable

    return NativeTable(kernel.library, _PARENT_BYTES)
