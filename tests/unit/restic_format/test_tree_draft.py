"""A tree that is drafted is the tree of its nodes, however it is held meanwhile."""

from __future__ import annotations

import hashlib
import tracemalloc

import pytest

from argosy.restic_format.tree import encode_tree
from argosy.restic_format.tree_draft import HugeDocument, TreeDraft


def nodes(count: int) -> list[bytes]:
    return [b'{"name":"%08d","type":"file","mtime":"2020-01-01T00:00:00Z"}' % number for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, 7, 5_000])
@pytest.mark.parametrize("whole_bytes", [10, 1_000, 4_000_000])
def test_id_and_bytes_are_those_of_the_tree(count: int, whole_bytes: int) -> None:
    draft = TreeDraft(whole_bytes)
    for node in nodes(count):
        draft.add(node)
    tree_id, document = draft.finish()
    expected = encode_tree(nodes(count))
    assert tree_id == hashlib.sha256(expected).digest()
    for _ in range(2):
        assert (b"".join(document) if isinstance(document, HugeDocument) else document) == expected
    assert isinstance(document, HugeDocument) is (len(expected) - 3 > whole_bytes)
    if isinstance(document, HugeDocument):
        assert document.size_bytes == len(expected)


def test_a_huge_one_takes_little_memory() -> None:
    tracemalloc.start()
    draft = TreeDraft(100_000)
    for number in range(300_000):
        draft.add(b'{"name":"%08d","type":"file","mtime":"2020-01-01T00:00:00Z"}' % number)
    _, document = draft.finish()
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(document, HugeDocument)
    assert peak_bytes < document.size_bytes // 2
