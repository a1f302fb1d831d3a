"""The walk over all trees that snapshots reach: each is looked at once, whatever the number of snapshots.

The workers read the trees; here is known which come next (``tree_frontier``), and whether what they name is in an
index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from argosy.errors import ArgosyError, Damaged
from argosy.operations.check.inventory import KnownBlobs
from argosy.operations.check.messages import TreeFound, TreeWork
from argosy.operations.check.options import Part, Problem
from argosy.operations.check.tree_checks import shown_name
from argosy.operations.tree_frontier import TreeFrontier
from argosy.repository.blob_location import Location
from argosy.repository.snapshots import StoredSnapshot
from argosy.restic_format.node import Node, decode_node
from argosy.restic_format.tree import raw_nodes

_TREES_A_TASK = 64
_BYTES_A_TASK = 2 * 1024 * 1024
# A path in a message has an end even if what was read makes a ring.
_MOST_NAMES = 4096

LoadTree = Callable[[bytes], Iterable[bytes]]


class TreeWalk:
    """``load_tree`` reads a tree here, in the master, in parts: only to say in which directory a problem is.

    With ``complete`` False some index could not be read: that something is in no index is then no problem of its own.
    """

    def __init__(
        self, blobs: KnownBlobs, load_tree: LoadTree, problem: Callable[[Problem], None], *, complete: bool
    ) -> None:
        self._blobs = blobs
        self._load_tree = load_tree
        self._problem = problem
        self._complete = complete
        self._frontier = TreeFrontier()
        self._unknown = 0

    @property
    def not_looked_at(self) -> int:
        """How many trees or blobs no index lists that could be read, where one could not."""
        return self._unknown

    def add_snapshot(self, stored: StoredSnapshot) -> None:
        """Start from a snapshot's root."""
        self._wait(self._frontier.fresh(stored.snapshot.tree), f"snapshot {stored.id.hex()}")

    def next_work(self) -> TreeWork | None:
        """Trees to look at next, those of one pack side by side; None while none waits."""
        tree_ids = list(islice(self._frontier.next_trees(), _TREES_A_TASK))
        trees: list[tuple[bytes, list[Location]]] = []
        size_bytes = 0
        for tree_id, places in zip(tree_ids, self._blobs.find_trees(tree_ids), strict=True):
            if size_bytes < _BYTES_A_TASK:
                trees.append((tree_id, places))
                size_bytes += places[0].length
            else:
                self._frontier.wait(tree_id)
        return TreeWork(trees) if trees else None

    def found(self, trees: Sequence[TreeFound]) -> None:
        """Take what a worker found in trees, or in parts of them."""
        for tree in trees:
            for reason in tree.problems:
                self._problem(Problem(Part.TREE, self._describe(tree.id), reason, tree.id))
        fresh = self._frontier.fresh
        self._wait([subtree for tree in trees if tree.subtrees for subtree in fresh(tree.subtrees, tree.id)], "")
        if self._blobs.missing(b"".join([tree.contents for tree in trees])):
            for tree in trees:
                self._look_for_contents(tree)

    def lost(self, work: TreeWork, reason: str) -> None:
        """A task that cannot be done: its trees are named."""
        for tree_id, _ in work.trees:
            self._problem(Problem(Part.TREE, self._describe(tree_id), reason, tree_id))

    def _wait(self, tree_ids: Sequence[bytes], named_by: str) -> None:
        """Have trees that are new looked at, but for those in no index."""
        missing = set(self._blobs.missing_trees(b"".join(tree_ids)))
        for tree_id in tree_ids:
            if tree_id not in missing:
                self._frontier.wait(tree_id)
            elif self._complete:
                what = self._describe(tree_id)
                reason = "it is in no index" + (f"; {named_by} needs it" if named_by else "")
                self._problem(Problem(Part.TREE, what, reason, tree_id))
            else:
                self._unknown += 1

    def _look_for_contents(self, tree: TreeFound) -> None:
        missing = self._blobs.missing(tree.contents)
        if missing and self._complete:
            self._report_missing(tree.id, self._describe(tree.id), set(missing))
        self._unknown += len(missing)

    def _report_missing(self, tree_id: bytes, where: str, missing: set[bytes]) -> None:
        unnamed = set(missing)
        for node in self._nodes(tree_id):
            for blob_id in missing.intersection(_content_ids(node)):
                unnamed.discard(blob_id)
                reason = f"file {shown_name(node.name.encode())} needs blob {blob_id.hex()}, which is in no index"
                self._problem(Problem(Part.BLOB, where, reason, blob_id))
        for blob_id in sorted(unnamed):
            reason = f"a file needs blob {blob_id.hex()}, which is in no index"
            self._problem(Problem(Part.BLOB, where, reason, blob_id))

    def _nodes(self, tree_id: bytes) -> Iterator[Node]:
        """The nodes of a tree that can be decoded, in whatever order. None, if the tree cannot be read here."""
        try:
            for part in self._load_tree(tree_id):
                for raw in raw_nodes(part, "tree"):
                    yield decode_node(raw)
        except ArgosyError:
            return

    def _describe(self, tree_id: bytes) -> str:
        """The tree's id and, where it can be found out, the path of its directory in the first snapshot that has it."""
        names: list[str] = []
        child = tree_id
        while (parent := self._frontier.parent_of(child)) is not None and len(names) < _MOST_NAMES:
            text = child.hex()
            name = next((node.name for node in self._nodes(parent) if node.subtree == text), None)
            if name is None:
                return f"tree {tree_id.hex()}"
            names.append(name)
            child = parent
        return f"tree {tree_id.hex()} ({shown_name('/'.join(['', *reversed(names)] if names else ['/']).encode())})"


def _content_ids(node: Node) -> list[bytes]:
    try:
        return node.content_ids()
    except Damaged:
        return []
