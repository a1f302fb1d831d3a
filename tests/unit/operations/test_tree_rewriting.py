"""Trees are made anew only where something changes, and keep every byte that is left alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from argosy.errors import Damaged
from argosy.operations.id_table import IdTable
from argosy.operations.tree_rewriting import Entry, Opened, RawNode, TreeRewriter
from argosy.repository.blob_location import Location
from argosy.repository.blobs import BlobReader
from argosy.repository.streamed_blob import TreeParts
from argosy.restic_format.node import Node, finish_directory, finish_file
from argosy.restic_format.tree import encode_tree, part_entries
from argosy.restic_format.tree_draft import Document
from tests.support.backups import Scene
from tests.support.damage import Ground, node

# A node with a key that no program knows.
ODD = finish_file(node(b"odd"), [])[:-1] + b',"of_tomorrow":[1]}'


class Trees:
    """A repository of trees; what is stored anew is in ``saved``."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.saved: dict[bytes, bytes] = {}

    def store(self, *nodes: bytes) -> bytes:
        return self.store_all([encode_tree(nodes)])

    def store_all(self, contents: list[bytes]) -> bytes:
        """Returns the id of the last."""
        return self._ground.store(contents)[-1]

    def reader(self) -> BlobReader:
        return BlobReader(self._ground.repository, _Places(Ground(self._ground.directory, self._ground.repository)))

    def save(self, tree_id: bytes, tree: Document) -> None:
        self.saved[tree_id] = tree if isinstance(tree, bytes) else b"".join(tree)
        assert hashlib.sha256(self.saved[tree_id]).digest() == tree_id


class _Places:
    def __init__(self, ground: Ground) -> None:
        self._packs = [*ground.tree_packs, *ground.data_packs]

    def find(self, blob_id: bytes, blob_type: int = 0, /) -> list[Location]:
        return [
            Location(pack.id, blob.offset, blob.length, blob.uncompressed_length)
            for pack in self._packs
            for blob in pack.blobs
            if (blob.id, blob.type) == (blob_id, blob_type)
        ]


class Without:
    """An editor that leaves out a path, and notes the trees that it was shown."""

    def __init__(self, path: bytes) -> None:
        self._path = path
        self.opened: list[bytes] = []

    def open(self, tree_id: bytes, path: bytes, parts: TreeParts | Damaged) -> Opened:
        self.opened.append(path)
        if isinstance(parts, Damaged):
            raise parts
        return Opened(part_entries(parts, tree_id.hex()))

    def edit(self, path: bytes, raw: RawNode, node: Node) -> Entry | None:
        return None if path == self._path else (raw, node)


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    scene = Scene(tmp_path).init()
    return Trees(Ground(scene.repository, scene.open()))


def directory(name: bytes, subtree: bytes) -> bytes:
    return finish_directory(node(name, "dir", mode=1 << 31 | 0o755), subtree)


def test_what_is_left_alone_keeps_its_bytes(trees: Trees) -> None:
    below = trees.store(finish_file(node(b"file"), []), ODD)
    root = trees.store(directory(b"dir", below), ODD)
    assert TreeRewriter(trees.reader(), Without(b"/nowhere"), trees.save).rewrite(root) == root
    assert trees.saved == {}
    rewritten = TreeRewriter(trees.reader(), Without(b"/dir/file"), trees.save).rewrite(root)
    changed = encode_tree([ODD])
    assert trees.saved[rewritten] == encode_tree([directory(b"dir", hashlib.sha256(changed).digest()), ODD])
    assert set(trees.saved.values()) == {changed, trees.saved[rewritten]}


def test_trees_known_to_be_sound_are_not_read_again(trees: Trees) -> None:
    below = trees.store(ODD)
    one, other = trees.store(directory(b"a", below)), trees.store(directory(b"b", below))
    editor, sound = Without(b"/nowhere"), IdTable()
    rewriter = TreeRewriter(trees.reader(), editor, trees.save, sound)
    assert [rewriter.rewrite(one), rewriter.rewrite(other)] == [one, other]
    assert editor.opened == [b"", b"/a", b""]


def test_a_chain_of_directories_deeper_than_the_stack_is_rewritten(trees: Trees) -> None:
    depth = 1500
    contents = [encode_tree([ODD])]
    for _ in range(depth):
        contents.append(encode_tree([directory(b"d", hashlib.sha256(contents[-1]).digest())]))
    root = trees.store_all(contents)
    gone = b"/d" * depth + b"/odd"
    assert TreeRewriter(trees.reader(), Without(gone), trees.save).rewrite(root) != root
    assert len(trees.saved) == depth + 1
