"""How two trees are compared, where no real backup makes the case."""

from __future__ import annotations

import hashlib
from typing import cast

from argosy.errors import Damaged
from argosy.operations.diff import Comparison, DiffOptions
from argosy.repository.blobs import BlobReader
from argosy.repository.snapshots import StoredSnapshot
from argosy.restic_format.node import encode_metadata, finish_directory, finish_file
from argosy.restic_format.tree import encode_tree


class Trees:
    """Trees by id; remembers which were read."""

    def __init__(self) -> None:
        self.contents: dict[bytes, bytes] = {}
        self.read: list[bytes] = []

    def add(self, *nodes: bytes) -> bytes:
        data = encode_tree(nodes)
        tree_id = hashlib.sha256(data).digest()
        self.contents[tree_id] = data
        return tree_id

    def load_tree(self, tree_id: bytes) -> tuple[bytes, ...]:
        self.read.append(tree_id)
        return (self.contents[tree_id],)


class Changes:
    def __init__(self) -> None:
        self.found: list[tuple[bytes, str]] = []

    def snapshots(self, before: StoredSnapshot, after: StoredSnapshot) -> None:
        raise NotImplementedError

    def change(self, path: bytes, modifier: str) -> None:
        self.found.append((path, modifier))

    def problem(self, path: bytes, error: Damaged) -> None:
        raise NotImplementedError


def metadata(name: bytes, kind: str, size: int = 0) -> bytes:
    return encode_metadata(name, kind, 0o100644, 1, 1, 1, 0, 0, "", "", 7, 0, size, 1)


def file(name: bytes, content: bytes) -> bytes:
    return finish_file(metadata(name, "file", 4), [hashlib.sha256(content).digest()])


def directory(name: bytes, tree_id: bytes) -> bytes:
    return finish_directory(metadata(name, "dir"), tree_id)


def test_content_that_changed_without_its_metadata_is_marked() -> None:
    trees, changes = Trees(), Changes()
    comparison = Comparison(cast(BlobReader, trees), DiffOptions("", ""), changes)
    comparison.run(trees.add(file(b"rots", b"1")), trees.add(file(b"rots", b"2")))
    assert changes.found == [(b"/rots", "M?")]
    assert comparison.result.changed_files == 1


def test_equal_directories_are_not_read_to_find_changes() -> None:
    trees, changes = Trees(), Changes()
    same = trees.add(file(b"kept", b"k"))
    before = trees.add(file(b"a", b"1"), directory(b"same", same))
    after = trees.add(file(b"a", b"1"), directory(b"same", same), file(b"z", b"2"))
    comparison = Comparison(cast(BlobReader, trees), DiffOptions("", "", blobs=False), changes)
    comparison.run(before, after)
    assert changes.found == [(b"/z", "+")]
    assert sorted(trees.read) == sorted([before, after])


def test_a_directory_that_becomes_a_file_is_one_change() -> None:
    trees, changes = Trees(), Changes()
    before = trees.add(directory(b"x", trees.add(file(b"inside", b"k"))))
    comparison = Comparison(cast(BlobReader, trees), DiffOptions("", ""), changes)
    comparison.run(before, trees.add(file(b"x", b"k")))
    assert changes.found == [(b"/x", "T")]
