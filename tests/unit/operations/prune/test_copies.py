"""Of several copies of a used blob exactly one is the used one."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from argosy.errors import Damaged
from argosy.operations.prune.blob_marks import BlobMarks, blob_marks
from argosy.operations.prune.contents import PackContents
from argosy.operations.prune.copies import pack_uses
from argosy.operations.prune.plan import PackUse
from argosy.repository.index_writer import write_indexes
from argosy.repository.keys import ScryptNumbers
from argosy.repository.layout import FileKind
from argosy.repository.repository import Repository, init_repository
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.index import IndexedPack
from argosy.storage.open import open_storage

LENGTH = 100


@dataclass(frozen=True)
class Indexed:
    """A repository that has nothing but indexes."""

    repository: Repository

    def contents(self, *packs: IndexedPack, apart: bool = False) -> PackContents:
        for group in [[pack] for pack in packs] if apart else [list(packs)]:
            write_indexes(self.repository, group)
        return PackContents.load(self.repository, self.repository.list_ids(FileKind.INDEX))


@pytest.fixture
def indexed(tmp_path: Path) -> Indexed:
    storage = open_storage(str(tmp_path / "repository"))
    return Indexed(init_repository(storage, b"x", scrypt=ScryptNumbers(n=1024, r=8, p=1)))


def identity(name: object) -> bytes:
    return repr(name).encode().ljust(32, b".")


def pack(name: str, *blobs: object, start: int = 0) -> IndexedPack:
    found = [
        PackedBlob(identity(blob), BlobType.DATA, start + number * LENGTH, LENGTH) for number, blob in enumerate(blobs)
    ]
    return IndexedPack(identity(name), found)


def table(*names: object) -> BlobMarks:
    used = blob_marks()
    for name in names:
        used.add(BlobType.DATA, identity(name))
    return used


def by_name(uses: list[PackUse]) -> dict[bytes, tuple[int, int]]:
    return {use.id: (use.used_blobs, use.unused_blobs) for use in uses}


def test_a_copy_is_taken_from_the_pack_that_stays_anyway(indexed: Indexed) -> None:
    contents = indexed.contents(pack("goes", 1, 8), pack("stays", 1, 2))
    uses = by_name(list(pack_uses(contents, table(1, 2))))
    assert uses == {identity("goes"): (0, 2), identity("stays"): (2, 0)}


def test_a_pack_of_nothing_but_copies_is_taken_for_the_used_one(indexed: Indexed) -> None:
    """It is what a prune wrote that was killed then."""
    contents = indexed.contents(pack("new", 1, 2), pack("old", 1, 2, 9))
    uses = by_name(list(pack_uses(contents, table(1, 2))))
    assert uses == {identity("new"): (2, 0), identity("old"): (0, 3)}


@pytest.mark.parametrize("seed", range(20))
def test_whatever_stands_where_each_used_blob_has_one_used_copy(indexed: Indexed, seed: int) -> None:
    rng = random.Random(seed)
    packs = [pack(f"p{number}", *(rng.randrange(12) for _ in range(rng.randrange(1, 8)))) for number in range(8)]
    there = {blob.id for each in packs for blob in each.blobs}
    wanted = [number for number in range(12) if identity(number) in there and rng.random() < 0.6]
    uses = list(pack_uses(indexed.contents(*packs), table(*wanted)))
    assert sum(use.used_blobs for use in uses) == len(wanted)
    assert sum(use.used_bytes for use in uses) == len(wanted) * LENGTH
    assert sum(use.used_blobs + use.unused_blobs for use in uses) == sum(len(each.blobs) for each in packs)


def test_more_copies_than_a_byte_counts(indexed: Indexed) -> None:
    packs = [pack(f"p{number}", 1, 100 + number) for number in range(300)]
    uses = list(pack_uses(indexed.contents(*packs), table(1)))
    assert sum(use.used_blobs for use in uses) == 1


def test_a_used_blob_that_no_index_lists_is_named(indexed: Indexed) -> None:
    with pytest.raises(Damaged, match=identity(3).hex()):
        list(pack_uses(indexed.contents(pack("p", 1)), table(1, 3)))


def test_indexes_are_replaced_that_list_what_leaves_or_what_another_lists(indexed: Indexed) -> None:
    contents = indexed.contents(pack("a", 1), pack("b", 2), pack("c", 3), apart=True)
    assert contents.indexes_to_replace(set()) == []
    (index_id,) = contents.indexes_to_replace({identity("b")})
    assert list(contents.staying([index_id], {identity("b")})) == []
    again = indexed.contents(pack("a", 1), pack("d", 4))
    twice = again.indexes_to_replace(set())
    assert len(twice) == 2
    assert sorted(each.id for each in again.staying(twice, set())) == [identity("a"), identity("d")]


def test_indexes_that_disagree_or_lie_are_refused(indexed: Indexed) -> None:
    with pytest.raises(Damaged, match="differ"):
        indexed.contents(pack("a", 1), pack("a", 2), apart=True)


def test_an_index_with_a_gap_is_refused(indexed: Indexed) -> None:
    with pytest.raises(Damaged, match="wrongly"):
        indexed.contents(pack("a", 1, start=5))
