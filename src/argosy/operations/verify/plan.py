"""From a snapshot's trees to tasks, one at a time, with memory for the trees from the root to the directory at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from argosy.errors import Damaged
from argosy.operations.verify.messages import Part, VerifyWork
from argosy.operations.verify.paths import join, location
from argosy.repository.blobs import BlobReader
from argosy.restic_format.damage import damaged
from argosy.restic_format.ids import decode_id
from argosy.restorer.content import BlobPlaces
from argosy.restorer.selection import Selection
from argosy.restorer.tree_nodes import join_nodes, pieces, usable_name

_NODES_A_PART = 2000
# A task: enough that its message costs nothing, little enough that the last ones end together.
_NODES_A_TASK = 1000
_BYTES_A_TASK = 64 * 1024 * 1024
_JSON_A_TASK = 384 * 1024

Problem = Callable[[bytes, Damaged], None]


class _Planned(msgspec.Struct, gc=False):
    """What planning needs of a node."""

    name: str
    type: str = ""
    size: int = 0
    content: list[str] | None = None
    subtree: str | None = None


class _Tree(msgspec.Struct, gc=False):
    nodes: list[_Planned] | None


_TREE = msgspec.json.Decoder(_Tree)


class _Directory(msgspec.Struct, frozen=True):
    path: bytes
    tree_id: bytes


class VerifyPlan:
    """The tasks of one verification. ``problem`` hears of damage, with the path; what it concerns is left out."""

    def __init__(
        self, reader: BlobReader, places: BlobPlaces, selection: Selection, base: bytes, problem: Problem
    ) -> None:
        self._reader = reader
        self._places = places
        self._selection = selection
        self._base = base
        self._problem = problem

    def works(self, root: bytes) -> Iterator[VerifyWork]:
        """The tasks for the tree ``root`` and all below it, in order of path."""
        parts: list[Part] = []
        nodes = size_bytes = json_bytes = 0
        for part, part_nodes, part_bytes in self._parts(root):
            parts.append(part)
            nodes += part_nodes
            size_bytes += part_bytes
            json_bytes += len(part.tree)
            if nodes >= _NODES_A_TASK or size_bytes >= _BYTES_A_TASK or json_bytes >= _JSON_A_TASK:
                yield VerifyWork(parts)
                parts, nodes, size_bytes, json_bytes = [], 0, 0, 0
        if parts:
            yield VerifyWork(parts)

    def _parts(self, root: bytes) -> Iterator[tuple[Part, int, int]]:
        """Parts with their numbers of nodes and of bytes to read; depth first."""
        stack = [self._of(_Directory(b"", root))]
        while stack:
            found = next(stack[-1], None)
            if found is None:
                stack.pop()
            elif isinstance(found, _Directory):
                stack.append(self._of(found))
            else:
                yield found

    def _of(self, directory: _Directory) -> Iterator[tuple[Part, int, int] | _Directory]:
        """The parts of a directory, and its subdirectories."""
        what = f"tree {directory.tree_id.hex()}"
        after = b""
        try:
            runs = (run for run, _ in pieces(self._reader.load_tree(directory.tree_id), _NODES_A_PART, what))
            for run, is_last in _with_last(runs):
                nodes = self._usable(directory.path, run, after, what)
                until = b"" if is_last else max(nodes, default=after)
                yield self._part(directory.path, run, nodes, after, until)
                yield from self._subdirectories(directory.path, nodes)
                after = until
        except Damaged as error:
            self._problem(directory.path, error)

    def _usable(self, path: bytes, run: bytes, previous: bytes, what: str) -> dict[bytes, _Planned]:
        """The nodes of a run by name, all after ``previous``; damage is told."""
        try:
            nodes = _TREE.decode(run).nodes or []
        except msgspec.DecodeError as error:
            self._problem(path, damaged(what, f"it holds what is not a node ({error})"))
            return {}
        usable: dict[bytes, _Planned] = {}
        for node in nodes:
            name = usable_name(node.name)
            if name is None or name <= previous:
                reason = f"node {node.name!r} is not the name of one file, or out of order"
                self._problem(path, damaged(what, reason))
            else:
                usable[name] = node
                previous = name
        return usable

    def _part(
        self, path: bytes, run: bytes, nodes: dict[bytes, _Planned], after: bytes, until: bytes
    ) -> tuple[Part, int, int]:
        lengths: dict[bytes, list[int]] = {}
        unknown: list[bytes] = []
        size_bytes = 0
        for name in self._selection.chosen(location(self._base, path), list(nodes)):
            node = nodes[name]
            if node.type != "file" or not node.content:
                continue
            size_bytes += node.size
            try:
                content = self._places.content([decode_id(text, f"content of {node.name!r}") for text in node.content])
                if content.size != node.size:
                    raise damaged(
                        f"file {node.name!r}", f"its blobs hold {content.size} bytes, its node tells {node.size}"
                    )
            except Damaged as error:
                unknown.append(name)
                self._problem(join(path, name), error)
            else:
                if len(content.lengths) > 1:
                    lengths[name] = content.lengths
        return Part(path, run if nodes else join_nodes([]), after, until, lengths, unknown), len(nodes), size_bytes

    def _subdirectories(self, path: bytes, nodes: dict[bytes, _Planned]) -> Iterator[_Directory]:
        names = [name for name, node in nodes.items() if node.type == "dir"]
        chosen = self._selection.chosen(location(self._base, path), names)
        for name in names:
            below = join(path, name)
            if not self._selection.enters(location(self._base, below), name in chosen):
                continue
            subtree = nodes[name].subtree
            try:
                if subtree is None:
                    raise damaged(f"directory {below.decode('utf-8', 'backslashreplace')}", "it has no subtree")
                yield _Directory(below, decode_id(subtree, f"subtree of {nodes[name].name!r}"))
            except Damaged as error:
                self._problem(below, error)


def _with_last(runs: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each with whether it is the last one."""
    run = next(runs)
    for following in runs:
        yield run, False
        run = following
    yield run, True
