"""`argosy ls`: the files of a snapshot, streamed in the order of their paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from argosy.errors import UsageError
from argosy.operations.session import Access, open_session
from argosy.operations.tree_walk import walk_tree
from argosy.repository.snapshots import ALL_SNAPSHOTS, SnapshotFilter, StoredSnapshot, find_subtree, resolve_snapshot
from argosy.restic_format.node import Node


class LsOrder(StrEnum):
    """By what entries are sorted; a path decides where that is equal."""

    NAME = "name"
    SIZE = "size"
    TIME = "time"
    MTIME = "mtime"
    ATIME = "atime"
    CTIME = "ctime"
    EXTENSION = "extension"


class LsOptions(msgspec.Struct, frozen=True):
    """``snapshot``: the start of an id or ``latest``, with ``:PATH``, the directory that is then the root.

    ``directories``: only what is in these; without ``recursive`` not what is further below. Any other order than by
    name, and ``reverse``, hold all entries in memory.
    """

    snapshot: str
    directories: Sequence[bytes] = ()
    wanted: SnapshotFilter = ALL_SNAPSHOTS
    recursive: bool = False
    order: LsOrder = LsOrder.NAME
    reverse: bool = False


class LsListener(Protocol):
    """Hears of what is found, in order."""

    def snapshot(self, stored: StoredSnapshot) -> None:
        """Comes first."""

    def entry(self, path: bytes, node: Node, *, leading: bool) -> None:
        """An entry; ``leading``: a directory on the way to those asked for, and not one of theirs."""

    def left(self, path: bytes) -> None:
        """The end of a directory; not told where entries are sorted otherwise than by name."""


class _Sorted(msgspec.Struct):
    """Entries kept until all are known."""

    key: Callable[[bytes, Node], Any] | None
    entries: list[tuple[bytes, Node]] = msgspec.field(default_factory=list)

    def tell(self, listener: LsListener, *, reverse: bool) -> None:
        key = self.key
        if key is not None:
            self.entries.sort(key=lambda entry: (key(*entry), entry[0]))
        for path, node in reversed(self.entries) if reverse else self.entries:
            listener.entry(path, node, leading=False)


def run_ls(access: Access, options: LsOptions, listener: LsListener) -> None:
    """List a snapshot. SnapshotMissing if there is none, or no such directory in it."""
    for directory in options.directories:
        if not directory.startswith(b"/"):
            shown = directory.decode("utf-8", "backslashreplace")
            raise UsageError(f"the directory {shown} is not absolute", hint="Write it with a slash at its start.")
    with open_session(access) as session:
        stored, subpath = resolve_snapshot(session.repository, options.snapshot, options.wanted)
        reader = session.blob_reader(session.open_lookup())
        tree_id = find_subtree(reader, stored.snapshot.tree, subpath)
        listener.snapshot(StoredSnapshot(stored.id, msgspec.structs.replace(stored.snapshot, tree=tree_id)))
        chosen = _Chosen(options)
        kept = None
        if options.order is not LsOrder.NAME or options.reverse:
            kept = _Sorted(_KEYS[options.order])
        for visit in walk_tree(reader, tree_id, enter=chosen.enters):
            inside = chosen.holds(visit.path)
            if kept is not None:
                if inside and not visit.left:
                    kept.entries.append((visit.path, visit.node))
            elif visit.left:
                if inside or chosen.leads_to(visit.path):
                    listener.left(visit.path)
            elif inside or chosen.leads_to(visit.path):
                listener.entry(visit.path, visit.node, leading=not inside)
        if kept is not None:
            kept.tell(listener, reverse=options.reverse)


class _Chosen:
    """Which entries the directories and ``recursive`` mean (restic's rules)."""

    def __init__(self, options: LsOptions) -> None:
        self._directories = [b"/" + directory.strip(b"/") for directory in options.directories]
        self._recursive = options.recursive

    def holds(self, path: bytes) -> bool:
        """Whether the entry is one of them, or in one of them."""
        return not self._directories or any(_is_below(path, directory) for directory in self._directories)

    def leads_to(self, path: bytes) -> bool:
        """Whether one of them is this entry, or below it."""
        return not self._directories or any(_is_below(directory, path) for directory in self._directories)

    def enters(self, path: bytes, node: Node) -> bool:
        """Whether to go into this directory."""
        del node
        return self.leads_to(path) or (self._recursive and self.holds(path))


def _is_below(path: bytes, directory: bytes) -> bool:
    return directory == b"/" or path == directory or path.startswith(directory + b"/")


def _extension(path: bytes, node: Node) -> bytes:
    del node
    name = path.rpartition(b"/")[2]
    dot = name.rfind(b".")
    return name[dot:] if dot >= 0 else b""


_KEYS: dict[LsOrder, Callable[[bytes, Node], Any] | None] = {
    LsOrder.NAME: None,
    LsOrder.SIZE: lambda _path, node: node.size,
    LsOrder.TIME: lambda _path, node: node.mtime_ns(),
    LsOrder.MTIME: lambda _path, node: node.mtime_ns(),
    LsOrder.ATIME: lambda _path, node: node.atime_ns(),
    LsOrder.CTIME: lambda _path, node: node.ctime_ns(),
    LsOrder.EXTENSION: _extension,
}
