"""`argosy find`: entries of snapshots by name and time, or the entries that hold given blobs, trees or packs.

Snapshots share most of their trees. A subtree in which nothing was found is remembered, and not read again in another
snapshot: by its id where ids are looked for, by id and path where patterns are, since these ask for the path.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from argosy.errors import Damaged, RepositoryError, UsageError
from argosy.filesystem.patterns import PatternList
from argosy.operations.id_table import IdTable
from argosy.operations.selection import select_snapshots
from argosy.operations.session import Access, Session, open_session
from argosy.operations.tree_walk import subtree_of, walk_tree
from argosy.repository.blob_location import Location
from argosy.repository.blobs import BlobReader
from argosy.repository.layout import FileKind
from argosy.repository.lookup import DedupLookup
from argosy.repository.snapshots import ALL_SNAPSHOTS, SnapshotFilter, StoredSnapshot
from argosy.restic_format.blob import BlobType
from argosy.restic_format.ids import ID_BYTES
from argosy.restic_format.node import Node

_ID_DIGITS = 64
_FEWEST_DIGITS = 4
_HEXADECIMAL = frozenset("0123456789abcdef")


class Sought(StrEnum):
    """What the patterns are."""

    ENTRIES = "entries"
    BLOBS = "blob"
    TREES = "tree"
    PACKS = "pack"


class FindOptions(msgspec.Struct, frozen=True):
    """``patterns``: restic's patterns over paths, or the starts of ids. ``oldest_ns`` and ``newest_ns``: the mtime of
    entries that count. ``names``: snapshots to search, else all that match ``wanted``; newest first unless
    ``oldest_first``."""

    patterns: Sequence[bytes]
    sought: Sought = Sought.ENTRIES
    ignore_case: bool = False
    oldest_ns: int | None = None
    newest_ns: int | None = None
    names: Sequence[str] = ()
    wanted: SnapshotFilter = ALL_SNAPSHOTS
    oldest_first: bool = False


class FoundBlob(msgspec.Struct, frozen=True):
    """A blob, and who holds it: a file with the tree of its directory, or (of a tree) a directory."""

    type: BlobType
    id: bytes
    path: bytes
    parent: bytes | None


class FindListener(Protocol):
    """Hears of what is found, one snapshot after the other."""

    def entry(self, stored: StoredSnapshot, path: bytes, node: Node) -> None:
        """An entry that matches."""

    def blob(self, stored: StoredSnapshot, found: FoundBlob, place: Location | None) -> None:
        """A blob that was looked for, and one of its places; a tree is a blob."""

    def problem(self, what: str, error: Damaged) -> None:
        """A snapshot or directory could not be read; the search goes on without it."""


def run_find(access: Access, options: FindOptions, listener: FindListener) -> int:
    """Search; returns how many snapshots and directories could not be read. UsageError for a pattern that is none,
    RepositoryError if there is no such pack."""
    problems = 0

    def problem(what: str, error: Damaged) -> None:
        nonlocal problems
        problems += 1
        listener.problem(what, error)

    by_name = _EntrySearch(options) if options.sought is Sought.ENTRIES else None
    _check_ids(options)
    with open_session(access) as session:
        snapshots = select_snapshots(
            session.repository,
            options.names,
            options.wanted,
            on_damaged=lambda snapshot_id, error: problem(f"snapshot {snapshot_id.hex()}", error),
        )
        snapshots.sort(key=lambda stored: stored.age_key, reverse=not options.oldest_first)
        lookup = session.open_lookup()
        search: _Search = by_name or _BlobSearch(_sought_ids(session, options), lookup)
        barren = IdTable()
        for stored in snapshots:
            _Walk(session.blob_reader(lookup), search, barren, stored, listener, problem).run()
    return problems


def _check_ids(options: FindOptions) -> None:
    if options.sought is Sought.ENTRIES:
        return
    for pattern in options.patterns:
        text = pattern.decode("utf-8", "backslashreplace")
        if not _FEWEST_DIGITS <= len(text) <= _ID_DIGITS or not set(text) <= _HEXADECIMAL:
            raise UsageError(f"{text!r} is not the start of an id", hint="Write 4 to 64 hexadecimal digits.")


class _Ids(msgspec.Struct):
    """Ids that are looked for: whole ones, and the starts of others."""

    whole: set[str]
    starts: tuple[str, ...]

    @classmethod
    def of(cls, texts: Sequence[str]) -> _Ids:
        return cls(
            {text for text in texts if len(text) == _ID_DIGITS},
            tuple(text for text in texts if len(text) < _ID_DIGITS),
        )

    def have(self, text: str) -> bool:
        return text in self.whole or text.startswith(self.starts)


def _sought_ids(session: Session, options: FindOptions) -> dict[BlobType, _Ids]:
    texts = [pattern.decode() for pattern in options.patterns]
    nothing = _Ids.of(())
    if options.sought is Sought.BLOBS:
        return {BlobType.DATA: _Ids.of(texts), BlobType.TREE: nothing}
    if options.sought is Sought.TREES:
        return {BlobType.DATA: nothing, BlobType.TREE: _Ids.of(texts)}
    return _blobs_of_packs(session, texts)


def _blobs_of_packs(session: Session, starts: Sequence[str]) -> dict[BlobType, _Ids]:
    """The blobs in packs, as the indexes have it: so those of a lost pack are found, too."""
    missing = dict.fromkeys(starts)
    found = {BlobType.DATA: _Ids.of(()), BlobType.TREE: _Ids.of(())}
    for index_id in session.repository.list_ids(FileKind.INDEX):
        for pack in session.repository.load_index(index_id).packs:
            matching = [start for start in starts if pack.id.hex().startswith(start)]
            for start in matching:
                missing.pop(start, None)
            for blob in pack.blobs if matching else ():
                found[blob.type].whole.add(blob.id.hex())
    if missing:
        raise RepositoryError(
            f"no index lists a pack {', '.join(missing)}", hint="`argosy list packs` prints the packs that are there."
        )
    return found


class _Search(Protocol):
    """What is looked for."""

    def key(self, path: bytes, tree_id: bytes) -> bytes:
        """Trees with the same key give the same result."""

    def enters(self, path: bytes) -> bool:
        """Whether there may be something in this directory."""

    def look(self, stored: StoredSnapshot, path: bytes, node: Node, parent: bytes, listener: FindListener) -> int:
        """Tell of what an entry has; returns how often."""

    def look_at_root(self, stored: StoredSnapshot, tree_id: bytes, listener: FindListener) -> int:
        """The same of a snapshot's root, which has no node."""


