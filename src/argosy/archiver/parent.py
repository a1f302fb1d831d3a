"""Comparing a directory's entries with its tree in the parent snapshot.

The per-entry work of an incremental scan. Both sides are in name order, so one pass joins them. Each entry's metadata
is encoded afresh; where the parent's bytes begin with exactly these and ctime is part of them, the parent's node stands
as it is and nothing of it is decoded. Otherwise the parent's node is decoded and its content list is reused if size,
mtime and (unless turned off) ctime and inode are the same.

Source of the byte layout: restic's node JSON, whose keys have a fixed order with ``content`` near the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from argosy.archiver.comparison import Comparison
from argosy.errors import Damaged
from argosy.filesystem.directory import Entry
from argosy.repository.encoder import EncodedBlob
from argosy.restic_format.names import decode_name
from argosy.restic_format.times import parse_time
from argosy.restic_format.tree import raw_nodes

_HEAD = b'{"nodes":['
_NAME = b'{"name":"'
_TYPE = b'","type":"'
_CONTENT = b',"content":'
_SUBTREE = b',"subtree":"'
_COMMA = 0x2C

EncodePrefix = Callable[[Entry], bytes]


class _Comparable(msgspec.Struct, frozen=True):
    """The fields of a parent's node that decide whether its content is still good."""

    type: str
    mtime: str
    ctime: str = ""
    inode: int = 0
    size: int = 0
    content: list[str] | None = None
    subtree: str | None = None


# Made here, by one thread (see argosy.decoding), and at hand for each entry that is compared.
_COMPARABLE = msgspec.json.Decoder(_Comparable)


class CompareOptions(msgspec.Struct, frozen=True):
    """Which differences count (restic's --ignore-inode and --ignore-ctime), and whether blobs must be looked up."""

    ignore_inode: bool = False
    ignore_ctime: bool = False
    prefix_may_stand: bool = True


