"""Takes what is lost out of a snapshot's trees, and says of each file and directory what became of it.

- A file that misses blobs keeps the others, and its size is what is left. A size that was wrong becomes what its blobs
  hold: they are read for that, since an index may be wrong as well.
- A directory whose tree cannot be read, or is none, becomes empty.
- Of a tree that is not in order the nodes are put in order. A name that is no single name, a second node of one name, a
  node that cannot be read or has no known type goes.
- A time that is none becomes 1970; extended attributes and targets that cannot be decoded go.

Memory: as ``tree_rewriting`` says, but for a tree that is not in order, which is put in order as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from argosy.errors import Damaged
from argosy.operations.tree_rewriting import Entry, Opened, RawNode, SaveTree
from argosy.repository.blob_location import Location
from argosy.repository.blobs import BlobReader
from argosy.repository.lookup import DedupLookup
from argosy.repository.streamed_blob import HugeTree, TreeParts
from argosy.restic_format.blob import BlobType, blob_id
from argosy.restic_format.ids import decode_id
from argosy.restic_format.node import Node, decode_node, encode_changed, format_time
from argosy.restic_format.times import parse_time
from argosy.restic_format.tree import encode_tree, is_entry_name, part_entries, raw_nodes

_EMPTY_TREE = encode_tree([])
_EMPTY_ID = blob_id(_EMPTY_TREE)
_KNOWN_TYPES = frozenset(("file", "dir", "symlink", "dev", "chardev", "fifo", "socket"))

Tell = Callable[[bytes, str], None]
"""Hears of a path and what became of it. What has no name that can be printed is told of its directory."""


class Mender:
    """A ``TreeEditor``. ``lost_root`` says why the root itself cannot be read, if so."""

    def __init__(self, lookup: DedupLookup, reader: BlobReader, save: SaveTree, tell: Tell) -> None:
        self._lookup = lookup
        self._reader = reader
        self._save = save
        self._tell = tell
        self.lost_root: Damaged | None = None

    def open(self, tree_id: bytes, path: bytes, parts: TreeParts | Damaged) -> Opened:
        """The nodes that can be read, in order; none of a tree that cannot be read."""
        what = f"tree {tree_id.hex()}"
        if tree_id == _EMPTY_ID:
            return Opened(iter(()))  # one that was just made is in no index yet
        try:
            if isinstance(parts, Damaged):
                raise parts
            entries = _sound_entries(parts, what)
            if entries is not None:
                return Opened(entries)
            raws = [raw for part in parts for raw in raw_nodes(part, what)]
        except Damaged as error:
            if path:
                self._tell(path, f"replaced with an empty directory ({error.message})")
            else:
                self.lost_root = error
            return Opened(iter(()), changed=True)
        return Opened(self._in_order(path, raws), changed=True)

    def edit(self, path: bytes, raw: RawNode, node: Node) -> Entry | None:
        """See ``TreeEditor.edit``."""
        if node.type not in _KNOWN_TYPES:
            self._tell(path, f"removed, its type {node.type!r} is not known")
            return None
        changed = self._with_attributes(path, self._with_times(path, node))
        if node.type == "file":
            changed = self._with_content(path, changed)
        elif node.type == "dir" and not _has_subtree(node):
            self._tell(path, "replaced with an empty directory (it has no tree)")
            self._save(_EMPTY_ID, _EMPTY_TREE)
            changed = msgspec.structs.replace(changed, subtree=_EMPTY_ID.hex())
        if changed is node:
            return raw, node
        try:
            return encode_changed(changed, raw), changed
        except Damaged as error:
            self._tell(path, f"removed ({error.message})")
            return None

    def _in_order(self, path: bytes, raws: list[msgspec.Raw]) -> Iterator[Entry]:
        named: dict[bytes, Entry] = {}
        for number, raw in enumerate(raws):
            try:
                node = decode_node(raw, f"node {number}")
                name = node.name_bytes()
            except Damaged as error:
                self._tell(path or b"/", f"an entry was removed ({error.message})")
                continue
            if not is_entry_name(name):
                self._tell(path or b"/", f"an entry was removed, its name {name!r} is not the name of one file")
            elif name in named:
                self._tell(path + b"/" + name, "removed, another entry has the same name")
            else:
                named[name] = raw, node
        return iter([named[name] for name in sorted(named)])

    def _with_times(self, path: bytes, node: Node) -> Node:
        wrong = [key for key in ("mtime", "atime", "ctime") if not _is_time(getattr(node, key))]
        if not wrong:
            return node
        self._tell(path, f"its {', '.join(wrong)} became 1970-01-01")
        return msgspec.structs.replace(node, **dict.fromkeys(wrong, format_time(0)))

    def _with_attributes(self, path: bytes, node: Node) -> Node:
        try:
            node.xattrs()
        except Damaged:
            self._tell(path, "its extended attributes are lost")
            node = msgspec.structs.replace(node, extended_attributes=None)
        try:
            node.linktarget_bytes()
        except Damaged:
            self._tell(path, "its target may have lost characters that are not UTF-8")
            node = msgspec.structs.replace(node, linktarget_raw="")
        return node

    def _with_content(self, path: bytes, node: Node) -> Node:
        content, size_bytes = [], 0
        for text in node.content or ():
            if places := self._places(text):
                content.append(text)
                size_bytes += places[0].plaintext_bytes
        lost = len(node.content or ()) - len(content)
        if lost:
            told = f"{lost} of its {lost + len(content)} blobs lost: {size_bytes} of {node.size} bytes remain"
        elif node.content is None:
            told = f"it has no list of contents: 0 of {node.size} bytes remain"
        elif size_bytes != node.size and (size_bytes := self._true_size(node)) != node.size:
            told = f"its size was wrong: it has {size_bytes}, not {node.size} bytes"
        else:
            return node
        self._tell(path, told)
        return msgspec.structs.replace(node, content=content, size=size_bytes)

    def _places(self, text: str) -> list[Location]:
        try:
            return self._lookup.find(decode_id(text, "blob"))
        except Damaged:
            return []

    def _true_size(self, node: Node) -> int:
        try:
            return sum(len(self._reader.load_blob(blob_id, BlobType.DATA)) for blob_id in node.content_ids())
        except Damaged as error:
            hint = (
                "The index may be wrong: run `argosy repair index --read-all-packs`, then `argosy check --read-data`."
            )
            raise Damaged(error.message, hint=hint) from error


def _sound_entries(parts: TreeParts, what: str) -> Iterator[Entry] | None:
    """The nodes of a tree that is in order; None of another one. A huge one is read twice for that."""
    try:
        if not isinstance(parts, HugeTree):
            return iter(list(part_entries(parts, what)))
        for _ in part_entries(parts, what):
            pass
    except Damaged:
        return None
    return part_entries(parts, what)


def _is_time(text: str) -> bool:
    try:
        parse_time(text, "time")
    except Damaged:
        return False
    return True


def _has_subtree(node: Node) -> bool:
    try:
        return node.subtree_id() is not None
    except Damaged:
        return False
