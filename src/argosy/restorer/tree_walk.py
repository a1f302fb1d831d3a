"""The trees of a snapshot, depth first: which entries are restored, each directory judged on its own.

Every name is hostile until proved otherwise: one that could lead out of its directory, or that a directory has twice,
is reported and left out, and nothing is deleted in that directory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import msgspec

from argosy.errors import ArgosyError, Damaged, StorageError
from argosy.restic_format.ids import decode_id
from argosy.restic_format.tree import raw_nodes
from argosy.restorer.cuts import Cuts
from argosy.restorer.ledger import Ledger, LedgerEntry
from argosy.restorer.seen_names import SeenNames
from argosy.restorer.selection import Selection
from argosy.restorer.tree_nodes import Glance, decode_glances, pieces, usable_name

LoadTree = Callable[[bytes], Iterable[bytes]]
Report = Callable[[bytes, str], None]

Positioned = tuple[int, bytes]


class Piece(msgspec.Struct):
    """A run of a directory's entries, ``tree`` with their nodes; ``nodes`` gives each as JSON.

    ``chosen`` are the positions of what is restored in a batch, ``sizes`` that content's bytes. ``linked`` have several
    names and ``large`` are large files, each with its name; neither is in ``chosen``. ``complete``: ``tree`` holds
    nothing that batches must not have. ``alone``: it holds all that there is in the directory and below it.
    """

    tree: bytes
    what: str
    chosen: list[int] = msgspec.field(default_factory=list)
    sizes: list[int] = msgspec.field(default_factory=list)
    linked: list[Positioned] = msgspec.field(default_factory=list)
    large: list[Positioned] = msgspec.field(default_factory=list)
    complete: bool = True
    alone: bool = False

    def nodes(self) -> list[msgspec.Raw]:
        """The JSON of each node."""
        return raw_nodes(self.tree, self.what)


class _Pending(msgspec.Struct):
    """A directory that was seen in its parent's tree and is to be walked."""

    parent: LedgerEntry | None
    path: bytes
    node: bytes
    tree_id: bytes
    chosen: bool


class TreeWalk:
    """Walks from a root tree. ``tolerated`` are failures of the store that cost one directory, not the restore.

    ``expected_bytes`` is how much the files come to that will be met; infinity if nobody knows.
    """

    def __init__(
        self,
        root_tree: bytes,
        load_tree: LoadTree,
        selection: Selection,
        ledger: Ledger,
        report: Report,
        cuts: Cuts,
        *,
        delete: bool,
        tolerated: tuple[type[StorageError], ...],
        expected_bytes: float = math.inf,
    ) -> None:
        self._load_tree = load_tree
        self._selection = selection
        self._ledger = ledger
        self._report = report
        self._cuts = cuts
        self._left_bytes = expected_bytes
        self._delete = delete
        self._tolerated: tuple[type[ArgosyError], ...] = (Damaged, *tolerated)
        self._stack = [_Pending(None, b"", b"", root_tree, chosen=True)]

    @property
    def over(self) -> bool:
        """Whether every directory has been walked."""
        return not self._stack

    def next_directory(self) -> tuple[LedgerEntry, Iterator[Piece]]:
        """The next directory and its entries. The caller reads them all, calls the ledger's ``walked``, and only then
        asks for the next."""
        pending = self._stack.pop()
        entry = self._ledger.begin(pending.parent, pending.path, pending.node)
        if pending.chosen:
            self._ledger.touch(entry)
        return entry, self._pieces(entry, pending.tree_id)

    def _pieces(self, entry: LedgerEntry, tree_id: bytes) -> Iterator[Piece]:
        if entry.lost:
            return
        what = f"tree {tree_id.hex()}"
        found: list[_Pending] = []
        names = SeenNames()
        sound = True
        try:
            for part, is_whole in pieces(self._load_tree(tree_id), self._cuts.entries, what):
                piece = Piece(part, what)
                sound = self._judge(entry, piece, names, found) and sound
                piece.alone = is_whole and not (found or piece.linked or piece.large)
                # A directory's first piece is its last where it matters: then the names are all known.
                if self._delete and sound and piece.alone:
                    entry.kept = names.all()
                yield piece
                # Some time may have passed.
                if entry.lost:
                    return
        except self._tolerated as error:
            entry.broken = True
            self._report(b"/" + entry.path, f"nothing below it could be restored: {error}")
            return
        if self._delete:
            entry.kept = names.all() if sound else None
        for pending in reversed(found):
            entry.awaited += 1
            self._stack.append(pending)

    def _judge(self, entry: LedgerEntry, piece: Piece, names: SeenNames, found: list[_Pending]) -> bool:
        """Sort a piece's entries; False if there is one that may not be."""
        glances = decode_glances(piece.tree, piece.what)
        directory = b"/" + entry.path
        usable, sound = self._usable_names(glances, names, directory)
        selected = None
        if not self._selection.everything:
            selected = self._selection.chosen(directory, [name for name in usable if name is not None])
        directories: list[Positioned] = []
        least_large = self._cuts.least_large
        for at, (glance, name) in enumerate(zip(glances, usable, strict=True)):
            kind = glance.type
            if name is None:
                piece.complete = False
            elif kind == "dir":
                directories.append((at, name))
            elif kind == "socket":
                continue
            elif selected is not None and name not in selected:
                piece.complete = False
            elif glance.links > 1:
                piece.linked.append((at, name))
                piece.complete = False
            elif kind == "file" and glance.size >= least_large and self._is_large(glance.size, piece):
                piece.large.append((at, name))
                piece.complete = False
                self._left_bytes -= glance.size
            else:
                piece.chosen.append(at)
                piece.sizes.append(glance.size if kind == "file" else 0)
        self._left_bytes -= sum(piece.sizes)
        if directories:
            nodes = piece.nodes()
            for at, name in directories:
                chosen = selected is None or name in selected
                sound = self._see_directory(entry, name, glances[at], nodes[at], chosen, found) and sound
        return sound

    def _is_large(self, size_bytes: int, piece: Piece) -> bool:
        """Whether the piece's next file is cut, by its size and by what is left with it."""
        return size_bytes >= self._cuts.large_from(self._left_bytes - sum(piece.sizes))

    def _usable_names(
        self, glances: list[Glance], names: SeenNames, directory: bytes
    ) -> tuple[list[bytes | None], bool]:
        """Each entry's name, None for one that is left out; and whether none is."""
        usable: list[bytes | None] = []
        sound = True
        for glance in glances:
            name = usable_name(glance.name)
            if name is None:
                self._report(directory, f"the name {glance.name!r} in it may not be written: it is left out")
            elif not names.is_new(name):
                self._report(directory, f"the name {glance.name!r} is in it twice: the second is left out")
                name = None
            if name is None:
                sound = False
            usable.append(name)
        return usable, sound

    def _see_directory(
        self,
        entry: LedgerEntry,
        name: bytes,
        glance: Glance,
        node: msgspec.Raw,
        chosen: bool,
        found: list[_Pending],
    ) -> bool:
        path = entry.path + b"/" + name if entry.path else name
        if not chosen and not self._selection.enters(b"/" + path, chosen):
            return True
        try:
            tree_id = decode_id(glance.subtree or "", f"the subtree of {glance.name!r}")
        except Damaged as error:
            self._report(b"/" + path, f"nothing below it could be restored: {error}")
            return False
        found.append(_Pending(entry, path, bytes(node), tree_id, chosen))
        return True
