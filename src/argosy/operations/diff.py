"""`argosy diff`: what changed from one snapshot to another, told while it is found.

Directories with the same tree hold the same and are not descended to find changes. For the exact number of blobs that
came and went they are read afterwards, each tree once: a blob that is also in an unchanged directory is neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import msgspec

from argosy.errors import Damaged
from argosy.operations.id_table import IdTable
from argosy.operations.session import Access, open_session
from argosy.operations.tree_walk import load_nodes, subtree_of, walk_tree
from argosy.repository.blobs import BlobReader
from argosy.repository.lookup import DedupLookup
from argosy.repository.snapshots import StoredSnapshot, find_subtree, resolve_snapshot
from argosy.restic_format.blob import BlobType
from argosy.restic_format.node import Node

Pair = tuple[Node | None, Node | None]
Problem = Callable[[bytes, Damaged], None]

_BEFORE, _AFTER, _COMMON = 1, 2, 4


class DiffOptions(msgspec.Struct, frozen=True):
    """``before`` and ``after``: the start of an id or ``latest``, with ``:PATH``, the directory to compare.

    ``metadata``: also tell entries of which only mode, owner, times or the like changed. With ``blobs`` False blobs are
    not counted, and unchanged directories not read.
    """

    before: str
    after: str
    metadata: bool = False
    blobs: bool = True


class SideCounts(msgspec.Struct):
    """What is on one side only; ``size_bytes`` of the blobs, before compression."""

    files: int = 0
    directories: int = 0
    others: int = 0
    data_blobs: int = 0
    tree_blobs: int = 0
    size_bytes: int = 0

    def count(self, node: Node) -> None:
        """Count an entry."""
        if node.type == "file":
            self.files += 1
        elif node.type == "dir":
            self.directories += 1
        else:
            self.others += 1


class DiffResult(msgspec.Struct):
    """Counts; ``problems``: directories and blobs that could not be read, so that the counts are too low."""

    changed_files: int = 0
    added: SideCounts = msgspec.field(default_factory=SideCounts)
    removed: SideCounts = msgspec.field(default_factory=SideCounts)
    problems: int = 0

    @property
    def exit_code(self) -> int:
        """0, or 1 if something could not be read."""
        return 1 if self.problems else 0


class DiffListener(Protocol):
    """Hears of what is found, in order of path."""

    def snapshots(self, before: StoredSnapshot, after: StoredSnapshot) -> None:
        """Comes first."""

    def change(self, path: bytes, modifier: str) -> None:
        """``modifier`` is restic's: +, -, M, M?, U, T or a sum of them. A directory's path ends with a slash."""

    def problem(self, path: bytes, error: Damaged) -> None:
        """Something could not be read, and is left out."""


def run_diff(access: Access, options: DiffOptions, listener: DiffListener) -> DiffResult:
    """Compare. SnapshotMissing if there is no such snapshot or directory."""
    with open_session(access) as session:
        before, path_before = resolve_snapshot(session.repository, options.before)
        after, path_after = resolve_snapshot(session.repository, options.after)
        listener.snapshots(before, after)
        lookup = session.open_lookup()
        reader = session.blob_reader(lookup)
        roots = (
            find_subtree(reader, before.snapshot.tree, path_before),
            find_subtree(reader, after.snapshot.tree, path_after),
        )
        comparison = Comparison(reader, options, listener)
        comparison.run(*roots)
        if options.blobs:
            comparison.blobs.count(lookup, comparison.result)
    return comparison.result


class Comparison:
    """Walks both trees at once."""

    def __init__(self, reader: BlobReader, options: DiffOptions, listener: DiffListener) -> None:
        self.result = DiffResult()
        self.blobs = _BlobSides(reader, self._problem) if options.blobs else _NoBlobs()
        self._reader = reader
        self._metadata = options.metadata
        self._listener = listener

    def run(self, before: bytes, after: bytes) -> None:
        """Compare two trees and all below."""
        self.blobs.tree(before, _BEFORE)
        self.blobs.tree(after, _AFTER)
        stack = [(b"/", self._pairs(before, after))]
        while stack:
            directory, pairs = stack[-1]
            try:
                pair = next(pairs, None)
                below = None if pair is None else self._compare(directory, *pair)
            except Damaged as error:
                self._problem(directory, error)
                pair = below = None
            if pair is None:
                stack.pop()
            elif below is not None:
                stack.append(below)

    def _compare(
        self, directory: bytes, before: Node | None, after: Node | None
    ) -> tuple[bytes, Iterator[Pair]] | None:
        """Tell of an entry; returns its path and what is in it where that is to be compared."""
        last = after or before
        assert last is not None
        path = directory + last.name_bytes() + (b"/" if last.type == "dir" else b"")
        if before is not None:
            self.blobs.node(before, path, _BEFORE)
        if after is not None:
            self.blobs.node(after, path, _AFTER)
        if before is not None and after is not None:
            return self._compare_both(path, before, after)
        self._listener.change(path, "-" if after is None else "+")
        (self.result.removed if after is None else self.result.added).count(last)
        if last.type != "dir":
            return None
        subtree = subtree_of(last, path)
        return path, self._pairs(subtree, None) if after is None else self._pairs(None, subtree)

    def _compare_both(self, path: bytes, before: Node, after: Node) -> tuple[bytes, Iterator[Pair]] | None:
        modifier = "T" if before.type != after.type else ""
        if before.type == after.type == "file" and before.content != after.content:
            self.result.changed_files += 1
            modifier += "M?" if _metadata(before) == _metadata(after) else "M"
        elif self._metadata and (before.content != after.content or _metadata(before) != _metadata(after)):
            modifier += "U"
        if modifier:
            self._listener.change(path, modifier)
        if not before.type == after.type == "dir":
            return None
        trees = subtree_of(before, path), subtree_of(after, path)
        if trees[0] == trees[1]:
            self.blobs.common(trees[0])
            return None
        return path, self._pairs(*trees)

    def _pairs(self, before: bytes | None, after: bytes | None) -> Iterator[Pair]:
        yield from _join(
            iter(()) if before is None else load_nodes(self._reader, before),
            iter(()) if after is None else load_nodes(self._reader, after),
        )

    def _problem(self, path: bytes, error: Damaged) -> None:
        self.result.problems += 1
        self._listener.problem(path, error)


class _NoBlobs:
    """Counts none."""

    def node(self, node: Node, path: bytes, side: int) -> None:
        """Nothing."""

    def tree(self, tree_id: bytes, side: int) -> None:
        """Nothing."""

    def common(self, tree_id: bytes) -> None:
        """Nothing."""

    def count(self, lookup: DedupLookup, result: DiffResult) -> None:
        """Nothing."""


class _BlobSides(_NoBlobs):
    """On which sides each blob is: 35 bytes of memory for each that is not in unchanged directories alone."""

    def __init__(self, reader: BlobReader, problem: Problem) -> None:
        self._reader = reader
        self._problem = problem
        self._sides = {BlobType.DATA: IdTable(1), BlobType.TREE: IdTable(1)}
        self._unchanged: dict[bytes, None] = {}

    def node(self, node: Node, path: bytes, side: int) -> None:
        """The blobs of an entry."""
        if node.type == "file":
            for blob_id in node.content_ids():
                self._mark(BlobType.DATA, blob_id, side)
        elif node.type == "dir":
            self.tree(subtree_of(node, path), side)

    def tree(self, tree_id: bytes, side: int) -> None:
        """The blob of a tree."""
        self._mark(BlobType.TREE, tree_id, side)

    def common(self, tree_id: bytes) -> None:
        """A directory that is the same on both sides."""
        self._unchanged[tree_id] = None

    def count(self, lookup: DedupLookup, result: DiffResult) -> None:
        """Add up the blobs of one side."""
        self._look_into_unchanged()
        for blob_type, table in self._sides.items():
            for blob_id, sides in table:
                counts = {_BEFORE: result.removed, _AFTER: result.added}.get(sides[0])
                if counts is not None:
                    self._count(lookup, counts, blob_type, blob_id)

    def _count(self, lookup: DedupLookup, counts: SideCounts, blob_type: BlobType, blob_id: bytes) -> None:
        if blob_type == BlobType.DATA:
            counts.data_blobs += 1
        else:
            counts.tree_blobs += 1
        places = lookup.find(blob_id, blob_type)
        if places:
            counts.size_bytes += places[0].plaintext_bytes
        else:
            what = f"blob {blob_id.hex()} is in no index"
            self._problem(b"/", Damaged(what, hint="Run `argosy check` to see what else is missing."))

    def _look_into_unchanged(self) -> None:
        seen = IdTable()

        def enters(path: bytes, node: Node) -> bool:
            return seen.add(subtree_of(node, path))

        for tree_id in self._unchanged:
            if not seen.add(tree_id):
                continue
            for visit in walk_tree(self._reader, tree_id, enter=enters, unreadable=self._problem):
                if visit.left:
                    continue
                if visit.node.type == "file":
                    for blob_id in visit.node.content_ids():
                        self._mark_common(BlobType.DATA, blob_id)
                elif visit.node.type == "dir":
                    self._mark_common(BlobType.TREE, subtree_of(visit.node, visit.path))

    def _mark(self, blob_type: BlobType, blob_id: bytes, side: int) -> None:
        table = self._sides[blob_type]
        if not table.add(blob_id, bytes((side,))):
            sides = (table.get(blob_id) or b"\0")[0]
            if sides | side != sides:
                table.replace(blob_id, bytes((sides | side,)))

    def _mark_common(self, blob_type: BlobType, blob_id: bytes) -> None:
        table = self._sides[blob_type]
        if blob_id in table:
            table.replace(blob_id, bytes((_COMMON,)))


def _join(before: Iterator[Node], after: Iterator[Node]) -> Iterable[Pair]:
    """Two lists of nodes in order of their names, side by side."""
    left, right = next(before, None), next(after, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left.name_bytes() < right.name_bytes()):
            yield left, None
            left = next(before, None)
        elif left is None or right.name_bytes() < left.name_bytes():
            yield None, right
            right = next(after, None)
        else:
            yield left, right
            left, right = next(before, None), next(after, None)


def _metadata(node: Node) -> tuple[object, ...]:
    """All of a node but its content, so that equal ones compare as equal (restic's Node.Equals)."""
    attributes = bytes(node.generic_attributes)
    return (
        (node.name, node.type, node.mode, node.mtime_ns(), node.atime_ns(), node.ctime_ns()),
        (node.uid, node.gid, node.user, node.group, node.inode, node.device_id, node.size, node.links, node.device),
        (node.linktarget_bytes(), sorted(node.xattrs()), node.subtree, node.error),
        (msgspec.json.decode(attributes) if attributes else None) or None,
    )
