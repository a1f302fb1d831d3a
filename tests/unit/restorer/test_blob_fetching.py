"""Reading blobs: neighbours together, each verified, damage looked for elsewhere before it is given up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.errors import StorageError, StorageUnavailable
from argosy.repository.blob_location import Location
from argosy.repository.layout import FileKind, object_name
from argosy.repository.packer import StoredPack
from argosy.restorer.blob_fetching import WantedBlobs
from argosy.storage.local import LocalStorage
from tests.support.blob_store import BlobStore
from tests.support.storage_doubles import MemoryStorage

CONTENTS = [os.urandom(3000 + number) for number in range(20)] + [b"", b"text " * 10_000]


@pytest.fixture(params=["local", "remote"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BlobStore]:
    storage = LocalStorage(tmp_path / "repository") if request.param == "local" else MemoryStorage()
    store = BlobStore(storage, tmp_path)
    yield store
    store.close()


def damage(store: BlobStore, name: str, offset: int) -> None:
    storage = store.repository.storage
    data = bytearray(storage.get(name))
    data[offset] ^= 0xFF
    storage.put(name, bytes(data))


def pack_name(pack: StoredPack) -> str:
    return object_name(FileKind.PACK, pack.id)


def test_every_blob_comes_for_each_of_its_purposes(store: BlobStore) -> None:
    store.store(CONTENTS[:7])
    store.store(CONTENTS[7:])
    wanted = CONTENTS[::-1] + CONTENTS[3:5] * 2
    store.fetch(wanted)
    assert store.taken == dict(enumerate(wanted))
    assert store.missing == {}


def test_a_damaged_blob_is_missing_and_its_neighbours_are_not(store: BlobStore) -> None:
    (pack,) = store.store(CONTENTS)
    bad = pack.blobs[4]
    damage(store, pack_name(pack), bad.offset + 20)
    store.fetch([*CONTENTS, CONTENTS[4]])
    assert sorted(store.missing) == [4, len(CONTENTS)]
    assert all(bad.id.hex() in reason for reason in store.missing.values())
    assert sorted(store.taken) == [number for number in range(len(CONTENTS)) if number != 4]


def test_another_copy_of_a_damaged_blob_serves(store: BlobStore) -> None:
    (first,) = store.store(CONTENTS[:3])
    store.store(CONTENTS[1:5])
    for blob in first.blobs:
        damage(store, pack_name(first), blob.offset)
    store.fetch(CONTENTS[:3])
    assert (sorted(store.missing), sorted(store.taken)) == ([0], [1, 2])


def test_a_missing_or_short_pack_costs_its_blobs(store: BlobStore) -> None:
    (gone,) = store.store(CONTENTS[:3])
    (short,) = store.store(CONTENTS[3:6])
    store.store(CONTENTS[6:8])
    storage = store.repository.storage
    storage.delete(pack_name(gone))
    data = storage.get(pack_name(short))
    storage.put(pack_name(short), data[: short.blobs[1].offset + 10])
    store.fetch(CONTENTS[:8])
    assert sorted(store.missing) == [0, 1, 2, 4, 5]
    assert sorted(store.taken) == [3, 6, 7]


class FailingStorage(MemoryStorage):
    """Refuses every range of one object."""

    def __init__(self, *, is_local: bool) -> None:
        super().__init__()
        self.is_local = is_local
        self.failing = ""

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        if name == self.failing:
            raise StorageUnavailable(f"{name} does not answer")
        return super().get_range(name, offset, length)


def test_a_store_that_fails_ends_the_restore_if_it_is_remote(tmp_path: Path) -> None:
    """A bad sector of a local disk costs the blobs in it."""
    for is_local in (True, False):
        storage = FailingStorage(is_local=is_local)
        (tmp_path / str(is_local)).mkdir()
        store = BlobStore(storage, tmp_path / str(is_local))
        (bad,) = store.store(CONTENTS[:3])
        store.store(CONTENTS[3:6])
        storage.failing = pack_name(bad)
        if is_local:
            store.fetch(CONTENTS[:6])
            assert sorted(store.missing) == [0, 1, 2]
            assert sorted(store.taken) == [3, 4, 5]
        else:
            with pytest.raises(StorageError, match="does not answer"):
                store.fetch(CONTENTS[:6])
        store.close()


def test_neighbours_are_read_with_one_request() -> None:
    """Up to a gap, and up to a size; packs in the order in which they were named."""
    wanted: WantedBlobs[str] = WantedBlobs()
    places = {"a": (0, 10), "b": (10, 10), "far": (100, 10), "near": (115, 5), "large": (130, 900), "next": (1030, 5)}
    for name in ("near", "large", "b", "a", "far", "next", "a"):
        wanted.add(name.encode(), Location(b"P", *places[name], 0), name)
    wanted.add(b"other", Location(b"Q", 7, 3, 0), "other")
    ranges = [
        (pack, start, length, [purpose for *_, purpose in items])
        for pack, start, length, items in wanted.ranges(gap_bytes=20, most_bytes=100)
    ]
    assert ranges == [
        (b"P", 0, 20, ["a", "a", "b"]),
        (b"P", 100, 20, ["far", "near"]),
        (b"P", 130, 900, ["large"]),
        (b"P", 1030, 5, ["next"]),
        (b"Q", 7, 3, ["other"]),
    ]