class _EntrySearch:
    """Entries by path and time."""

    def __init__(self, options: FindOptions) -> None:
        # Nothing is to be taken back here: a "!" at the start is part of a name. "" means every name, as in restic.
        texts = [b"\\" + text if text.startswith(b"!") else text or b"*" for text in options.patterns]
        self._patterns = PatternList(texts, ignore_case=options.ignore_case)
        self._oldest_ns = options.oldest_ns
        self._newest_ns = options.newest_ns

    def key(self, path: bytes, tree_id: bytes) -> bytes:
        """See ``_Search.key``."""
        return hashlib.sha256(tree_id + path).digest()

    def enters(self, path: bytes) -> bool:
        """See ``_Search.enters``."""
        return self._patterns.matches_or_below(path)[1]

    def look(self, stored: StoredSnapshot, path: bytes, node: Node, parent: bytes, listener: FindListener) -> int:
        """See ``_Search.look``."""
        del parent
        if not self._patterns.matches(path) or not self._in_time(node):
            return 0
        listener.entry(stored, path, node)
        return 1

    def look_at_root(self, stored: StoredSnapshot, tree_id: bytes, listener: FindListener) -> int:
        """Nothing."""
        del stored, tree_id, listener
        return 0

    def _in_time(self, node: Node) -> bool:
        if self._oldest_ns is None and self._newest_ns is None:
            return True
        mtime_ns = node.mtime_ns()
        return (self._oldest_ns is None or mtime_ns >= self._oldest_ns) and (
            self._newest_ns is None or mtime_ns <= self._newest_ns
        )


