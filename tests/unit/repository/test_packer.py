"""Packs: their form and size, the order of events, the bound on memory, failures that reach everybody."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from mmap import mmap

import pytest

from argosy.errors import Damaged, Interrupted, LeaseLost, StorageFull
from argosy.memory import untouched
from argosy.repository import packer as packer_module
from argosy.repository.encoder import BlobEncoder, EncodedBlob, SealedRun
from argosy.repository.layout import FileKind, object_name
from argosy.repository.packer import Packer, PackRef, StoredPack
from argosy.repository.repository import Repository
from argosy.restic_format.blob import BlobType, blob_id
from argosy.restic_format.crypto import MasterKey, Sealer
from argosy.restic_format.pack import PLAIN_ENTRY_BYTES, encode_entry, pack_size_bytes, seal_header
from argosy.storage.interface import Buffer
from tests.support.storage_doubles import Died, DyingBeforePut, FullStorage, GatedStorage, MemoryStorage

PATIENCE_SECONDS = 30.0
KIB = 1024
MIB = 1024 * 1024


class SinkStorage(MemoryStorage):
    """Takes everything and keeps nothing."""

    def put(self, name: str, data: Buffer, *, create: bool = False) -> None:
        del name, data, create


def make_packer(
    storage: MemoryStorage,
    key: MasterKey,
    *,
    stored: list[StoredPack] | None = None,
    lease: Callable[[], None] = lambda: None,
    pack_size_bytes: int = 64 * KIB,
    upload_threads: int = 2,
) -> Packer:
    return Packer(
        storage,
        key,
        BlobType.DATA,
        lease=lease,
        on_stored=(stored if stored is not None else []).append,
        pack_size_bytes=pack_size_bytes,
        upload_threads=upload_threads,
    )


def make_blob(size_bytes: int = 1000) -> EncodedBlob:
    sealed = os.urandom(size_bytes)
    return EncodedBlob(hashlib.sha256(sealed).digest(), BlobType.DATA, sealed, 0)


def test_a_pack_holds_its_blobs_and_a_header_that_lists_them(storage: MemoryStorage, repository: Repository) -> None:
    stored: list[StoredPack] = []
    packer = make_packer(storage, repository.key, stored=stored)
    blobs = [make_blob(1000 + number) for number in range(10)]
    for blob in blobs:
        packer.add(blob)
    packer.flush()
    (pack,) = stored
    content = repository.load_raw_pack(pack.id)
    assert [content[at.offset : at.offset + at.length] for at in pack.blobs] == [b.sealed for b in blobs]
    assert len(content) == pack.size_bytes == pack_size_bytes(pack.blobs)
    assert repository.load_pack_header(pack.id, pack.size_bytes) == pack.blobs


def test_a_pack_is_closed_when_it_has_its_size(storage: MemoryStorage, key: MasterKey) -> None:
    stored: list[StoredPack] = []
    packer = make_packer(storage, key, stored=stored)
    refs = {packer.add(make_blob(16 * KIB)) for _ in range(8)}
    assert len(refs) == 2
    for ref in refs:
        assert ref.wait(PATIENCE_SECONDS)
        assert ref.stored
        assert ref.error is None
    assert {ref.pack_id for ref in refs} == {pack.id for pack in stored}
    packer.flush()
    assert len(stored) == 2


def test_no_pack_lists_more_blobs_than_an_index(
    storage: MemoryStorage, key: MasterKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packer_module, "MAX_PACK_BLOBS", 7)
    stored: list[StoredPack] = []
    packer = make_packer(storage, key, stored=stored)
    for _ in range(16):
        packer.add(make_blob(40))
    packer.flush()
    assert sorted(len(pack.blobs) for pack in stored) == [2, 7, 7]


def test_a_blob_larger_than_a_pack_is_stored_whole(storage: MemoryStorage, repository: Repository) -> None:
    stored: list[StoredPack] = []
    packer = make_packer(storage, repository.key, stored=stored)
    large = make_blob(3 * MIB)
    packer.add(make_blob())
    packer.add(large)
    for _ in range(200):
        packer.add(make_blob())
    packer.flush()
    holder = next(pack for pack in stored if pack.blobs[-1].id == large.id)
    at = holder.blobs[-1]
    assert repository.load_raw_pack(holder.id)[at.offset : at.offset + at.length] == large.sealed


def test_offsets_stay_within_what_the_format_can_say(
    storage: MemoryStorage, key: MasterKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packer_module, "_MAX_CONTENT_BYTES", 5000)
    stored: list[StoredPack] = []
    packer = make_packer(storage, key, stored=stored)
    for _ in range(7):
        packer.add(make_blob(2000))
    packer.flush()
    assert sorted(len(pack.blobs) for pack in stored) == [1, 2, 2, 2]


def test_it_waits_while_as_many_packs_as_threads_are_on_their_way(key: MasterKey) -> None:
    storage = GatedStorage()
    packer = make_packer(storage, key, upload_threads=2)
    added: list[PackRef] = []

    def add_three_packs() -> None:
        added.extend(packer.add(make_blob(64 * KIB)) for _ in range(3))

    thread = threading.Thread(target=add_three_packs)
    thread.start()
    for _ in range(2):
        assert storage.arrived.acquire(timeout=PATIENCE_SECONDS)
    assert not storage.arrived.acquire(timeout=0.2), "a third pack was given away"
    assert thread.is_alive()
    storage.gate.set()
    thread.join(PATIENCE_SECONDS)
    packer.flush()
    assert all(ref.stored for ref in added)


def test_one_may_wait_until_the_store_has_caught_up(key: MasterKey) -> None:
    storage = GatedStorage()
    packer = make_packer(storage, key, upload_threads=2)
    first, second = [packer.add(make_blob(64 * KIB)) for _ in range(2)]
    packer.add(make_blob())
    packer.wait_until_under_way(2)
    waiting = threading.Thread(target=packer.wait_until_under_way, args=(1,))
    waiting.start()
    for _ in range(2):
        assert storage.arrived.acquire(timeout=PATIENCE_SECONDS)
    assert waiting.is_alive()
    storage.let_one_pass()
    waiting.join(PATIENCE_SECONDS)
    assert first.stored != second.stored
    storage.gate.set()
    packer.wait_until_under_way(0)
    assert first.stored
    assert second.stored
    assert storage.arrived.acquire(blocking=False) is False, "the open pack is none of them"


@pytest.fixture
def buffers(monkeypatch: pytest.MonkeyPatch) -> list[mmap]:
    """Those that packs were given."""
    made: list[mmap] = []

    def watched(size_bytes: int) -> mmap:
        made.append(untouched(size_bytes))
        return made[-1]

    monkeypatch.setattr("argosy.repository.packer.untouched", watched)
    return made


def test_memory_stays_within_the_threads_and_two_packs(key: MasterKey, buffers: list[mmap]) -> None:
    """At most (upload_threads + 2) packs, however much goes through."""
    pack_bytes = 8 * MIB
    blob = make_blob(MIB)
    packer = make_packer(SinkStorage(), key, pack_size_bytes=pack_bytes, upload_threads=2)
    for _ in range(100):
        packer.add(blob)
    packer.flush()
    assert 2 <= len(buffers) <= 2 + 2
    assert all(len(buffer) <= pack_bytes + 2 * MIB for buffer in buffers)


def test_a_blob_that_is_larger_than_a_pack_finds_room_and_the_room_is_given_back(
    key: MasterKey, buffers: list[mmap]
) -> None:
    storage = MemoryStorage()
    packer = make_packer(storage, key, pack_size_bytes=MIB)
    for blob in (make_blob(5 * MIB), make_blob(7 * MIB), make_blob(KIB)):
        ref = packer.add(blob)
        packer.flush()
        assert blob.sealed in storage.get(object_name(FileKind.PACK, ref.pack_id))
    assert [len(buffer) for buffer in buffers] == [2 * MIB]


def test_it_is_reported_once_it_is_durable_and_before_its_ref_says_so(key: MasterKey) -> None:
    storage = MemoryStorage()
    seen: list[tuple[bool, bool]] = []
    refs: list[PackRef] = []

    def on_stored(pack: StoredPack) -> None:
        name = f"data/{pack.id.hex()[:2]}/{pack.id.hex()}"
        seen.append((name in storage.objects, refs[0].stored))

    packer = Packer(storage, key, BlobType.DATA, lease=lambda: None, on_stored=on_stored)
    refs.append(packer.add(make_blob()))
    packer.flush()
    assert seen == [(True, False)]
    assert refs[0].stored


def test_nothing_is_stored_once_the_lease_has_ended(key: MasterKey) -> None:
    storage = MemoryStorage()
    stored: list[StoredPack] = []

    def lease() -> None:
        raise LeaseLost("the lock is gone")

    packer = make_packer(storage, key, stored=stored, lease=lease)
    ref = packer.add(make_blob())
    with pytest.raises(LeaseLost):
        packer.flush()
    assert storage.objects == {}
    assert stored == []
    assert isinstance(ref.error, LeaseLost)
    assert not ref.stored


def test_a_failure_is_raised_by_all_that_follows(key: MasterKey) -> None:
    packer = make_packer(FullStorage(100 * KIB), key)
    first = [packer.add(make_blob(64 * KIB)) for _ in range(2)]
    for ref in first:
        assert ref.wait(PATIENCE_SECONDS)
    assert sorted(ref.stored for ref in first) == [False, True]
    for _ in range(2):
        with pytest.raises(StorageFull):
            packer.add(make_blob())
        with pytest.raises(StorageFull):
            packer.flush()


def test_a_failure_reaches_who_waits_for_the_open_pack(key: MasterKey) -> None:
    packer = make_packer(FullStorage(0), key)
    packer.add(make_blob(64 * KIB))
    try:
        open_pack = packer.add(make_blob())
    except StorageFull:
        return  # the first upload was quicker: there is no open pack
    assert open_pack.wait(PATIENCE_SECONDS)
    assert isinstance(open_pack.error, StorageFull)


def test_the_death_of_an_upload_thread_is_no_success(key: MasterKey) -> None:
    packer = make_packer(DyingBeforePut(1), key)
    ref = packer.add(make_blob())
    with pytest.raises(Died):
        packer.flush()
    assert not ref.stored


def test_a_failing_report_is_a_failure(key: MasterKey) -> None:
    def on_stored(pack: StoredPack) -> None:
        raise RuntimeError(f"the master is gone: {pack.id.hex()}")

    packer = Packer(MemoryStorage(), key, BlobType.DATA, lease=lambda: None, on_stored=on_stored)
    packer.add(make_blob())
    with pytest.raises(RuntimeError, match="master"):
        packer.flush()


def test_after_an_abort_nothing_more_is_stored(key: MasterKey) -> None:
    storage = GatedStorage()
    stored: list[StoredPack] = []
    packer = make_packer(storage, key, stored=stored, upload_threads=1)
    under_way = packer.add(make_blob(64 * KIB))
    assert storage.arrived.acquire(timeout=PATIENCE_SECONDS)
    open_pack = packer.add(make_blob())
    packer.abort()
    assert isinstance(open_pack.error, Interrupted)
    with pytest.raises(Interrupted):
        packer.add(make_blob())
    storage.gate.set()
    assert under_way.wait(PATIENCE_SECONDS)
    assert under_way.stored, "what was under way is durable, and said to be"
    with pytest.raises(Interrupted):
        packer.flush()
    assert [pack.id for pack in stored] == [under_way.pack_id]


def test_a_header_that_says_something_else_is_not_uploaded(key: MasterKey, monkeypatch: pytest.MonkeyPatch) -> None:
    def seal_without_last(header: bytes, sealer: Sealer) -> bytes:
        return seal_header(header[:-PLAIN_ENTRY_BYTES], sealer)

    monkeypatch.setattr(packer_module, "seal_header", seal_without_last)
    storage = MemoryStorage()
    packer = make_packer(storage, key)
    packer.add(make_blob())
    packer.add(make_blob())
    with pytest.raises(Damaged, match="header"):
        packer.flush()
    assert storage.objects == {}


def test_a_header_that_does_not_describe_the_pack_is_not_uploaded(key: MasterKey) -> None:
    storage = MemoryStorage()
    packer = make_packer(storage, key)
    other = make_blob(999)
    packer.fill(1000, lambda _: SealedRun(1, 1000, encode_entry(other.type, other.id, 999, 0)))
    with pytest.raises(Damaged, match="header"):
        packer.flush()
    assert storage.objects == {}


def put(blobs: list[EncodedBlob], place: memoryview) -> SealedRun:
    """As the encoder does it: one blob after the other."""
    content = b"".join(bytes(blob.sealed) for blob in blobs)
    place[: len(content)] = content
    header = b"".join(encode_entry(blob.type, blob.id, len(blob.sealed), 0) for blob in blobs)
    return SealedRun(len(blobs), len(content), header)


@pytest.mark.parametrize("size", [40, 9 * KIB])
def test_what_is_sealed_into_a_pack_stands_there_in_order(
    storage: MemoryStorage, repository: Repository, size: int
) -> None:
    stored: list[StoredPack] = []
    packer = make_packer(storage, repository.key, stored=stored)
    blobs = [make_blob(size) for _ in range(40)]
    refs = [packer.add(blobs[0])]
    for at in range(1, 37, 12):
        run, ref = packer.fill(12 * size + 500, partial(put, blobs[at : at + 12]))
        assert run.done == 12
        refs += [ref] * 12
    refs += [packer.add(blob) for blob in blobs[37:]]
    packer.flush()
    assert Counter(ref.pack_id for ref in refs) == {pack.id: len(pack.blobs) for pack in stored}
    for pack in stored:
        content = repository.load_raw_pack(pack.id)
        listed = {at.id: content[at.offset : at.offset + at.length] for at in pack.blobs}
        assert all(listed[blob.id] == blob.sealed for blob in blobs if blob.id in listed)
        assert repository.load_pack_header(pack.id, pack.size_bytes) == pack.blobs


def test_what_could_not_be_sealed_leaves_the_pack_as_it_was(storage: MemoryStorage, key: MasterKey) -> None:
    stored: list[StoredPack] = []
    packer = make_packer(storage, key, stored=stored)
    blob = make_blob()
    packer.add(blob)

    def fail(place: memoryview) -> SealedRun:
        place[:3] = b"bad"
        raise Damaged("memory", hint="test it")

    with pytest.raises(Damaged):
        packer.fill(5000, fail)
    packer.flush()
    assert [[listed.id for listed in pack.blobs] for pack in stored] == [[blob.id]]


def test_trees_and_data_never_share_a_pack(storage: MemoryStorage, key: MasterKey) -> None:
    packer = make_packer(storage, key)
    with pytest.raises(ValueError, match="TREE"):
        packer.add(EncodedBlob(bytes(32), BlobType.TREE, b"sealed", 0))


def test_flushing_nothing_stores_nothing(key: MasterKey) -> None:
    storage = MemoryStorage()
    packer = make_packer(storage, key)
    packer.flush()
    packer.flush()
    assert storage.objects == {}


def test_many_threads_may_add(storage: MemoryStorage, repository: Repository) -> None:
    stored: list[StoredPack] = []
    packer = make_packer(storage, repository.key, stored=stored)
    blobs = [make_blob(900) for _ in range(400)]

    def add(part: list[EncodedBlob]) -> None:
        for blob in part:
            packer.add(blob)

    threads = [threading.Thread(target=add, args=(blobs[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    packer.flush()
    found = {
        at.id: repository.load_raw_pack(pack.id)[at.offset : at.offset + at.length]
        for pack in stored
        for at in pack.blobs
    }
    assert found == {blob.id: blob.sealed for blob in blobs}


def test_a_pack_that_was_hashed_as_it_grew_is_named_by_its_bytes(
    storage: MemoryStorage, repository: Repository
) -> None:
    """Beside contents that come between its blobs, some of which fill it."""
    stored: list[StoredPack] = []
    packer = make_packer(storage, repository.key, stored=stored)
    contents = [b"", b"a" * 100, b"b" * 5000]
    ids = [hashlib.sha256(content).digest() for content in contents]
    for number in range(60):
        packer.add(make_blob(100 + 97 * number))
        if number % 3:
            assert packer.hash_many(b"".join(contents), list(map(len, contents))) == ids
    packer.flush()
    assert len(stored) > 1
    for pack in stored:
        assert len(repository.load_raw_pack(pack.id)) == pack.size_bytes


@pytest.mark.parametrize("spoiled", ["sealed", "id", "length"])
def test_a_pack_whose_blobs_would_not_open_is_not_uploaded(
    storage: MemoryStorage, key: MasterKey, spoiled: str
) -> None:
    encoder = BlobEncoder(key, "auto", verify=True)
    contents = [b"one tree" * 50, b"another tree" * 50]
    sound, blob = (encoder.encode(BlobType.TREE, blob_id(content), content) for content in contents)
    spoiled_bytes = bytes(blob.sealed[:-1]) + bytes((blob.sealed[-1] ^ 1,))
    changed = {
        "sealed": EncodedBlob(blob.id, blob.type, spoiled_bytes, blob.uncompressed_length),
        "id": EncodedBlob(sound.id, blob.type, blob.sealed, blob.uncompressed_length),
        "length": EncodedBlob(blob.id, blob.type, blob.sealed, blob.uncompressed_length - 1),
    }
    before = dict(storage.objects)
    packer = Packer(storage, key, BlobType.TREE, lease=lambda: None, on_stored=lambda _: None, verify_blobs=True)
    packer.add(sound)
    packer.add(changed[spoiled])
    with pytest.raises(Damaged, match="does not hold what was put into it"):
        packer.flush()
    assert storage.objects == before


def test_a_sound_pack_passes_its_verification(storage: MemoryStorage, repository: Repository) -> None:
    encoder = BlobEncoder(repository.key, "auto", verify=False)
    contents = [b"%d" % number * 500 for number in range(200)]
    stored: list[StoredPack] = []
    packer = Packer(
        storage, repository.key, BlobType.TREE, lease=lambda: None, on_stored=stored.append, verify_blobs=True
    )
    for content in contents:
        packer.add(encoder.encode(BlobType.TREE, blob_id(content), content))
    packer.flush()
    assert sum(pack.blob_count for pack in stored) == len(contents)
