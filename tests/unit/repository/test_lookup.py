"""The dedup lookup: equal to the indexes, private, packs pending for one job, proofs tied to indexes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import Damaged, StorageUnavailable
from argosy.repository import lookup as lookup_module
from argosy.repository.blob_location import Location
from argosy.repository.lookup import DedupLookup
from argosy.repository.packer import StoredPack
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.crypto import MasterKey
from argosy.restic_format.index import Index, IndexedPack
from argosy.restic_format.pack import encode_header

DATA, TREE = BlobType.DATA, BlobType.TREE
Opener = Callable[..., DedupLookup]


def make_id(number: int) -> bytes:
    return number.to_bytes(32, "big")


def make_pack(number: int, *blobs: int, kind: BlobType = DATA) -> IndexedPack:
    return IndexedPack(
        make_id(1_000_000 + number),
        [PackedBlob(make_id(blob), kind, at * 100, 100, 150) for at, blob in enumerate(blobs)],
    )


def make_stored(number: int, *blobs: int, kind: BlobType = DATA) -> StoredPack:
    """The same pack as its packer knows it."""
    pack = make_pack(number, *blobs, kind=kind)
    return StoredPack(pack.id, 1000, encode_header(list(pack.blobs)))


class Indexes(dict[bytes, Index]):
    """The indexes of a repository; counts what is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[bytes] = []

    def put(self, number: int, *packs: IndexedPack) -> bytes:
        index_id = make_id(2_000_000 + number)
        self[index_id] = Index(packs)
        return index_id

    def load(self, index_id: bytes) -> Index:
        self.loaded.append(index_id)
        return self[index_id]


@pytest.fixture
def indexes() -> Indexes:
    return Indexes()


@pytest.fixture
def open_lookup(tmp_path: Path, key: MasterKey) -> Iterator[Opener]:
    opened: list[DedupLookup] = []

    def open_one(**options: Any) -> DedupLookup:
        opened.append(DedupLookup(tmp_path / "lookup.sqlite", key, **options))
        return opened[-1]

    yield open_one
    for lookup in opened:
        lookup.close()


def test_it_finds_what_the_indexes_list_and_nothing_else(lookup: DedupLookup, indexes: Indexes) -> None:
    indexes.put(1, make_pack(1, 10, 11), make_pack(2, 12))
    lookup.synchronize(indexes, indexes.load)
    assert lookup.find(make_id(11)) == [Location(make_pack(1).id, 100, 100, 150)]
    assert lookup.contains(make_id(12))
    assert not lookup.contains(make_id(13))
    assert lookup.find(make_id(13)) == []
    assert lookup.contains_many(map(make_id, range(20))) == {make_id(10), make_id(11), make_id(12)}
    assert lookup.blob_count == 3


def test_a_tree_is_not_taken_for_a_data_blob_of_the_same_bytes(lookup: DedupLookup, indexes: Indexes) -> None:
    """A file may have the very bytes of a tree: restic looks for it as data and would not find it."""
    indexes.put(1, make_pack(1, 10, kind=TREE))
    lookup.synchronize(indexes, indexes.load)
    assert lookup.contains(make_id(10), TREE)
    assert not lookup.contains(make_id(10), DATA)


def test_a_blob_in_two_packs_has_two_places(lookup: DedupLookup, indexes: Indexes) -> None:
    indexes.put(1, make_pack(1, 10))
    second = indexes.put(2, make_pack(2, 10))
    lookup.synchronize(indexes, indexes.load)
    assert {place.pack_id for place in lookup.find(make_id(10))} == {make_pack(1).id, make_pack(2).id}
    del indexes[second]
    lookup.synchronize(indexes, indexes.load)
    assert [place.pack_id for place in lookup.find(make_id(10))] == [make_pack(1).id]


def test_only_new_indexes_are_loaded(lookup: DedupLookup, indexes: Indexes) -> None:
    for number in range(10):
        indexes.put(number, make_pack(number, number))
    lookup.synchronize(indexes, indexes.load)
    indexes.loaded.clear()
    added = indexes.put(10, make_pack(10, 10))
    lookup.synchronize(indexes, indexes.load)
    assert indexes.loaded == [added]
    assert lookup.index_ids() == set(indexes)
    assert lookup.blob_count == 11


def test_removals_happen_before_anything_is_loaded(lookup: DedupLookup, indexes: Indexes) -> None:
    """If loading fails, what is gone is gone: the lookup never knows more than the repository."""
    old = indexes.put(1, make_pack(1, 10))
    lookup.synchronize(indexes, indexes.load)
    del indexes[old]
    indexes.put(2, make_pack(2, 10))

    def fail(index_id: bytes) -> Index:
        raise StorageUnavailable(f"no answer for {index_id.hex()}")

    with pytest.raises(StorageUnavailable):
        lookup.synchronize(indexes, fail)
    assert not lookup.contains(make_id(10))


