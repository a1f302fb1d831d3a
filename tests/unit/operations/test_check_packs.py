"""Reading a pack: what holds, what does not, what holds only the second time, what the store does not give."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

import pytest

from argosy.errors import StorageUnavailable
from argosy.operations.check.messages import PackRead
from argosy.operations.check.pack_checks import PackReader
from argosy.repository.layout import FileKind, object_name
from argosy.repository.repository import Repository
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.compression import Compressor
from argosy.restic_format.config import make_config
from argosy.restic_format.crypto import MasterKey, Sealer
from argosy.restic_format.pack import encode_header, encode_trailer
from tests.support.storage_doubles import MemoryStorage, UnavailableStorage

KEY = MasterKey.generate(os.urandom)
CONTENTS = [b"small", b"text " * 10_000, os.urandom(70_000), b""]


class UnsteadyStorage(MemoryStorage):
    """Flips a bit of the first range that it gives of a pack."""

    def __init__(self) -> None:
        super().__init__()
        self.faults = 1

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        data = bytearray(super().get_range(name, offset, length))
        if self.faults and name.startswith("data/"):
            self.faults -= 1
            data[len(data) // 2] ^= 1
        return bytes(data)


def store(storage: MemoryStorage, contents: Sequence[bytes] = CONTENTS) -> tuple[bytes, list[PackedBlob]]:
    """Put a pack, compressed where that is shorter; returns its id and its blobs."""
    sealer, compressor = Sealer(KEY, os.urandom), Compressor("auto")
    parts: list[bytes] = []
    blobs: list[PackedBlob] = []
    for content in contents:
        frame = compressor.compress(content)
        is_shorter = len(frame) < len(content)
        sealed = sealer.seal(frame if is_shorter else content)
        offset = sum(len(part) for part in parts)
        identity = hashlib.sha256(content).digest()
        length = len(content) if is_shorter else 0
        blobs.append(PackedBlob(identity, BlobType.DATA, offset, len(sealed), length))
        parts.append(sealed)
    data = b"".join(parts) + encode_trailer(blobs, sealer)
    pack_id = hashlib.sha256(data).digest()
    storage.objects[object_name(FileKind.PACK, pack_id)] = data
    return pack_id, blobs


def read(storage: MemoryStorage, pack_id: bytes, blobs: Sequence[PackedBlob]) -> PackRead:
    """Read a pack of which the index has these blobs."""
    repository = Repository(storage, KEY, make_config(os.urandom))
    size_bytes = len(storage.objects[object_name(FileKind.PACK, pack_id)])
    return PackReader(repository).read(pack_id, size_bytes, encode_header(blobs))


@pytest.mark.parametrize("piece_bytes", [1, 50_000, 1 << 30])
def test_a_sound_pack_holds_in_pieces_of_any_size(piece_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("argosy.operations.check.pack_checks._REMOTE_READ_BYTES", piece_bytes)
    storage = MemoryStorage()
    pack_id, blobs = store(storage)
    found = read(storage, pack_id, blobs)
    assert (found.damage, found.index, found.unread) == ([], [], "")


def test_any_flipped_byte_is_found() -> None:
    """In every blob, the header and its length; a few bytes of each."""
    storage = MemoryStorage()
    pack_id, blobs = store(storage, [b"one", b"two " * 100, b"three"])
    name = object_name(FileKind.PACK, pack_id)
    sound = storage.objects[name]
    for at in range(0, len(sound), 3):
        storage.objects[name] = sound[:at] + bytes([sound[at] ^ 0x10]) + sound[at + 1 :]
        found = read(storage, pack_id, blobs)
        assert found.damage
        assert "another hash than its name" in found.damage[0]
        lost = [blob for blob in blobs if blob.offset <= at < blob.offset + blob.length]
        assert [blob.id.hex() in " ".join(found.damage) for blob in blobs] == [blob in lost for blob in blobs]


def test_a_fault_that_passes_is_told() -> None:
    storage = UnsteadyStorage()
    pack_id, blobs = store(storage)
    found = read(storage, pack_id, blobs)
    assert len(found.damage) == 1
    assert "rightly the second time" in found.damage[0]


def test_a_pack_that_the_index_lists_wrongly_is_no_damaged_pack() -> None:
    storage = MemoryStorage()
    pack_id, blobs = store(storage)
    b = blobs[1]
    longer = PackedBlob(b.id, b.type, b.offset, b.length, b.uncompressed_length + 1)
    other = PackedBlob(b"\1" * 32, b.type, b.offset, b.length, b.uncompressed_length)
    for listed, words in ((longer, "differently"), (other, "is not in the index")):
        found = read(storage, pack_id, [blobs[0], listed, *blobs[2:]])
        assert found.damage == []
        assert any(words in line and b.id.hex() in line for line in found.index), found.index


def test_many_lost_blobs_are_counted() -> None:
    storage = MemoryStorage()
    pack_id, blobs = store(storage, [b"%d" % number for number in range(100)])
    name = object_name(FileKind.PACK, pack_id)
    storage.objects[name] = bytes(len(storage.objects[name]))
    found = read(storage, pack_id, blobs)
    assert "90 more of its 100 blobs cannot be read" in found.damage[-1]


def test_a_pack_that_went_away_is_not_called_damaged() -> None:
    storage = MemoryStorage()
    pack_id, blobs = store(storage)
    repository = Repository(storage, KEY, make_config(os.urandom))
    del storage.objects[object_name(FileKind.PACK, pack_id)]
    found = PackReader(repository).read(pack_id, 1, encode_header(blobs))
    assert "gone" in found.unread


def test_a_store_that_does_not_answer_is_named() -> None:
    storage = UnavailableStorage()
    pack_id, blobs = store(storage)
    repository = Repository(storage, KEY, make_config(os.urandom))
    size_bytes = len(storage.objects[object_name(FileKind.PACK, pack_id)])
    storage.down = True
    with pytest.raises(StorageUnavailable):
        storage.get(object_name(FileKind.PACK, pack_id))
    found = PackReader(repository).read(pack_id, size_bytes, encode_header(blobs))
    assert "no answer" in found.unread
    assert found.damage == []
