"""From a snapshot to tasks, one at a time, with memory bounded by the depth of its trees.

Entries go into the open batch as they are met. Further names of a file wait until the task with its first name is done.
Large files are cut into segments as these are asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from argosy.errors import Damaged
from argosy.restic_format.node import Node, decode_node
from argosy.restorer.cuts import Cuts
from argosy.restorer.hard_links import FirstNames
from argosy.restorer.large_files import LargeFile
from argosy.restorer.ledger import Ledger, LedgerEntry
from argosy.restorer.locations import location_of
from argosy.restorer.messages import Link, Part, RestoreWork
from argosy.restorer.tree_nodes import join_nodes
from argosy.restorer.tree_walk import Piece, Report, TreeWalk

# Nodes with long lists of blobs or large attributes.
_BATCH_JSON_BYTES = 4 * 1024 * 1024
# One file may have any number of names; those that wait for the first are in memory.
_WAITING_MOST = 20_000

MakeLargeFile = Callable[[int, LedgerEntry, bytes, Node], LargeFile]


class _OpenPart(msgspec.Struct):
    """A part of the open batch: a tree as it is, or nodes."""

    entry: LedgerEntry
    tree: bytes = b""
    nodes: list[msgspec.Raw] = msgspec.field(default_factory=list)
    whole: bool = False

    def close(self) -> Part:
        """The part as it is sent."""
        entry = self.entry
        return Part(
            entry.number,
            entry.path,
            self.tree or join_nodes(self.nodes),
            self.whole,
            entry.node if self.whole else b"",
            entry.kept if self.whole else None,
        )


class Plan:
    """The tasks of one restore. Not thread-safe. ``entries`` and ``size_bytes`` count what was met but directories."""

    def __init__(
        self,
        walk: TreeWalk,
        ledger: Ledger,
        firsts: FirstNames,
        make_large_file: MakeLargeFile,
        report: Report,
        limits: Cuts,
    ) -> None:
        self._walk = walk
        self._ledger = ledger
        self._firsts = firsts
        self._make_large_file = make_large_file
        self._report = report
        self._limits = limits
        self._taken: tuple[LedgerEntry, Iterator[Piece]] | None = None
        self._full: deque[tuple[int, RestoreWork]] = deque()
        self._large: deque[LargeFile] = deque()
        self._waiting: dict[int, list[tuple[LedgerEntry, Link]]] = {}
        self._waiting_names = 0
        self._unfinished: set[int] = set()
        self._last_number = 0
        self._begin_batch()
        self.entries = 0
        self.size_bytes = 0

    @property
    def exhausted(self) -> bool:
        """Whether nothing more will come."""
        return self._walked and not (self._full or self._large or self._waiting or self._parts or self._links)

    def next_work(self) -> tuple[int, RestoreWork] | None:
        """The next task with its number; None if there is none, or none before some task is done."""
        while not self._full:
            if self._large:
                segment = self._large[0].next_segment()
                if segment is not None:
                    return self._next_number(), RestoreWork(segment=segment)
                self._large.popleft()
            elif self._waiting_names >= _WAITING_MOST:
                return None
            elif not self._walked:
                self._take_pieces()
            elif self._parts or self._links:
                self._close_batch()
            else:
                return None
        return self._full.popleft()

    def done(self, number: int) -> None:
        """The task, or the large file, of this number is done: names that waited for it can follow."""
        self._unfinished.discard(number)
        for entry, link in self._waiting.pop(number, ()):
            self._waiting_names -= 1
            self._add_link(entry, link)

    def _next_number(self) -> int:
        self._last_number += 1
        self._unfinished.add(self._last_number)
        return self._last_number

    # -- directories --------------------------------------------------------------------------------------------

    @property
    def _walked(self) -> bool:
        return self._taken is None and self._walk.over

    def _take_pieces(self) -> None:
        """Pieces of the directory in hand until a task is full: a directory of millions is not there all at once."""
        if self._taken is None:
            self._taken = self._walk.next_directory()
        entry, found = self._taken
        for piece in found:
            if piece.chosen:
                self._ledger.touch(entry)
            if piece.linked or piece.large:
                self._take_apart(entry, piece)
            if entry.touched:
                self._add_piece(entry, piece)
            if self._full:
                return
        self._taken = None
        self._ledger.walked(entry)

    def _take_apart(self, entry: LedgerEntry, piece: Piece) -> None:
        """Entries that need more than a place in a batch."""
        nodes = piece.nodes()
        self._ledger.touch(entry)
        for at, name in piece.linked:
            self._see_linked(entry, name, nodes[at])
        for at, name in piece.large:
            self._add_large(self._next_number(), entry, name, nodes[at])

    def _see_linked(self, entry: LedgerEntry, name: bytes, raw: msgspec.Raw) -> None:
        """A name of a file with several: the first to be met is restored as any other, the others become links."""
        try:
            node = decode_node(raw)
        except Damaged as error:
            self._report(location_of(entry.path, name), error.message)
            return
        is_large = node.type == "file" and node.size >= self._limits.large_bytes
        if not is_large:
            self._make_room(1, node.size)
        number = self._next_number() if is_large else self._batch_number
        first = self._firsts.first_of(node, entry.path, name, number)
        if first is None and is_large:
            self._add_large(number, entry, name, raw)
        elif first is None:
            self._add_node(entry, raw, node.size)
        else:
            if is_large:
                self._unfinished.discard(number)
            self._see_link(entry, Link(entry.number, entry.path, bytes(raw), first.path, first.name), first.work)

    def _see_link(self, entry: LedgerEntry, link: Link, first_work: int) -> None:
        entry.awaited += 1
        self.entries += 1
        if first_work in self._unfinished and first_work != self._batch_number:
            self._waiting.setdefault(first_work, []).append((entry, link))
            self._waiting_names += 1
        else:
            self._add_link(entry, link)

    def _add_large(self, number: int, entry: LedgerEntry, name: bytes, raw: msgspec.Raw) -> None:
        try:
            large_file = self._make_large_file(number, entry, name, decode_node(raw))
        except Damaged as error:
            self._unfinished.discard(number)
            self._report(location_of(entry.path, name), error.message)
            return
        entry.awaited += 1
        self.entries += 1
        self.size_bytes += large_file.node.size
        self._large.append(large_file)

    # -- batches ------------------------------------------------------------------------------------------------

    def _add_piece(self, entry: LedgerEntry, piece: Piece) -> None:
        size_bytes = sum(piece.sizes)
        fits = len(piece.chosen) <= self._limits.entries and size_bytes <= self._limits.size_bytes
        if fits and (piece.alone or piece.complete) and (piece.alone or piece.chosen):
            self._make_room(len(piece.chosen), size_bytes)
            tree = piece.tree
            if not piece.complete:
                nodes = piece.nodes()
                tree = join_nodes([nodes[at] for at in piece.chosen])
            self._add_part(_OpenPart(entry, tree, whole=piece.alone), len(piece.chosen), size_bytes, len(tree))
        elif piece.chosen:
            self._add_sliced(entry, piece)

    def _add_sliced(self, entry: LedgerEntry, piece: Piece) -> None:
        """The chosen entries in as many batches as they fill."""
        nodes = piece.nodes()
        for at, size_bytes in zip(piece.chosen, piece.sizes, strict=True):
            self._make_room(1, size_bytes)
            self._add_node(entry, nodes[at], size_bytes)

    def _add_node(self, entry: LedgerEntry, node: msgspec.Raw, size_bytes: int) -> None:
        json_bytes = memoryview(node).nbytes
        part = self._parts[-1] if self._parts else None
        if part is not None and part.entry is entry and not part.tree:
            part.nodes.append(node)
            self._count(1, size_bytes, json_bytes)
        else:
            self._add_part(_OpenPart(entry, nodes=[node]), 1, size_bytes, json_bytes)

    def _add_part(self, part: _OpenPart, entries: int, size_bytes: int, json_bytes: int) -> None:
        part.entry.awaited += 1
        self._parts.append(part)
        self._count(entries, size_bytes, json_bytes)

    def _count(self, entries: int, size_bytes: int, json_bytes: int) -> None:
        self.entries += entries
        self.size_bytes += size_bytes
        self._batch_entries += entries
        self._batch_bytes += size_bytes
        self._batch_json_bytes += json_bytes
        limits = self._limits
        if (
            self._batch_entries >= limits.entries
            or self._batch_bytes >= limits.size_bytes
            or self._batch_json_bytes >= _BATCH_JSON_BYTES
            or len(self._parts) >= limits.entries
        ):
            self._close_batch()

    def _add_link(self, entry: LedgerEntry, link: Link) -> None:
        assert entry.number == link.directory
        self._links.append(link)
        self._batch_entries += 1
        if self._batch_entries >= self._limits.entries:
            self._close_batch()

    def _make_room(self, entries: int, size_bytes: int) -> None:
        """Close the open batch if this would make it too large."""
        too_many = self._batch_entries + entries > self._limits.entries
        if self._batch_entries and (too_many or self._batch_bytes + size_bytes > self._limits.size_bytes):
            self._close_batch()

    def _close_batch(self) -> None:
        self._full.append((self._batch_number, RestoreWork([part.close() for part in self._parts], self._links)))
        self._begin_batch()

    def _begin_batch(self) -> None:
        self._batch_number = self._next_number()
        self._parts: list[_OpenPart] = []
        self._links: list[Link] = []
        self._batch_entries = self._batch_bytes = self._batch_json_bytes = 0
