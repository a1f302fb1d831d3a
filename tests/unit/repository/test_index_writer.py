"""Indexes: full, whole packs, noted one by one, never without the lock."""

from __future__ import annotations

import pytest

from argosy.errors import LeaseLost
from argosy.repository import index_writer
from argosy.repository.index_writer import write_indexes
from argosy.repository.layout import FileKind
from argosy.repository.repository import Repository
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.index import IndexedPack


def make_pack(number: int, blobs: int) -> IndexedPack:
    listed = [PackedBlob(bytes([number, at]) * 16, BlobType.DATA, at * 50, 50, 0) for at in range(blobs)]
    return IndexedPack(bytes([number]) * 32, listed)


def test_packs_are_grouped_up_to_the_limit_and_never_divided(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_writer, "MAX_INDEX_BLOBS", 10)
    packs = [make_pack(number, blobs) for number, blobs in enumerate((4, 6, 1, 25, 3, 3))]
    ids = write_indexes(repository, iter(packs))
    indexes = [repository.load_index(index_id) for index_id in ids]
    assert [[len(pack.blobs) for pack in index.packs] for index in indexes] == [[4, 6], [1], [25], [3, 3]]
    assert [pack for index in indexes for pack in index.packs] == packs
    assert set(repository.list_ids(FileKind.INDEX)) == set(ids)


def test_each_index_is_noted_once_it_is_stored(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_writer, "MAX_INDEX_BLOBS", 1)
    noted: list[tuple[bytes, list[bytes]]] = []

    def note(index_id: bytes, pack_ids: list[bytes]) -> None:
        assert repository.load_index(index_id)
        noted.append((index_id, pack_ids))

    packs = [make_pack(1, 1), make_pack(2, 1)]
    ids = write_indexes(repository, packs, on_written=note)
    assert noted == [(ids[0], [packs[0].id]), (ids[1], [packs[1].id])]


def test_no_index_is_written_once_the_lock_is_lost(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_writer, "MAX_INDEX_BLOBS", 1)
    checks = iter((None, LeaseLost("gone")))

    def check() -> None:
        if error := next(checks):
            raise error

    with pytest.raises(LeaseLost):
        write_indexes(repository, [make_pack(1, 1), make_pack(2, 1)], check=check)
    assert len(repository.list_ids(FileKind.INDEX)) == 1


def test_no_packs_make_no_index(repository: Repository) -> None:
    assert write_indexes(repository, []) == []
    assert repository.list_ids(FileKind.INDEX) == []