class ParentTree:
    """A cursor over one tree of the parent snapshot. Give it the directory's entries in name order, in runs."""

    def __init__(
        self,
        tree: bytes,
        options: CompareOptions,
        is_complete: Callable[[bytes], bool],
        format_time: Callable[[int], str],
        stored: EncodedBlob | None = None,
    ) -> None:
        """``stored`` is the tree as the repository has it, for whoever will need it again."""
        if not tree.startswith(_HEAD):
            raise Damaged("a tree of the parent snapshot has an unknown shape", hint="Run 'argosy check'.")
        self._tree = tree
        self.rewind()
        self._options = options
        self._is_complete = is_complete
        self._format_time = format_time
        self.stored = stored

    @property
    def tree(self) -> bytes:
        """The tree's bytes."""
        return self._tree

    def rewind(self) -> None:
        """Go back to the first node."""
        self._position = len(_HEAD)
        self._passed = b""

    def skip_through(self, name: bytes) -> None:
        """Pass over all nodes up to and including ``name``, without a verdict."""
        with _unknown_shape_is_damage():
            while (there := self._name()) is not None and there <= name:
                self._pass(there)

    def compare(
        self, entries: Sequence[Entry], encode: EncodePrefix, into: Comparison, *, keep_standing: bool = False
    ) -> None:
        """Join the next entries with the tree's nodes. Directories keep only their subtree's id.

        ``keep_standing`` copies the nodes that stand, for a caller that will not read the tree again. Damaged where
        the tree cannot be one that Argosy or restic wrote; ``into`` is of no use then.
        """
        with _unknown_shape_is_damage():
            self._compare(entries, encode, into, keep_standing)

    def _compare(self, entries: Sequence[Entry], encode: EncodePrefix, into: Comparison, keep_standing: bool) -> None:
        tree, may_stand = self._tree, self._options.prefix_may_stand
        for entry in entries:
            prefix = encode(entry)
            position = self._position
            end = position + len(prefix)
            if may_stand and tree.startswith(prefix, position) and tree[end] == _COMMA:
                content = tree.find(_CONTENT, end)
                if content != end:
                    skip_node(tree, position)  # raises if the content that was found is a later node's
                if tree[content + 11] != 0x5B:
                    if self._compare_without_content(entry, content, into):
                        if keep_standing and into.standing and into.standing[-1] is entry:
                            into.standing_nodes.append((entry.name, self._node_bytes(position)))
                        continue
                else:
                    closing = tree.index(b"]", content)
                    if tree[closing + 1] == 0x7D and self._is_complete(tree[content + 12 : closing]):
                        into.standing.append(entry)
                        self._passed = entry.name
                        self._position = closing + (3 if tree[closing + 2] == _COMMA else 2)
                        if keep_standing:
                            into.standing_nodes.append((entry.name, self._node_bytes(position)))
                        continue
            if self._drop_until(entry.name, into):
                # What stood before it is gone from the source, so that its own node may still stand.
                self._compare([entry], encode, into, keep_standing)
            else:
                self._compare_slowly(entry, prefix, into)

    def compare_at(self, place: tuple[int, int] | None, entry: Entry, encode: EncodePrefix, into: Comparison) -> None:
        """Judge one entry whose node is known to begin and end at ``place``; None: the tree has no node of its name."""
        if place is None:
            self._judge(entry, encode(entry), None, into)
        elif not self._is_plainly_changed(place, entry, into):
            self._position = place[0]
            self.compare([entry], encode, into)

    def _is_plainly_changed(self, place: tuple[int, int], entry: Entry, into: Comparison) -> bool:
        """Whether it is a file of another content, without encoding what its node would be: that is noted then."""
        if (entry.stat.st_mode & 0o170000) != 0o100000:
            return False
        if self._same_content(entry, _decode_comparable(self._tree[slice(*place)])):
            return False
        into.dropped.append(entry.name)
        into.fresh.append(entry)
        into.changed.add(entry.name)
        return True

    def finish(self, into: Comparison) -> None:
        """After the last entry: what is left of the tree was deleted from the source."""
        with _unknown_shape_is_damage():
            while (name := self._name()) is not None:
                into.dropped.append(name)
                self._pass(name)

    def _compare_without_content(self, entry: Entry, content: int, into: Comparison) -> bool:
        """An entry whose metadata is as the node's, which has no content list. False: the node is not to be relied on.

        A file without a list was not read by whoever wrote the node, nor a directory without a subtree.
        """
        if self._tree.startswith(_SUBTREE, content + 15):
            subtree = bytes.fromhex(self._tree[content + 27 : content + 91].decode("ascii"))
            into.directories.append((entry, subtree))
            into.dropped.append(entry.name)
        elif self._tree[content + 15] == 0x7D and entry.stat.st_mode & 0o170000 not in (0o100000, 0o040000):
            into.standing.append(entry)
        else:
            return False
        self._passed = entry.name
        self._position = self._after_node()
        return True

    def _drop_until(self, name: bytes, into: Comparison) -> bool:
        """Drop the nodes of names before this one; whether there were any."""
        start = self._position
        while (there := self._name()) is not None and there < name:
            into.dropped.append(there)
            self._pass(there)
        return self._position != start

    def _pass(self, name: bytes) -> None:
        """Go on behind the node at the cursor, whose name this is: it must stand behind all before it.

        Else a name might be both dropped and relied on, and its file would be missing from the new tree.
        """
        if name <= self._passed:
            raise _out_of_order()
        self._passed = name
        self._position = self._after_node()

    def _compare_slowly(self, entry: Entry, prefix: bytes, into: Comparison) -> None:
        node: _Comparable | None = None
        if self._name() == entry.name:
            start = self._position
            self._position = self._after_node()
            node = _decode_comparable(self._node_bytes(start))
            into.dropped.append(entry.name)
        self._passed = entry.name
        self._judge(entry, prefix, node, into)

    def _judge(self, entry: Entry, prefix: bytes, node: _Comparable | None, into: Comparison) -> None:
        if (entry.stat.st_mode & 0o170000) == 0o040000:
            subtree = None if node is None or not node.subtree else bytes.fromhex(node.subtree)
            into.directories.append((entry, subtree))
        elif node is not None and self._same_content(entry, node):
            assert node.content is not None
            into.reused.append((entry, prefix, msgspec.json.encode(node.content)))
        else:
            into.fresh.append(entry)
            if node is not None:
                into.changed.add(entry.name)

    def _same_content(self, entry: Entry, node: _Comparable) -> bool:
        stat, options = entry.stat, self._options
        if node.content is None or node.type != "file" or (stat.st_mode & 0o170000) != 0o100000:
            return False
        if node.size != stat.st_size or not self._same_time(node.mtime, stat.st_mtime_ns):
            return False
        if not options.ignore_ctime and not self._same_time(node.ctime, stat.st_ctime_ns):
            return False
        if not options.ignore_inode and node.inode != stat.st_ino:
            return False
        return self._is_complete(msgspec.json.encode(node.content)[1:-1])

    def _same_time(self, text: str, ns: int) -> bool:
        """restic writes times in the zone of its machine, so equal times may look different."""
        return text == self._format_time(ns) or (not text.endswith("Z") and _parsed(text) == ns)

    def _name(self) -> bytes | None:
        """The raw name of the node at the cursor, None behind the last."""
        if self._tree[self._position] == 0x5D:
            return None
        start = self._position + len(_NAME)
        stop = self._tree.find(_TYPE, start)
        if stop < 0 or not self._tree.startswith(_NAME, self._position):
            raise Damaged("a tree of the parent snapshot has an unknown shape", hint="Run with --force.")
        return _decode_json_name(self._tree[start:stop])

    def _node_bytes(self, start: int) -> bytes:
        """The node from ``start`` to the cursor, without the comma behind it."""
        stop = self._position
        return self._tree[start : stop - 1 if self._tree[stop - 1] == _COMMA else stop]

    def _after_node(self) -> int:
        """Where the next node begins (or the closing bracket stands)."""
        position = skip_node(self._tree, self._position)
        return position + 1 if self._tree[position] == _COMMA else position