class _BlobSearch:
    """Entries by the blobs that they hold."""

    def __init__(self, ids: dict[BlobType, _Ids], lookup: DedupLookup) -> None:
        self._data = ids[BlobType.DATA]
        self._trees = ids[BlobType.TREE]
        self._lookup = lookup

    def key(self, path: bytes, tree_id: bytes) -> bytes:
        """See ``_Search.key``."""
        del path
        return tree_id

    def enters(self, path: bytes) -> bool:
        """See ``_Search.enters``."""
        del path
        return True

    def look(self, stored: StoredSnapshot, path: bytes, node: Node, parent: bytes, listener: FindListener) -> int:
        """See ``_Search.look``."""
        if node.type == "file":
            found = [text for text in node.content or () if self._data.have(text)]
            for text in found:
                self._tell(stored, FoundBlob(BlobType.DATA, bytes.fromhex(text), path, parent), listener)
            return len(found)
        if node.type == "dir" and self._trees.have(node.subtree or ""):
            self._tell(stored, FoundBlob(BlobType.TREE, subtree_of(node, path), path, None), listener)
            return 1
        return 0

    def look_at_root(self, stored: StoredSnapshot, tree_id: bytes, listener: FindListener) -> int:
        """See ``_Search.look_at_root``."""
        if not self._trees.have(tree_id.hex()):
            return 0
        self._tell(stored, FoundBlob(BlobType.TREE, tree_id, b"/", None), listener)
        return 1

    def _tell(self, stored: StoredSnapshot, found: FoundBlob, listener: FindListener) -> None:
        places = self._lookup.find(found.id, found.type)
        listener.blob(stored, found, places[0] if places else None)


class _Above(msgspec.Struct):
    """A directory that the walk is in, and how much had been found when it came there."""

    tree_id: bytes
    marks: int


class _Problem(Protocol):
    def __call__(self, what: str, error: Damaged, /) -> None: ...


class _Walk:
    """Goes through one snapshot. ``barren``: keys of trees in which there is nothing, known from others."""

    def __init__(
        self,
        reader: BlobReader,
        search: _Search,
        barren: IdTable,
        stored: StoredSnapshot,
        listener: FindListener,
        problem: _Problem,
    ) -> None:
        self._reader = reader
        self._search = search
        self._barren = barren
        self._stored = stored
        self._listener = listener
        self._problem = problem
        # Counts what was found, and also what could not be read: that is not barren.
        self._marks = 0

    def run(self) -> None:
        """Search the snapshot."""
        root = self._stored.snapshot.tree
        self._search.look_at_root(self._stored, root, self._listener)
        if self._search.key(b"", root) in self._barren:
            return
        above = [_Above(root, self._marks)]
        for visit in walk_tree(self._reader, root, enter=self._enters, unreadable=self._unreadable):
            if visit.left:
                self._leave(visit.path, above.pop())
                continue
            self._marks += self._search.look(self._stored, visit.path, visit.node, above[-1].tree_id, self._listener)
            if visit.node.type == "dir":
                above.append(_Above(_subtree(visit.node, visit.path), self._marks))
        self._leave(b"", above.pop())

    def _leave(self, path: bytes, directory: _Above) -> None:
        if directory.marks == self._marks:
            self._barren.add(self._search.key(path, directory.tree_id))

    def _enters(self, path: bytes, node: Node) -> bool:
        if not self._search.enters(path):
            return False
        return self._search.key(path, _subtree(node, path)) not in self._barren

    def _unreadable(self, path: bytes, error: Damaged) -> None:
        self._marks += 1
        self._problem(f"{path.decode('utf-8', 'backslashreplace')} in snapshot {self._stored.id.hex()[:8]}", error)


def _subtree(node: Node, path: bytes) -> bytes:
    """The tree of a directory; of one without, which the walk will name, what is no tree's id."""
    try:
        return subtree_of(node, path)
    except Damaged:
        return bytes(ID_BYTES)
