"""Blobs are read with few requests, verified, and from another place when one is damaged."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from msgspec import structs

from argosy.errors import Damaged, StorageUnavailable
from argosy.repository import blobs
from argosy.repository.blobs import BlobReader
from argosy.repository.cache import SealedCache
from argosy.repository.encoder import decode_blob
from argosy.repository.layout import FileKind, object_name
from argosy.repository.lookup import DedupLookup
from argosy.repository.repository import Repository
from argosy.restic_format.blob import BlobType
from argosy.restic_format.config import make_config
from argosy.restic_format.crypto import MasterKey
from argosy.restic_format.tree import encode_tree, raw_nodes
from tests.support.storage_doubles import MemoryStorage
from tests.unit.repository.conftest import Filler

DATA, TREE = BlobType.DATA, BlobType.TREE


class CountingStorage(MemoryStorage):
    """Counts requests for packs and the bytes that they gave."""

    def __init__(self, *, is_local: bool) -> None:
        super().__init__()
        self.is_local = is_local
        self.requests: list[int] = []

    def get(self, name: str) -> bytes:
        return self._counted(name, super().get(name))

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        return self._counted(name, self.objects[name][offset : offset + length])

    def size(self, name: str) -> int:
        return len(self.objects[name])

    def _counted(self, name: str, data: bytes) -> bytes:
        if name.startswith("data/"):
            self.requests.append(len(data))
        return data


@pytest.fixture
def storage() -> CountingStorage:
    return CountingStorage(is_local=False)


@pytest.fixture
def reader(repository: Repository, lookup: DedupLookup) -> BlobReader:
    return BlobReader(repository, lookup)


def pack_names(storage: MemoryStorage) -> list[str]:
    return [name for name in storage.objects if name.startswith("data/")]


def damage(storage: MemoryStorage, name: str) -> None:
    """Flip a bit in the first blob of the pack."""
    data = bytearray(storage.objects[name])
    data[20] ^= 1
    storage.objects[name] = bytes(data)


@pytest.mark.parametrize("kind", [DATA, TREE])
def test_a_blob_comes_back(filler: Filler, reader: BlobReader, kind: BlobType) -> None:
    contents = [b"text " * 100, os.urandom(500)]
    ids = filler.store(contents, kind)
    assert [reader.load_blob(blob_id, kind) for blob_id in ids] == contents


@pytest.mark.parametrize("content", [b"text " * 100, b"x", b""], ids=["text", "one byte", "empty"])
def test_a_blob_that_is_kept_sealed_needs_no_request_and_is_verified_anew(
    filler: Filler, reader: BlobReader, storage: CountingStorage, content: bytes
) -> None:
    (blob_id,) = filler.store([content], TREE)
    sealed, loaded = reader.load_sealed(blob_id, TREE)
    assert loaded == content
    storage.requests.clear()
    assert reader.open_sealed(sealed) == content
    assert storage.requests == []
    damaged = bytearray(sealed.sealed)
    damaged[-1] ^= 1
    with pytest.raises(Damaged, match=f"tree {blob_id.hex()}"):
        reader.open_sealed(structs.replace(sealed, sealed=bytes(damaged)))


def test_a_huge_tree_comes_in_parts(
    monkeypatch: pytest.MonkeyPatch, filler: Filler, reader: BlobReader, storage: CountingStorage
) -> None:
    """Verified before the first part is given."""
    monkeypatch.setattr(blobs, "_WHOLE_TREE_BYTES", 1000)
    nodes = [
        b'{"name":"%04d","type":"file","x":"%b"}' % (number, os.urandom(3000).hex().encode()) for number in range(100)
    ]
    small, huge = encode_tree(nodes[:0]), encode_tree(nodes)
    small_id, huge_id = filler.store([small, huge], TREE)
    assert list(reader.load_tree(small_id)) == [small]
    parts = list(reader.load_tree(huge_id))
    assert len(parts) > 1
    assert [bytes(raw) for part in parts for raw in raw_nodes(part, "part")] == nodes
    (name,) = pack_names(storage)
    storage.objects[name] = storage.objects[name][:200_000] + b"?" + storage.objects[name][200_001:]
    with pytest.raises(Damaged, match=huge_id.hex()):
        BlobReader(filler.repository, filler.lookup).load_tree(huge_id)


def test_a_blob_of_the_other_type_is_another_blob(filler: Filler, reader: BlobReader) -> None:
    (tree_id,) = filler.store([b"content"], TREE)
    with pytest.raises(Damaged, match=f"{tree_id.hex()} is in no index"):
        reader.load_blob(tree_id, DATA)


def test_a_damaged_blob_is_named_with_its_pack(filler: Filler, reader: BlobReader, storage: CountingStorage) -> None:
    (blob_id,) = filler.store([b"content"])
    (name,) = pack_names(storage)
    damage(storage, name)
    for load in (lambda: reader.load_blob(blob_id, DATA), lambda: list(reader.load_many([blob_id], DATA))):
        with pytest.raises(Damaged, match=f"{blob_id.hex()} in pack {name[-64:]}"):
            load()


@pytest.mark.parametrize("loss", ["damaged", "gone", "short"])
@pytest.mark.parametrize("kind", [DATA, TREE])
def test_another_copy_stands_in_for_a_lost_one(
    filler: Filler, repository: Repository, lookup: DedupLookup, storage: CountingStorage, kind: BlobType, loss: str
) -> None:
    (blob_id,) = filler.store([b"content"], kind)
    filler.store([b"content"], kind)
    assert len(lookup.find(blob_id, kind)) == 2
    for place in lookup.find(blob_id, kind):
        name = object_name(FileKind.PACK, place.pack_id)
        whole = storage.objects[name]
        if loss == "damaged":
            damage(storage, name)
        elif loss == "short":
            storage.objects[name] = whole[:10]
        else:
            del storage.objects[name]
        if loss != "gone":
            reader = BlobReader(repository, lookup)
            assert reader.load_blob(blob_id, kind) == b"content"
            assert list(reader.load_many([blob_id], kind)) == [(blob_id, b"content")]
        storage.objects[name] = whole


def test_a_store_that_does_not_answer_is_no_damage(
    filler: Filler, reader: BlobReader, storage: CountingStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    (blob_id,) = filler.store([b"content"])

    def refuse(name: str, offset: int, length: int) -> bytes:
        raise StorageUnavailable(f"no answer for {name}, {length} bytes at {offset}")

    monkeypatch.setattr(storage, "get_range", refuse)
    with pytest.raises(StorageUnavailable):
        reader.load_blob(blob_id, DATA)
    with pytest.raises(StorageUnavailable):
        list(reader.load_many([blob_id], DATA))


def test_neighbours_are_read_with_one_request(filler: Filler, reader: BlobReader, storage: CountingStorage) -> None:
    contents = [os.urandom(1000) for _ in range(50)]
    ids = filler.store(contents)
    assert dict(reader.load_many(reversed(ids + ids), DATA)) == dict(zip(ids, contents, strict=True))
    assert len(storage.requests) == 1


def test_a_range_has_a_bounded_size(filler: Filler, reader: BlobReader, storage: CountingStorage) -> None:
    contents = [os.urandom(1_500_000) for _ in range(10)]
    assert [blob_id for blob_id, _ in reader.load_many(filler.store(contents), DATA)]
    assert max(storage.requests) <= 16 * 1024 * 1024


@pytest.mark.parametrize(("is_local", "requests"), [(True, 2), (False, 1)])
def test_a_gap_is_read_where_that_is_cheaper_than_a_request(
    tmp_path: Path, key: MasterKey, is_local: bool, requests: int
) -> None:
    storage = CountingStorage(is_local=is_local)
    repository = Repository(storage, key, make_config(os.urandom))
    lookup = DedupLookup(tmp_path / "another.sqlite", key)
    ids = Filler(repository, lookup).store([os.urandom(1000), os.urandom(200_000), os.urandom(1000)])
    assert len(list(BlobReader(repository, lookup).load_many([ids[0], ids[2]], DATA))) == 2
    assert len(storage.requests) == requests
    lookup.close()


def test_blobs_are_given_sealed_to_be_packed_again(filler: Filler, reader: BlobReader) -> None:
    ids = filler.store([b"one " * 100, os.urandom(100)])
    for blob in reader.load_encoded(ids, DATA):
        opener = filler.repository.opener()
        assert decode_blob(opener, blob.id, blob.sealed, blob.uncompressed_length, "it")
        assert blob.id in ids
        assert blob.type is DATA


def test_a_remote_tree_pack_is_fetched_once(filler: Filler, reader: BlobReader, storage: CountingStorage) -> None:
    ids = filler.store([f"tree {number}".encode() * 20 for number in range(20)], TREE)
    for tree_id in ids:
        reader.load_blob(tree_id, TREE)
    assert len(storage.requests) == 1


def test_a_remote_tree_pack_is_fetched_once_by_many_threads(
    filler: Filler, reader: BlobReader, storage: CountingStorage
) -> None:
    ids = filler.store([f"tree {number}".encode() * 20 for number in range(20)], TREE)
    loaded: list[bytes] = []

    def load(part: list[bytes]) -> None:
        loaded.extend(reader.load_blob(tree_id, TREE) for tree_id in part)

    threads = [threading.Thread(target=load, args=(ids[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loaded) == 20
    assert len(storage.requests) == 1


def test_tree_packs_are_kept_on_disk_from_run_to_run(
    filler: Filler, repository: Repository, lookup: DedupLookup, storage: CountingStorage, tmp_path: Path
) -> None:
    ids = filler.store([b"one tree", b"another tree"], TREE)
    repository.use_cache(SealedCache(tmp_path / "cache"))
    for _ in range(2):
        reader = BlobReader(repository, lookup)
        assert reader.load_blob(ids[0], TREE) == b"one tree"
        assert reader.load_blob(ids[1], TREE) == b"another tree"
    assert len(storage.requests) == 1


def test_a_damaged_copy_on_disk_is_replaced(
    filler: Filler, repository: Repository, lookup: DedupLookup, storage: CountingStorage, tmp_path: Path
) -> None:
    (tree_id,) = filler.store([b"one tree"], TREE)
    (name,) = pack_names(storage)
    cache = SealedCache(tmp_path / "cache")
    repository.use_cache(cache)
    cache.put(name, bytes(len(storage.objects[name])))
    assert BlobReader(repository, lookup).load_blob(tree_id, TREE) == b"one tree"
    assert cache.get(name) is None


def test_a_local_repository_needs_no_cache(tmp_path: Path, key: MasterKey) -> None:
    repository = Repository(CountingStorage(is_local=True), key, make_config(os.urandom))
    repository.use_cache(SealedCache(tmp_path))
    assert repository.cache is None


def test_what_was_just_read_is_kept_within_bounds(
    filler: Filler, repository: Repository, lookup: DedupLookup, storage: CountingStorage
) -> None:
    ids = filler.store([os.urandom(1000) for _ in range(10)])
    reader = BlobReader(repository, lookup, memory_bytes=6000)
    for blob_id in (ids[0], ids[1], ids[0], ids[1]):
        reader.load_blob(blob_id, DATA)
    assert len(storage.requests) == 2
    for blob_id in ids:
        reader.load_blob(blob_id, DATA)
    storage.requests.clear()
    reader.load_blob(ids[0], DATA)
    assert len(storage.requests) == 1
