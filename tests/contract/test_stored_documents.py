"""What the native kernel reads of indexes and trees as they are stored, a window at a time and many at once."""

from __future__ import annotations

import hashlib
import os
import random

import pytest

from argosy.errors import Damaged
from argosy.native.bindings import Session
from argosy.native.documents import read_index, read_trees
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.compression import Compressor
from argosy.restic_format.crypto import MasterKey, Opener, Sealer
from argosy.restic_format.index import IndexedPack, encode_index, list_packs, list_stored_packs
from argosy.restic_format.node import encode_metadata, finish_directory, finish_file
from argosy.restic_format.tree import encode_tree, tree_names
from argosy.restic_format.unpacked import encode_unpacked
from tests.support.native import built_kernel

KEY = MasterKey.generate(os.urandom)


def session() -> Session:
    return Session(built_kernel(), KEY.material)


def random_index(packs: int, blobs: int) -> bytes:
    """So many packs of so many blobs each."""
    source = random.Random(packs)
    listed = []
    for _ in range(packs):
        rows, offset = [], 0
        for _ in range(blobs):
            length = source.randrange(32, 1 << source.randrange(6, 22))
            rows.append(
                PackedBlob(source.randbytes(32), BlobType(source.randrange(2)), offset, length, source.randrange(9))
            )
            offset += length
        listed.append(IndexedPack(source.randbytes(32), rows))
    return encode_index(listed)


def stored_of(json_bytes: bytes) -> bytes:
    return encode_unpacked(json_bytes, Sealer(KEY, os.urandom), Compressor("auto"))


@pytest.mark.parametrize(("packs", "blobs"), [(1, 1), (1, 5_000), (700, 3), (40, 150)])
def test_a_stored_index_is_read_as_its_json_is(packs: int, blobs: int) -> None:
    """Also where its JSON is longer than the window."""
    data = random_index(packs, blobs)
    assert read_index(session(), stored_of(data)) is not None
    assert list_stored_packs(stored_of(data), session(), Opener(KEY), "index") == list_packs(data, "index")


def test_damage_in_a_stored_index_is_left_to_python_which_names_it() -> None:
    stored = stored_of(random_index(2, 2))
    for at in range(len(stored)):
        damaged = stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :]
        assert read_index(session(), damaged) is None
    with pytest.raises(Damaged, match="index"):
        list_stored_packs(damaged, session(), Opener(KEY), "index")
    for length in range(0, len(stored), 10):
        assert read_index(session(), stored[:length]) is None


def test_unusual_forms_of_a_stored_index_are_left_to_python() -> None:
    """Plain JSON, as old repositories have it; several frames; a frame that is cut short or has something behind it."""
    data = random_index(30, 100)
    seal = Sealer(KEY, os.urandom).seal
    frame, other = (Compressor("auto").compress_document(part) for part in (data, data[: len(data) // 2]))
    rest = Compressor("auto").compress_document(data[len(data) // 2 :])
    for readable in (data, b"\2" + other + rest):
        assert read_index(session(), seal(readable)) is None
        assert list_stored_packs(seal(readable), session(), Opener(KEY), "index") == list_packs(data, "index")
    for broken in (b"\2" + frame[:-5], b"\2" + other, b"\2" + frame + b"?", b"\3" + frame, b"\2", b""):
        assert read_index(session(), seal(broken)) is None
        with pytest.raises(Damaged):
            list_stored_packs(seal(broken), session(), Opener(KEY), "index")


def start(name: bytes, kind: str = "file") -> bytes:
    return encode_metadata(name, kind, 0o644, 1, 2, 3, 7, 8, "", "wheel", 9, 1, 12, 1)


def random_tree(source: random.Random, files: int, blobs: int) -> bytes:
    """A tree of so many files, of so many blobs each, and as many directories."""
    nodes = []
    for number in range(files):
        content = [source.randbytes(32) for _ in range(blobs)]
        nodes.append(finish_file(start(b"%06d f" % number), content))
        nodes.append(finish_directory(start(b"%06d g" % number, "dir"), source.randbytes(32)))
    return encode_tree(nodes)


def seal_all(trees: list[bytes]) -> tuple[bytearray, list[tuple[int, int, int, bytes]]]:
    """Trees as they stand in a pack, every other one not compressed; and their rows."""
    sealer, compressor = Sealer(KEY, os.urandom), Compressor("auto")
    data, rows = bytearray(b"gap"), []
    for number, tree in enumerate(trees):
        sealed = sealer.seal(compressor.compress_document(tree) if number % 2 else tree)
        rows.append((len(data), len(sealed), len(tree) if number % 2 else 0, hashlib.sha256(tree).digest()))
        data += sealed
    return data, rows


def test_many_trees_are_read_as_each_is() -> None:
    """Of all sizes: some name more than a call has room for."""
    source = random.Random(3)
    trees = [random_tree(source, *size) for size in ((0, 0), (1, 1), (3, 9_000), (700, 2), (2_000, 1), (1, 30_000))]
    trees += [random_tree(source, 2, 3) for _ in range(100)]
    data, rows = seal_all(trees)
    for tree, found in zip(trees, read_trees(session(), data, rows), strict=True):
        names = tree_names(tree, "tree")
        assert found is not None
        assert found[1] == names.contents
        assert sorted(found[0]) == sorted(names.subtrees)


def test_only_the_trees_that_are_damaged_are_left_to_python() -> None:
    source = random.Random(4)
    trees = [random_tree(source, 2, 1) for _ in range(90)]
    trees[7] = trees[7].replace(b'"uid":7', b'"uid":"x"')
    data, rows = seal_all(trees)
    data[rows[50][0] + 30] ^= 1
    rows[60] = (rows[60][0], rows[60][1], rows[60][2], rows[61][3])
    rows[70] = (len(data) - 10, *rows[70][1:])
    rows[80] = (rows[80][0], 3, *rows[80][2:])
    found = list(read_trees(session(), data, rows))
    assert [number for number, names in enumerate(found) if names is None] == [7, 50, 60, 70, 80]


def test_no_trees_are_no_work() -> None:
    assert list(read_trees(session(), b"", [])) == []
    assert list(read_trees(session(), b"", [(0, 100, 0, bytes(32))])) == [None]
