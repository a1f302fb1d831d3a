"""The native kernel's tables of blobs and its copying do as Python's do."""

from __future__ import annotations

import hashlib
import random

import pytest

from argosy import native
from argosy.native.tables import NativeMarks
from argosy.operations.blob_tables import BlobTable, PythonBlobTable, blob_table, split_ids
from argosy.operations.prune.blob_marks import MISSING, BlobMarks, NativeBlobMarks, PythonBlobMarks
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.index import IndexedPack, encode_header_of, encode_pack
from argosy.restic_format.pack import count_blobs, decode_header, encode_header
from tests.support.native import built_kernel


def identity(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


def random_header(source: random.Random) -> bytes:
    """Up to 12 of 30 data blobs and 30 trees, some of them twice."""
    blobs, offset = [], 0
    for _ in range(source.randrange(1, 12)):
        length = source.randrange(32, 99)
        blob_type = source.choice(list(BlobType))
        number = 2 * source.randrange(30) + blob_type
        blobs.append(PackedBlob(identity(number), blob_type, offset, length, source.choice((0, 500))))
        offset += length
    return encode_header(blobs)


@pytest.fixture
def both() -> tuple[BlobMarks, BlobMarks]:
    marks: tuple[BlobMarks, BlobMarks] = (NativeBlobMarks(NativeMarks(built_kernel().library)), PythonBlobMarks())
    for each in marks:
        each.add(BlobType.DATA, b"".join(identity(2 * number) for number in range(0, 30, 2)) * 2)
        each.add(BlobType.TREE, b"".join(identity(2 * number + 1) for number in range(0, 30, 3)))
    return marks


@pytest.mark.parametrize("seed", range(10))
def test_marks_of_both_are_the_same_whatever_packs_there_are(both: tuple[BlobMarks, BlobMarks], seed: int) -> None:
    source = random.Random(seed)
    headers = [random_header(source) for _ in range(300 if seed == 0 else 40)]

    def same(ask: object) -> None:
        native_answer, python_answer = (ask(marks) for marks in both)  # type: ignore[operator]
        assert native_answer == python_answer

    for header in headers:
        same(lambda marks, header=header: marks.see(header))
    same(lambda marks: marks.with_mark(MISSING, 0))
    for header in headers:
        same(lambda marks, header=header: marks.choose(header, marks.count(header)))
    for header in headers:
        old, new = source.choice((None, 0, 1, 2)), source.randrange(3)
        same(lambda marks, header=header, old=old, new=new: marks.change(header, old, new, count_blobs(header)))
    for mark in range(3):
        same(lambda marks, mark=mark: (lambda found: (found[0], set(found[1])))(marks.with_mark(mark, 1000)))


@pytest.mark.parametrize("with_data", [True, False])
def test_tables_of_both_say_the_same(with_data: bool) -> None:
    source = random.Random(7)
    built_kernel()
    pack_ids = [identity(-number) for number in range(50)]
    tables: list[BlobTable] = [
        blob_table(pack_ids.__getitem__, with_data=with_data),
        PythonBlobTable(pack_ids.__getitem__, with_data=with_data),
    ]
    assert not isinstance(tables[0], PythonBlobTable)
    for number in range(50):
        header = random_header(source)
        for table in tables:
            table.add(number, header)
    asked = b"".join(identity(number) for number in range(80))
    first, second = (table.missing(asked) for table in tables)
    assert list(first) == list(second)
    assert len(first) >= 20
    for number in range(61):
        places, others = (sorted(table.find_tree(identity(number)), key=repr) for table in tables)
        assert places == others


def test_an_index_lists_what_a_header_does(monkeypatch: pytest.MonkeyPatch) -> None:
    built_kernel()
    source = random.Random(3)
    for number in range(20):
        header = random_header(source)
        expected = encode_pack(IndexedPack(identity(number), decode_header(header, "header"))), count_blobs(header)
        assert encode_header_of(identity(number), header) == expected
        with monkeypatch.context() as without:
            without.setattr(native, "_loaded", None)
            without.setattr(native, "_reason", "a test goes without")
            assert encode_header_of(identity(number), header) == expected
    assert split_ids(b"") == []
