"""Blobs are copied from pack to pack as they are, each verified; the native kernel and Python do alike."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from argosy import native
from argosy.errors import LeaseLost
from argosy.operations.prune.repacking import PackShare, Repacker, RepackManner
from argosy.repository.layout import FileKind, object_name
from argosy.repository.pack_builder import BuiltPack
from argosy.repository.repository import Repository
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.compression import Compressor
from argosy.restic_format.config import make_config
from argosy.restic_format.crypto import MasterKey, Sealer
from argosy.restic_format.pack import decode_header, encode_header, encode_trailer
from tests.support.native import built_kernel
from tests.support.storage_doubles import MemoryStorage

KEY = MasterKey.generate(os.urandom)
MANNER = RepackManner(pack_size_bytes=1 << 20, compression="auto", compress_data=False, verify=True)
CONTENTS = [b"small", b"text " * 10_000, os.urandom(70_000), b"", *(b"%d" % number * 50 for number in range(100))]


@pytest.fixture(params=["native", "python"], autouse=True)
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything that is made within the test uses this implementation."""
    name: str = request.param
    monkeypatch.setattr(native, "_loaded", built_kernel() if name == "native" else None)
    monkeypatch.setattr(native, "_reason", "" if name == "native" else "a test goes without")
    return name


@dataclass
class Store:
    """A store in memory, and what was repacked in it."""

    storage: MemoryStorage = field(default_factory=MemoryStorage)
    stored: list[BuiltPack] = field(default_factory=list)

    def put(
        self, contents: Sequence[bytes], *, compress: bool = True, types: Sequence[BlobType] = (BlobType.DATA,)
    ) -> tuple[bytes, list[PackedBlob]]:
        """A pack with these contents, of these types in turn; its id and blobs."""
        sealer, compressor = Sealer(KEY, os.urandom), Compressor("auto")
        parts, blobs, offset = list[bytes](), list[PackedBlob](), 0
        for number, content in enumerate(contents):
            framed = compress and bool(content)
            sealed = sealer.seal(compressor.compress(content) if framed else content)
            identity, blob_type = hashlib.sha256(content).digest(), types[number % len(types)]
            blobs.append(PackedBlob(identity, blob_type, offset, len(sealed), len(content) if framed else 0))
            offset += len(sealed)
            parts.append(sealed)
        data = b"".join(parts) + encode_trailer(blobs, sealer)
        pack_id = hashlib.sha256(data).digest()
        self.storage.objects[object_name(FileKind.PACK, pack_id)] = data
        return pack_id, blobs

    def repack(
        self,
        pack_id: bytes,
        blobs: Sequence[PackedBlob],
        wanted: Sequence[int],
        manner: RepackManner = MANNER,
        lease: Callable[[], None] = lambda: None,
    ) -> list[tuple[BlobType, bytes]]:
        """Copy the blobs of these numbers; returns what is lost."""
        repository = Repository(self.storage, KEY, make_config(os.urandom))
        repacker = Repacker(repository, manner, lease=lease, on_stored=self.stored.append)
        flags = bytearray(number in wanted for number in range(len(blobs)))
        repacker.repack(PackShare(pack_id, encode_header(blobs), flags))
        repacker.flush()
        repacker.close()
        return repacker.lost

    def bytes_of(self, pack_id: bytes, blob: PackedBlob) -> bytes:
        """A blob as it is stored."""
        return self.storage.objects[object_name(FileKind.PACK, pack_id)][blob.offset : blob.offset + blob.length]

    def new_blobs(self) -> dict[tuple[int, bytes], tuple[bytes, int]]:
        """Stored bytes and length of the content of each blob in the new packs, whose headers must be right."""
        repository = Repository(self.storage, KEY, make_config(os.urandom))
        found = dict[tuple[int, bytes], tuple[bytes, int]]()
        for pack in self.stored:
            data = self.storage.objects[object_name(FileKind.PACK, pack.id)]
            assert hashlib.sha256(data).digest() == pack.id
            listed = repository.load_pack_header(pack.id, len(data))
            assert listed == decode_header(pack.header, "new")
            for blob in listed:
                found[blob.type, blob.id] = self.bytes_of(pack.id, blob), blob.uncompressed_length
        return found


