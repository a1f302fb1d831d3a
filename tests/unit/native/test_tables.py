"""Tables of ids in the kernel behave as dictionaries of lists."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable

import pytest

from argosy.native.ids import NativeIds
from argosy.native.tables import NativeMarks, NativeTable
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.pack import encode_header
from tests.support.native import built_kernel


def ids(*numbers: int) -> bytes:
    return b"".join(hashlib.sha256(b"%d" % number).digest() for number in numbers)


def test_ids_are_added_once_and_found_again_however_many_they_are() -> None:
    table = NativeTable(built_kernel().library, 1)
    added = set[int]()
    source = random.Random(2)
    for _ in range(200):
        some = [source.randrange(8000) for _ in range(100)]
        fresh = [number for number in dict.fromkeys(some) if number not in added]
        assert table.add(ids(*some)) == len(fresh)
        added.update(fresh)
    assert len(table) == len(added)
    assert {number for number in range(9000) if table.payloads(ids(number))} == added


def test_ids_that_begin_alike_are_told_apart() -> None:
    """Their slots are the same."""
    table = NativeTable(built_kernel().library, 1)
    alike = [bytes(28) + number.to_bytes(4, "big") for number in range(200)]
    assert table.add(b"".join(alike[:150])) == 150
    assert [bool(table.payloads(one)) for one in alike] == [True] * 150 + [False] * 50


def test_a_tree_has_all_its_places_and_data_has_none() -> None:
    trees = NativeTable(built_kernel().library, 16)
    blobs = [PackedBlob(ids(1), BlobType.DATA, 0, 40), PackedBlob(ids(2), BlobType.TREE, 40, 50, 99)]
    for pack_no in (3, 70_000):
        trees.add_trees(pack_no, encode_header(blobs))
    first, second = trees.payloads(ids(2))
    assert [int.from_bytes(first[at : at + 4], "little") for at in range(0, 16, 4)] == [3, 40, 50, 99]
    assert int.from_bytes(second[:4], "little") == 70_000
    assert trees.payloads(ids(1)) == []
    assert len(trees) == 2


def test_fresh_ids_are_told_and_found_by_their_start() -> None:
    table = NativeTable(built_kernel().library, 8)
    assert table.add_fresh(ids(*range(50), 7), b"parent 1") == ids(*range(50))
    assert table.add_fresh(ids(*range(30, 1_000)), b"parent 2") == ids(*range(50, 1_000))
    assert (table.get(ids(49)), table.get(ids(50)), table.get(ids(5_000))) == (b"parent 1", b"parent 2", None)
    assert table.starting_with(ids(70)[:8]) == ids(70)
    assert table.starting_with(ids(5_000)[:8]) is None
    assert table.missing(ids(1, 5_000, 2)) == ids(5_000)
    with pytest.raises(ValueError, match="8 bytes"):
        table.add_fresh(ids(1), b"short")


def test_the_first_payload_of_many_ids_is_told_with_how_many_there_are() -> None:
    trees = NativeTable(built_kernel().library, 16)
    once, twice = (PackedBlob(ids(n), BlobType.TREE, 0, 40) for n in (1, 2))
    trees.add_trees(8, encode_header([once, twice]))
    trees.add_trees(9, encode_header([twice]))
    firsts, numbers = trees.firsts(ids(2, 3, 1))
    assert list(numbers) == [2, 0, 1]
    assert (firsts[0], firsts[32]) == (8, 8)


def data_header(numbers: Iterable[int]) -> bytes:
    return encode_header([PackedBlob(ids(number), BlobType.DATA, 0, 40) for number in numbers])


@pytest.mark.parametrize("count", [0, 1, 9, 5_000])
def test_a_list_says_which_ids_were_not_added(count: int) -> None:
    """Also those that were added twice, and after a question."""
    known = NativeIds(built_kernel().library)
    known.add_data(data_header(range(0, count, 2)))
    known.add_data(data_header(range(0, count, 4)))
    assert known.missing(ids(*range(count))) == ids(*range(1, count, 2))
    known.add_data(data_header(range(1, count, 2)))
    asked = [*range(count + 100), *range(count)]
    assert known.missing(ids(*asked)) == ids(*range(count, count + 100))
    assert known.missing(b"") == b""


def test_a_list_tells_ids_apart_that_begin_alike_and_leaves_trees_out() -> None:
    """The first 160 bits are what it keeps."""
    known = NativeIds(built_kernel().library)
    alike = [bytes(16) + number.to_bytes(4, "big") + bytes(12) for number in range(300)]
    blobs = [PackedBlob(one, BlobType.TREE if n >= 200 else BlobType.DATA, 0, 40) for n, one in enumerate(alike[:250])]
    known.add_data(encode_header(blobs))
    assert known.missing(b"".join(alike)) == b"".join(alike[200:])


def test_what_is_no_id_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        NativeTable(built_kernel().library, 1).payloads(b"short")


def test_marks_of_a_pack_are_changed_and_told_one_by_one() -> None:
    marks = NativeMarks(built_kernel().library)
    marks.data.add(ids(1, 3))
    marks.trees.add(ids(2))
    blobs = [PackedBlob(ids(number), BlobType(number == 2), 40 * number, 40) for number in range(4)]
    header = encode_header(blobs)
    assert marks.change(header, -1, 7, 4) == bytes((0, 1, 1, 1))
    assert marks.change(header, 6, 8, 4) == bytes(4)
    assert marks.change(encode_header(blobs[:2]), 7, 8, 2) == bytes((0, 1))
    assert marks.data.with_byte(8, 5) == (1, [ids(1)])
    assert marks.trees.with_byte(8, 5) == (0, [])
    assert marks.data.with_byte(7, 0) == (1, [])
