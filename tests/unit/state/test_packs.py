"""Recorded packs, and sealed trees that wait for their pack."""

from __future__ import annotations

import pytest

from argosy.state.job_database import JobDatabase
from argosy.state.packs import OpenTrees, RecordedPack, RecordedPacks
from tests.unit.state.conftest import JobFile


@pytest.fixture
def packs(job: JobDatabase) -> RecordedPacks:
    return RecordedPacks(job)


def pack(number: int, kind: str = "data") -> RecordedPack:
    return RecordedPack(bytes([number]) * 32, 1000 + number, b"header %d" % number, kind)


def test_a_pack_is_recorded_once(packs: RecordedPacks, file: JobFile) -> None:
    """Before and after an index names it."""
    assert packs.record(pack(1))
    assert not packs.record(pack(1))
    file.job.commit()
    assert not packs.record(pack(1))
    packs.indexed([pack(1).pack_id], b"i" * 32)
    file.job.commit()
    assert not packs.record(pack(1))
    assert packs.unindexed() == []
    assert (packs.count, packs.size_bytes) == (1, 1001)
    file.job.commit()
    assert packs.index_ids() == [b"i" * 32]


def test_packs_without_an_index_stay_in_the_order_of_their_recording(packs: RecordedPacks) -> None:
    for number in (3, 1, 2):
        packs.record(pack(number))
    packs.indexed([pack(1).pack_id], b"i" * 32)
    assert packs.unindexed() == [pack(3), pack(2)]


def test_after_a_crash_all_that_no_index_names_is_there(packs: RecordedPacks, file: JobFile) -> None:
    for number in (1, 2, 3):
        packs.record(pack(number, "tree" if number == 3 else "data"))
    packs.indexed([pack(1).pack_id], b"i" * 32)
    file.job.commit()
    packs.indexed([pack(2).pack_id], b"j" * 32)
    packs.record(pack(4))
    packs = RecordedPacks(file.crash())
    assert packs.load() == packs.unindexed() == [pack(2), pack(3, "tree")]
    assert (packs.count, packs.size_bytes) == (3, 3006)
    assert packs.of_trees() == {pack(3).pack_id}
    assert sorted(packs.all_ids()) == [(pack(number).pack_id, 1000 + number) for number in (1, 2, 3)]
    assert packs.index_ids() == [b"i" * 32]


def test_packs_of_an_index_that_is_gone_are_without_one_again(packs: RecordedPacks, file: JobFile) -> None:
    for number in (1, 2, 3):
        packs.record(pack(number))
    packs.indexed([pack(1).pack_id], b"i" * 32)
    packs.indexed([pack(2).pack_id], b"j" * 32)
    file.job.commit()
    packs.forget_indexes([b"i" * 32])
    file.job.commit()
    assert packs.index_by_pack() == {pack(1).pack_id: None, pack(2).pack_id: b"j" * 32, pack(3).pack_id: None}
    assert {found.pack_id for found in packs.load()} == {pack(1).pack_id, pack(3).pack_id}


def test_an_open_tree_stays_until_its_pack_is_durable(file: JobFile) -> None:
    trees = OpenTrees(file.job)
    trees.add(b"a" * 32, b"sealed a", 100)
    trees.add(b"b" * 32, b"sealed b", 200)
    trees.add(b"a" * 32, b"sealed once more", 100)
    file.job.commit()
    trees.packed([b"b" * 32])
    file.job.commit()
    trees.packed([b"a" * 32])
    trees = OpenTrees(file.crash())
    assert trees.load() == [(b"a" * 32, b"sealed a", 100)]


def test_a_tree_that_is_packed_before_the_commit_is_never_written(file: JobFile) -> None:
    trees = OpenTrees(file.job)
    trees.add(b"a" * 32, b"sealed a", 100)
    trees.add(b"b" * 32, b"sealed b", 200)
    trees.packed([b"a" * 32])
    assert len(trees.changes()) == 1
    trees.add(b"b" * 32, b"sealed b", 200)
    file.job.commit()
    assert OpenTrees(file.crash()).load() == [(b"b" * 32, b"sealed b", 200)]
