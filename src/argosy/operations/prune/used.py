"""Which blobs snapshots use: the ids of all trees that they reach, and of the data that these name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from argosy.operations.prune.blob_marks import BlobMarks, blob_marks
from argosy.operations.tree_frontier import TreeFrontier
from argosy.operations.tree_names import read_tree_names
from argosy.repository.blobs import BlobReader
from argosy.restic_format.blob import BlobType
from argosy.restic_format.tree import TreeNames, part_names

if TYPE_CHECKING:
    from argosy.native.bindings import Session

# Read together, in order of packs.
_TREES_AT_ONCE = 256


def find_used(
    reader: BlobReader, roots: Iterable[bytes], stop: Callable[[], None], session: Session | None = None
) -> BlobMarks:
    """All blobs below these trees, not seen yet. Damaged if a tree cannot be read; ``stop`` raises to end it.

    With a ``session`` the native kernel looks at the trees, many at a time.
    """
    used, frontier = blob_marks(), TreeFrontier()
    frontier.enter(b"".join(roots))
    while trees := list(islice(frontier.next_trees(), _TREES_AT_ONCE)):
        stop()
        used.add(BlobType.TREE, b"".join(trees))
        for tree_id, names in _names(reader, session, trees):
            used.add(BlobType.DATA, names.contents)
            frontier.enter(names.subtrees, tree_id)
    return used


def _names(reader: BlobReader, session: Session | None, tree_ids: Sequence[bytes]) -> Iterator[tuple[bytes, TreeNames]]:
    if session is None:
        for tree_id, parts in reader.load_trees(tree_ids):
            for names in part_names(parts, f"tree {tree_id.hex()}"):
                yield tree_id, names
        return
    for tree_id, found in read_tree_names(reader, session, tree_ids):
        several = part_names(reader.load_tree(tree_id), f"tree {tree_id.hex()}") if found is None else (found,)
        for names in several:
            yield tree_id, names