@pytest.fixture
def store() -> Store:
    return Store()


def test_what_is_wanted_is_copied_byte_for_byte_and_nothing_else(store: Store) -> None:
    pack_id, blobs = store.put(CONTENTS)
    wanted = [0, 1, 2, 3, *range(10, 104, 3)]
    assert store.repack(pack_id, blobs, wanted) == []
    expected = {
        (0, blobs[number].id): (store.bytes_of(pack_id, blobs[number]), blobs[number].uncompressed_length)
        for number in wanted
    }
    assert store.new_blobs() == expected
    assert len(store.stored) == 1


def test_trees_and_data_go_into_packs_of_their_own(store: Store) -> None:
    pack_id, blobs = store.put(CONTENTS, types=[BlobType.DATA, BlobType.TREE])
    assert store.repack(pack_id, blobs, range(len(blobs))) == []
    assert len(store.new_blobs()) == len(blobs)
    assert sorted(len({blob.type for blob in decode_header(pack.header, "new")}) for pack in store.stored) == [1, 1]


def test_a_pack_is_stored_when_it_has_its_size(store: Store) -> None:
    contents = [os.urandom(30_000) for _ in range(100)]
    pack_id, blobs = store.put(contents, compress=False)
    small = RepackManner(pack_size_bytes=1 << 19, compression="auto", compress_data=False, verify=True)
    assert store.repack(pack_id, blobs, range(0, 100, 2), small) == []
    assert len(store.new_blobs()) == 50
    assert len(store.stored) > 1


def test_what_is_damaged_is_told_and_all_else_is_copied(store: Store) -> None:
    pack_id, blobs = store.put(CONTENTS, types=[BlobType.DATA, BlobType.DATA, BlobType.TREE])
    damaged = [1, 5, 50, 103]
    name = object_name(FileKind.PACK, pack_id)
    data = bytearray(store.storage.objects[name])
    for number in damaged:
        data[blobs[number].offset + 20] ^= 1
    store.storage.objects[name] = bytes(data)
    lost = store.repack(pack_id, blobs, range(len(blobs)))
    assert sorted(lost) == sorted((blobs[number].type, blobs[number].id) for number in damaged)
    assert len(store.new_blobs()) == len(blobs) - len(damaged)


@pytest.mark.parametrize("left", [0, 60_000])
def test_of_a_pack_that_is_gone_or_cut_short_what_is_not_there_is_told(store: Store, left: int) -> None:
    pack_id, blobs = store.put(CONTENTS)
    name = object_name(FileKind.PACK, pack_id)
    store.storage.objects[name] = store.storage.objects[name][:left]
    whole = sum(blob.offset + blob.length <= left for blob in blobs)
    if not left:
        del store.storage.objects[name]
    lost = store.repack(pack_id, blobs, range(len(blobs)))
    assert len(lost) == len(blobs) - whole
    assert len(store.new_blobs()) == whole


@pytest.mark.parametrize("compress_data", [True, False])
def test_trees_are_compressed_always_and_data_when_asked(store: Store, compress_data: bool) -> None:
    pack_id, blobs = store.put(CONTENTS, compress=False, types=[BlobType.DATA, BlobType.TREE])
    manner = RepackManner(pack_size_bytes=1 << 20, compression="auto", compress_data=compress_data, verify=True)
    assert store.repack(pack_id, blobs, range(len(blobs)), manner) == []
    found = store.new_blobs()
    text, tree = CONTENTS[8], CONTENTS[1]
    assert found[BlobType.TREE, hashlib.sha256(tree).digest()][1] == len(tree)
    assert found[BlobType.DATA, hashlib.sha256(text).digest()][1] == (len(text) if compress_data else 0)


def test_nothing_is_stored_once_the_lock_is_lost(store: Store) -> None:
    pack_id, blobs = store.put(CONTENTS)
    before = set(store.storage.objects)

    def lost() -> None:
        raise LeaseLost("gone")

    with pytest.raises(LeaseLost):
        store.repack(pack_id, blobs, [1], lease=lost)
    assert set(store.storage.objects) == before
