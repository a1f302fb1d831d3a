"""The walk over all trees that some roots reach, each once: which were come to, and which are to be read next.

Depth first, so that what waits stays short. It reads nothing itself: a check has its workers read the trees, a prune
reads them itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from argosy.operations.id_table import IdTable

# The part of a parent's id that is remembered; enough to find it again for a message.
_PARENT_BYTES = 8
NO_PARENT = bytes(_PARENT_BYTES)


class TreeFrontier:
    """Not thread-safe. A tree takes 42 bytes."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        # Payload: the start of the id of the tree in which it was found first.
        self._visited = IdTable(_PARENT_BYTES)

    def is_new(self, tree_id: bytes, parent: bytes = NO_PARENT) -> bool:
        """Whether the walk comes to a tree for the first time; if so it is noted, with the tree that names it."""
        return self._visited.add(tree_id, parent[:_PARENT_BYTES])

    def wait(self, tree_id: bytes) -> None:
        """Have a tree read next."""
        self._waiting.append(tree_id)

    def enter(self, tree_ids: Iterable[bytes], parent: bytes = NO_PARENT) -> None:
        """Have all of these read next that the walk comes to for the first time."""
        self._waiting.extend(tree_id for tree_id in tree_ids if self.is_new(tree_id, parent))

    def next_trees(self) -> Iterator[bytes]:
        """Trees to be read, for as long as there are any; each counts as read once it is given out."""
        while self._waiting:
            yield self._waiting.pop()

    def parent_of(self, tree_id: bytes) -> bytes | None:
        """The tree that named it first; None for a root."""
        start = self._visited.get(tree_id)
        return None if start is None or start == NO_PARENT else self._visited.starting_with(start)
