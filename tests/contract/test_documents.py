"""What the native kernel says of an index or a tree, Python says as well: it may only say less."""

from __future__ import annotations

import random

import pytest

from argosy import native
from argosy.native.bindings import Session
from argosy.native.documents import index_packs, tree_names
from argosy.native.restoring import NativeRestoring
from argosy.operations.blob_tables import split_ids
from argosy.operations.check.tree_checks import look_at_tree
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.index import IndexedPack, encode_index, list_packs
from argosy.restic_format.node import (
    decode_node,
    encode_metadata,
    encode_tail,
    finish_directory,
    finish_file,
    finish_other,
)
from argosy.restic_format.tree import encode_tree, sound_tree_names
from argosy.restic_format.tree import tree_names as names_of_tree
from argosy.restorer.tree_nodes import decode_nodes
from tests.support.native import built_kernel

ONE, TWO, THREE = (bytes([number]) * 32 for number in (1, 2, 3))
# What is put in the place of each byte of a sound document.
OTHER_BYTES = b'\0 "\\,:[]{}.-+0189aAfgTZz/=\x7f\x80\xc3\xed\xff'


@pytest.fixture(params=["native", "python"])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the test calls uses this one."""
    name: str = request.param
    monkeypatch.setattr(native, "_loaded", built_kernel() if name == "native" else None)
    monkeypatch.setattr(native, "_reason", "" if name == "native" else "a test goes without")
    return name


def start(name: bytes, kind: str = "file", mtime_ns: int = 1) -> bytes:
    return encode_metadata(name, kind, 0o644, mtime_ns, 10**18 + 5, 3, 7, 8, "", "wheel", 9, 1, 12, 1)


TREE = encode_tree(
    [
        finish_file(start(b".a&<b>"), [ONE, TWO]),
        finish_directory(start(b"b", "dir"), THREE),
        finish_other(start(b"z", "symlink") + encode_tail(b'to "\n\\', [], 0)),
        finish_other(start(b"zz", "dev") + encode_tail(None, [("user.x", b"\1\2"), ("user.y", b"123")], 5)),
        finish_file(start(b"zzz"), [TWO, ONE]),
        finish_file(start("é€𝄞".encode(), mtime_ns=951_825_600 * 10**9), []),
    ]
)
INDEX = encode_index(
    [
        IndexedPack(ONE, [PackedBlob(TWO, BlobType.DATA, 0, 38), PackedBlob(ONE, BlobType.DATA, 38, 112, 511)]),
        IndexedPack(TWO, [PackedBlob(THREE, BlobType.TREE, 60, 123, 234), PackedBlob(ONE, BlobType.DATA, 0, 60)]),
    ]
)


def test_a_sound_tree_is_read_alike(implementation: str) -> None:
    names = names_of_tree(TREE, "tree")
    assert (names.subtrees, names.contents) == (THREE, ONE + TWO + TWO + ONE)
    assert (sound_tree_names(TREE) is not None) is (implementation == "native")


@pytest.mark.usefixtures("implementation")
def test_an_empty_tree_is_read_alike() -> None:
    assert names_of_tree(encode_tree([]), "tree") == (b"", b"")


@pytest.mark.usefixtures("implementation")
def test_a_sound_index_is_read_alike() -> None:
    first, second = list_packs(INDEX, "index")
    assert (first.id, first.content_bytes, first.size_bytes) == (ONE, 150, 150 + 37 + 41 + 32 + 4)
    assert (first.has_data, first.has_trees, first.has_uncompressed, first.impossible) == (True, False, True, "")
    assert (second.has_data, second.has_trees, second.has_uncompressed) == (True, True, True)
    assert second.header[1:5] == (60).to_bytes(4, "little"), "blobs stand in the order of the pack"


def test_the_kernel_takes_these_documents_itself() -> None:
    library = built_kernel().library
    assert index_packs(library, INDEX) is not None
    assert tree_names(library, TREE) is not None


def test_what_the_kernel_takes_of_a_changed_tree_python_finds_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("argosy.operations.check.tree_checks.sound_tree_names", lambda _: None)
    library = built_kernel().library
    taken = 0
    for data in changed(TREE):
        names = tree_names(library, data)
        if names is not None:
            taken += 1
            (found,) = look_at_tree(ONE, [data])
            assert found.problems == [], data
            assert set(split_ids(names[0])) == set(split_ids(found.subtrees)), data
            assert set(split_ids(names[1])) == set(split_ids(found.contents)), data
    assert taken > 100, "letters of names and digits of ids may change"


def test_what_a_restore_takes_of_a_changed_tree_python_reads_alike() -> None:
    restoring = NativeRestoring(Session(built_kernel(), bytes(range(64))))
    taken = 0
    for data in changed(TREE):
        restoring.clear()
        if restoring.plan(data, 0):
            taken += 1
            nodes, malformed = decode_nodes(data)
            assert malformed == [], data
            planned = [decode_node(data[entry.start : entry.end]) for entry in restoring.entries()]
            assert planned == [node for node in nodes if node.type not in ("dir", "socket")], data
            assert not any(entry.is_made for entry in restoring.entries())
        else:
            assert len(restoring) == 0
    assert taken > 100, "letters of names and digits of ids may change"


def test_what_the_kernel_takes_of_a_changed_index_python_reads_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    library = built_kernel().library
    taken = []
    for data in changed(INDEX):
        packs = index_packs(library, data)
        if packs is not None:
            taken.append((data, packs))
    assert len(taken) > 100, "digits of ids may change"
    monkeypatch.setattr(native, "_loaded", None)
    monkeypatch.setattr(native, "_reason", "a test goes without")
    for data, packs in taken:
        listed = list_packs(data, "index")
        assert [pack[:3] for pack in packs] == [(each.id, each.header, each.content_bytes) for each in listed], data
        assert not any(each.impossible for each in listed), data


@pytest.mark.parametrize(
    "data",
    [
        TREE[:-1] + b" ",
        TREE.replace(b'"uid":7', b'"uid":7,"uid":7'),
        TREE.replace(b'"uid":7', b'"uid":-7'),
        TREE.replace(b'"uid":7', b'"uid":7.0'),
        TREE.replace(b'"uid":7', b'"uid":07'),
        TREE.replace(b'"name":"b"', b'"name":"zz"'),
        TREE.replace(b'"name":"b"', b'"name":"b/c"'),
        TREE.replace(b'"name":"b"', b'"name":"b\\u0000"'),
        TREE.replace(b'"name":"b"', b'"name":".."'),
        TREE.replace(b'"name":"b"', b'"name":"' + b"b" * 5000 + b'"'),
        TREE.replace(b'"type":"dir"', b'"type":"file"'),
        TREE.replace(b',"subtree"', b',"other"'),
        TREE.replace(b'"content":[]', b'"content":null'),
        TREE.replace(b'"2000-02-29', b'"2001-02-29'),
        TREE.replace(b'"2000-02-29', b'"2000-02-30'),
        TREE.replace(ONE.hex().encode(), bytes(32).hex().encode()),
        TREE.replace(b'"AQI="', b'"AQ="'),
        TREE.replace(b'"user.x"', b'"user.\\ud800"'),
    ],
)
def test_what_is_wrong_or_unusual_is_left_to_python(data: bytes) -> None:
    assert data != TREE
    assert tree_names(built_kernel().library, data) is None


@pytest.mark.parametrize("length", range(0, len(TREE) - 2, 7))
def test_a_tree_that_ends_early_is_left_to_python(length: int) -> None:
    assert tree_names(built_kernel().library, TREE[:length]) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"offset":38', b'"offset":39'),
        (b'"length":38', b'"length":31'),
        (b'"length":112', b'"length":4294967296'),
        (b'"uncompressed_length":511', b'"uncompressed_length":4294967296'),
        (b'"packs"', b'"supersedes":[],"packs"'),
        (b'{"packs":[', b'{"packs":[{"id":"' + ONE.hex().encode() + b'","blobs":[]},'),
    ],
)
def test_an_index_that_is_unusual_is_left_to_python(old: bytes, new: bytes) -> None:
    data = INDEX.replace(old, new)
    assert data != INDEX
    assert index_packs(built_kernel().library, data) is None


@pytest.mark.parametrize("length", range(0, len(INDEX) - 2, 7))
def test_an_index_that_ends_early_is_left_to_python(length: int) -> None:
    assert index_packs(built_kernel().library, INDEX[:length]) is None


def changed(document: bytes) -> list[bytes]:
    """The document with one byte changed, left out or doubled, at each place."""
    source = random.Random(1)
    variants = []
    for at in range(len(document)):
        before, after = document[:at], document[at + 1 :]
        variants += [before + bytes([other]) + after for other in source.sample(OTHER_BYTES, 12)]
        variants += [before + after, document[: at + 1] + document[at:]]
    return variants