@contextmanager
def _unknown_shape_is_damage() -> Iterator[None]:
    """A tree that ends too soon, or that holds no JSON, is met in many places: they need no tests of their own."""
    try:
        yield
    except (IndexError, ValueError) as error:
        raise Damaged("a tree of the parent snapshot has an unknown shape", hint="Run with --force.") from error


def _decode_comparable(node: bytes | msgspec.Raw) -> _Comparable:
    try:
        return _COMPARABLE.decode(node)
    except msgspec.DecodeError as error:
        raise Damaged("a node of the parent snapshot has an unknown shape", hint="Run with --force.") from error


def _decode_json_name(quoted: bytes) -> bytes:
    """The raw name for what stands between the quotes of a node's name."""
    try:
        return decode_name(msgspec.json.decode(b'"' + quoted + b'"', type=str))
    except msgspec.DecodeError as error:
        raise Damaged("a tree of the parent snapshot has an unknown shape", hint="Run with --force.") from error


def _parsed(text: str) -> int | None:
    try:
        return parse_time(text, "the parent snapshot")
    except Damaged:
        return None


def skip_node(tree: bytes, position: int) -> int:
    """The offset just behind the node that starts at ``position``."""
    content = tree.find(_CONTENT, position)
    own_type = tree.find(_TYPE, position, content)
    if content < 0 or own_type < 0 or tree.find(_TYPE, own_type + 1, content) >= 0:
        # A node without content, as no restic writes: what was found belongs to a later node. (Names begin nodes and
        # extended attributes alike, so only the type tells.)
        raise Damaged("a tree of the parent snapshot has an unknown shape", hint="Run with --force.")
    after = content + len(_CONTENT)
    after = tree.index(b"]", after) + 1 if tree[after] == 0x5B else after + len(b"null")
    if tree.startswith(_SUBTREE, after):
        after += len(_SUBTREE) + 65
    if tree[after] != 0x7D:
        after = _skip_unusual(tree, position) - 1
    return after + 1


def _skip_unusual(tree: bytes, position: int) -> int:
    """The end of a node with keys behind its content (an ``error`` that some writer left): count the braces."""
    depth, index, quoted = 0, position, False
    while True:
        byte = tree[index]
        if quoted:
            if byte == 0x5C:
                index += 1
            elif byte == 0x22:
                quoted = False
        elif byte == 0x22:
            quoted = True
        elif byte == 0x7B:
            depth += 1
        elif byte == 0x7D:
            depth -= 1
            if depth == 0:
                return index + 1
        index += 1


def node_name(node: bytes | msgspec.Raw) -> bytes:
    """The raw name of a node that stands in a tree; Damaged if its first keys are not name and type."""
    text = bytes(node)
    stop = text.find(_TYPE, len(_NAME))
    if stop < 0 or not text.startswith(_NAME):
        raise Damaged("a tree of the parent snapshot has an unknown shape", hint="Run with --force.")
    return _decode_json_name(text[len(_NAME) : stop])


def child_subtrees(tree: bytes) -> dict[bytes, bytes | None]:
    """Every raw name in a tree, with its subtree's id if it is a directory. Damaged if names are out of order."""
    found: dict[bytes, bytes | None] = {}
    passed = b""
    for node in raw_nodes(tree, "a tree of the parent snapshot"):
        name, subtree = node_name(node), _decode_comparable(node).subtree
        if name <= passed:
            raise _out_of_order()
        passed = name
        found[name] = bytes.fromhex(subtree) if subtree else None
    return found


def _out_of_order() -> Damaged:
    return Damaged("a tree of the parent snapshot is out of order", hint="Run 'argosy check'.")
