"""Which blobs snapshots use: the ids of all trees that they reach, and of the data that these name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from argosy.operations.prune.blob_marks import BlobMarks, blob_marks
from argosy.operations.tree_frontier import TreeFrontier
from argosy.repository.blobs import BlobReader
from argosy.restic_format.blob import BlobType
from argosy.restic_format.tree import tree_names

# Read together, in order of packs.
_TREES_AT_ONCE = 256


def find_used(reader: BlobReader, roots: Iterable[bytes], stop: Callable[[], None]) -> BlobMarks:
    """All blobs below these trees, not seen yet. Damaged if a tree cannot be read; ``stop`` raises to end it."""
    used, frontier = blob_marks(), TreeFrontier()
    frontier.enter(b"".join(roots))
    while trees := list(islice(frontier.next_trees(), _TREES_AT_ONCE)):
        stop()
        used.add(BlobType.TREE, b"".join(trees))
        for tree_id, data in reader.load_many(trees, BlobType.TREE):
            names = tree_names(data, f"tree {tree_id.hex()}")
            used.add(BlobType.DATA, names.contents)
            frontier.enter(names.subtrees, tree_id)
    return used
