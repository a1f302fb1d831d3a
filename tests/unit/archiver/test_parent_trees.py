"""Trees of the parent: read once where a new one is built upon them, with bounded memory."""

from __future__ import annotations

import pytest

from argosy.archiver import parent_trees
from argosy.archiver.parent import CompareOptions, ParentTree
from argosy.archiver.parent_trees import ParentTrees
from argosy.filesystem.directory import Entry
from argosy.restic_format.blob import BlobType, blob_id
from argosy.restic_format.tree import encode_tree
from tests.support.trees_at_hand import TreesAtHand
from tests.unit.archiver.conftest import file_node, stat_of

TREES = {
    blob_id(tree): tree for tree in (encode_tree([file_node(Entry(name, stat_of()), "x")]) for name in (b"a", b"b"))
}
FIRST, SECOND = TREES


class Trees(TreesAtHand):
    """Counts what is read."""

    def __init__(self) -> None:
        super().__init__(TREES.__getitem__)
        self.read: list[bytes] = []

    def load_sealed(self, blob_id: bytes, blob_type: BlobType, /):  # type: ignore[no-untyped-def]  # as there
        self.read.append(blob_id)
        return super().load_sealed(blob_id, blob_type)


def opened(parents: ParentTrees, tree_id: bytes) -> ParentTree:
    parent = parents.open(tree_id, CompareOptions())
    assert parent is not None
    return parent


def test_a_tree_that_is_kept_is_not_read_again_until_it_was_taken() -> None:
    trees = Trees()
    parents = ParentTrees(trees, set, proved=True)
    parents.keep(opened(parents, FIRST))
    opened(parents, SECOND)
    assert parents.take(FIRST) == TREES[FIRST]
    assert trees.read == [FIRST, SECOND]
    assert parents.take(FIRST) == TREES[FIRST]
    assert parents.take(SECOND) == TREES[SECOND]
    assert trees.read == [FIRST, SECOND, FIRST, SECOND]


def test_no_more_is_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent_trees, "KEPT_BYTES", len(TREES[FIRST]))
    trees = Trees()
    parents = ParentTrees(trees, set, proved=True)
    for tree_id in (FIRST, FIRST, SECOND):
        parents.keep(opened(parents, tree_id))
    trees.read.clear()
    assert parents.take(SECOND) == TREES[SECOND]
    assert parents.take(FIRST) == TREES[FIRST]
    assert trees.read == [SECOND], "what came first is kept"
    parents.keep(opened(parents, SECOND))
    trees.read.clear()
    assert parents.take(SECOND) == TREES[SECOND]
    assert not trees.read, "the room of what was taken is free"