def test_it_is_kept_from_run_to_run(open_lookup: Opener, indexes: Indexes) -> None:
    indexes.put(1, make_pack(1, 10))
    open_lookup().synchronize(indexes, indexes.load)
    assert open_lookup().contains(make_id(10))


def test_a_reader_sees_what_the_writer_commits(open_lookup: Opener, indexes: Indexes) -> None:
    writer, reader = open_lookup(), open_lookup(read_only=True)
    indexes.put(1, make_pack(1, 10))
    assert not reader.contains(make_id(10))
    writer.synchronize(indexes, indexes.load)
    assert reader.contains(make_id(10))


def test_the_file_tells_neither_ids_nor_sizes(tmp_path: Path, lookup: DedupLookup, indexes: Indexes) -> None:
    secret = os.urandom(32)
    blob = PackedBlob(secret, DATA, 0x0A0B0C0D, 0x01020304, 0x05060708)
    index_id = make_id(1)
    indexes[index_id] = Index([IndexedPack(make_id(2), [blob])])
    lookup.synchronize(indexes, indexes.load)
    lookup.mark_proved(secret)
    lookup.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert make_id(2) in stored
    for number in (0x0A0B0C0D, 0x01020304, 0x05060708):
        assert number.to_bytes(4, "little") not in stored
        assert number.to_bytes(4, "big") not in stored
    assert secret not in stored
    assert secret[:8] not in stored


def test_a_pending_pack_counts_for_its_own_job_alone(open_lookup: Opener) -> None:
    """If the job dies, no index may ever list the pack: another job must not rely on it."""
    ours, theirs = open_lookup(job="ours"), open_lookup(job="theirs")
    worker = open_lookup(job="ours", read_only=True)
    ours.add_pending([make_stored(1, 10)])
    assert ours.contains(make_id(10))
    assert worker.contains(make_id(10))
    assert worker.blob_count == 1
    assert not theirs.contains(make_id(10))


def test_a_pending_pack_recorded_twice_counts_once(open_lookup: Opener) -> None:
    lookup = open_lookup(job="ours")
    lookup.add_pending([make_stored(1, 10)])
    lookup.add_pending([make_stored(1, 10), make_stored(2, 11)])
    assert lookup.blob_count == 2


def test_promoted_packs_count_for_everybody(open_lookup: Opener, indexes: Indexes) -> None:
    ours, theirs = open_lookup(job="ours"), open_lookup()
    ours.add_pending([make_stored(1, 10), make_stored(2, 11)])
    index_id = indexes.put(1, make_pack(1, 10))
    ours.promote_pending(index_id, [make_pack(1).id])
    assert theirs.contains(make_id(10))
    assert not theirs.contains(make_id(11))
    theirs.synchronize(indexes, indexes.load)
    assert indexes.loaded == []


def test_an_index_with_a_pack_never_recorded_is_left_to_be_loaded(open_lookup: Opener, indexes: Indexes) -> None:
    ours = open_lookup(job="ours")
    ours.add_pending([make_stored(1, 10)])
    index_id = indexes.put(1, make_pack(1, 10), make_pack(2, 11))
    ours.promote_pending(index_id, [make_pack(1).id, make_pack(2).id])
    assert ours.index_ids() == set()
    ours.synchronize(indexes, indexes.load)
    assert ours.contains(make_id(11))


def test_it_tells_which_index_lists_a_pack(open_lookup: Opener, indexes: Indexes) -> None:
    """Of those that are asked for; a pending pack is in none."""
    first, second = indexes.put(1, make_pack(1, 10), make_pack(2, 11)), indexes.put(2, make_pack(3, 12))
    lookup = open_lookup(job="ours")
    lookup.synchronize(indexes, indexes.load)
    lookup.add_pending([make_stored(4, 13)])
    found = lookup.index_of_packs([make_pack(number).id for number in (1, 3, 4, 5)])
    assert found == {make_pack(1).id: first, make_pack(3).id: second}


def test_dropped_pending_packs_are_gone(open_lookup: Opener, indexes: Indexes) -> None:
    indexes.put(1, make_pack(1, 10))
    lookup = open_lookup(job="ours")
    lookup.synchronize(indexes, indexes.load)
    lookup.add_pending([make_stored(2, 11)])
    lookup.drop_pending()
    assert lookup.contains(make_id(10))
    assert not lookup.contains(make_id(11))


