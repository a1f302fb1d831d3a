"""Makes a snapshot's trees anew where an editor changes something in them, bottom-up.

Whatever it leaves alone keeps its bytes, keys that nobody knows included.

Memory: the trees of the directories from the root down to where the rewriting stands; of a huge one what is stored of
it, and as much of the new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from argosy.errors import Damaged
from argosy.operations.id_table import IdTable
from argosy.operations.tree_walk import subtree_of
from argosy.repository.blobs import BlobReader
from argosy.repository.streamed_blob import TreeParts
from argosy.restic_format.node import Node, replace_subtree
from argosy.restic_format.tree_draft import Document, TreeDraft

RawNode = bytes | msgspec.Raw
Entry = tuple[RawNode, Node]


class Opened(msgspec.Struct):
    """The nodes of a tree, in order. ``changed``: some are left out already, or stand in another order."""

    entries: Iterator[Entry]
    changed: bool = False


class TreeEditor(Protocol):
    """Decides what becomes of each tree and node. Paths start with a slash; the root's is empty."""

    def open(self, tree_id: bytes, path: bytes, parts: TreeParts | Damaged) -> Opened:
        """The nodes of a directory's tree, given its parts, or why it cannot be read. May raise that."""

    def edit(self, path: bytes, raw: RawNode, node: Node) -> Entry | None:
        """What a node becomes: itself (the same object), another one, or None: it goes, with all below it."""


SaveTree = Callable[[bytes, Document], None]
"""Stores a tree, given its id and document, unless the repository has it."""


class _Directory(msgspec.Struct):
    """A directory that is being made anew. ``entered``: its node whose subtree is being made."""

    tree_id: bytes
    path: bytes
    opened: Opened
    draft: TreeDraft = msgspec.field(default_factory=TreeDraft)
    entered: tuple[RawNode, bytes] = (b"", b"")


class TreeRewriter:
    """``sound`` holds trees below which nothing changes, wherever they stand; None if the editor asks for the path."""

    def __init__(self, reader: BlobReader, editor: TreeEditor, save: SaveTree, sound: IdTable | None = None) -> None:
        self._reader = reader
        self._editor = editor
        self._save = save
        self._sound = sound

    def rewrite(self, root: bytes) -> bytes:
        """The id of what a snapshot's root tree becomes. Everything changed was given to ``save``."""
        directory = self._open(root, b"")
        above: list[_Directory] = []
        while True:
            entry = next(directory.opened.entries, None)
            if entry is not None:
                if (subtree := self._take(directory, *entry)) is not None:
                    above.append(directory)
                    directory = self._open(subtree, directory.path + b"/" + entry[1].name_bytes())
                continue
            tree_id = self._close(directory)
            if not above:
                return tree_id
            directory = above.pop()
            _settle(directory, tree_id)

    def _open(self, tree_id: bytes, path: bytes) -> _Directory:
        parts: TreeParts | Damaged
        try:
            parts = self._reader.load_tree(tree_id)
        except Damaged as error:
            parts = error
        return _Directory(tree_id, path, self._editor.open(tree_id, path, parts))

    def _take(self, directory: _Directory, raw: RawNode, node: Node) -> bytes | None:
        """Edit a node; returns the tree to be entered, if its directory must be."""
        path = directory.path + b"/" + node.name_bytes()
        edited = self._editor.edit(path, raw, node)
        if edited is None:
            directory.opened.changed = True
            return None
        if edited[0] is not raw:
            directory.opened.changed = True
        if edited[1].type == "dir":
            subtree = subtree_of(edited[1], path)
            if self._sound is None or subtree not in self._sound:
                directory.entered = (edited[0], subtree)
                return subtree
        directory.draft.add(edited[0])
        return None

    def _close(self, directory: _Directory) -> bytes:
        if not directory.opened.changed:
            if self._sound is not None:
                self._sound.add(directory.tree_id)
            return directory.tree_id
        tree_id, tree = directory.draft.finish()
        self._save(tree_id, tree)
        return tree_id


def _settle(directory: _Directory, tree_id: bytes) -> None:
    raw, before = directory.entered
    if tree_id != before:
        raw = replace_subtree(bytes(raw), before, tree_id)
        directory.opened.changed = True
    directory.draft.add(raw)