def test_pending_packs_of_a_job_long_gone_are_dropped(open_lookup: Opener) -> None:
    open_lookup(job="gone").add_pending([make_stored(1, 10)])
    other = open_lookup(job="other", now=lambda: time.time() + 8 * 86_400)
    other.add_pending([make_stored(2, 11)])
    other.synchronize([], Indexes().load)
    assert other.contains(make_id(11))
    assert not open_lookup(job="gone").contains(make_id(10))


def test_a_pending_pack_needs_a_job(lookup: DedupLookup) -> None:
    with pytest.raises(ValueError, match="job"):
        lookup.add_pending([make_stored(1, 10)])


def test_a_proof_holds_while_every_index_of_its_time_exists(lookup: DedupLookup, indexes: Indexes) -> None:
    first, _ = indexes.put(1, make_pack(1, 10)), indexes.put(2, make_pack(2, 11))
    lookup.synchronize(indexes, indexes.load)
    assert not lookup.proved(make_id(99))
    lookup.mark_proved(make_id(99))
    later = indexes.put(3, make_pack(3, 12))
    lookup.synchronize(indexes, indexes.load)
    assert lookup.proved(make_id(99))
    del indexes[later]
    lookup.synchronize(indexes, indexes.load)
    assert lookup.proved(make_id(99)), "an index that is younger than the proof matters to it"
    del indexes[first]
    lookup.synchronize(indexes, indexes.load)
    assert not lookup.proved(make_id(99))


def test_nothing_is_proved_by_pending_packs(open_lookup: Opener) -> None:
    lookup = open_lookup(job="ours")
    lookup.add_pending([make_stored(1, 10)])
    with pytest.raises(ValueError, match="pending"):
        lookup.mark_proved(make_id(99))


def test_rows_of_removed_packs_are_swept_once_they_are_many(
    lookup: DedupLookup, indexes: Indexes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup_module, "_DEAD_ROWS_KEPT", 100)
    old = indexes.put(1, make_pack(1, *range(200)))
    indexes.put(2, make_pack(2, *range(150, 250)))
    lookup.synchronize(indexes, indexes.load)
    del indexes[old]
    lookup.synchronize(indexes, indexes.load)
    assert lookup._database.first("SELECT count(*) FROM blobs") == (100,)
    assert lookup.contains_many(map(make_id, range(250))) == set(map(make_id, range(150, 250)))


def test_a_file_that_is_no_database_is_made_anew(tmp_path: Path, open_lookup: Opener, indexes: Indexes) -> None:
    (tmp_path / "lookup.sqlite").write_bytes(b"this was never a database" * 100)
    lookup = open_lookup()
    indexes.put(1, make_pack(1, 10))
    lookup.synchronize(indexes, indexes.load)
    assert lookup.contains(make_id(10))


def test_a_file_of_another_version_is_made_anew(open_lookup: Opener, indexes: Indexes) -> None:
    indexes.put(1, make_pack(1, 10))
    lookup = open_lookup()
    lookup.synchronize(indexes, indexes.load)
    lookup._database.execute("PRAGMA user_version = 77")
    lookup.close()
    assert open_lookup().blob_count == 0


def test_damage_found_while_reading_has_the_next_run_make_the_file_anew(
    tmp_path: Path, open_lookup: Opener, indexes: Indexes
) -> None:
    for number in range(20):
        indexes.put(number, make_pack(number, *range(number * 1000, number * 1000 + 1000)))
    lookup = open_lookup()
    lookup.synchronize(indexes, indexes.load)
    lookup._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    lookup.close()
    path = tmp_path / "lookup.sqlite"
    stored = bytearray(path.read_bytes())
    half = len(stored) // 2
    stored[half:] = bytes(len(stored) - half)
    path.write_bytes(stored)
    damaged = open_lookup(read_only=True)
    with pytest.raises(Damaged, match=r"lookup\.sqlite"):
        damaged.contains_many(map(make_id, range(20_000)))
    fresh = open_lookup()
    assert fresh.blob_count == 0
    fresh.synchronize(indexes, indexes.load)
    assert fresh.blob_count == 20_000


def test_threads_may_share_it(lookup: DedupLookup, indexes: Indexes) -> None:
    indexes.put(1, make_pack(1, *range(0, 2000, 2)))
    lookup.synchronize(indexes, indexes.load)
    wrong: list[int] = []

    def look() -> None:
        wrong.extend(n for n in range(2000) if lookup.contains(make_id(n)) != (n % 2 == 0))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_its_file_is_private(tmp_path: Path, lookup: DedupLookup) -> None:
    assert lookup.path.stat().st_mode & 0o077 == 0
    nested = DedupLookup(tmp_path / "cache" / "repository" / "lookup.sqlite", MasterKey.generate(os.urandom))
    nested.close()
    assert (tmp_path / "cache" / "repository").stat().st_mode & 0o077 == 0
