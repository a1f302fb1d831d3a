"""Where a worker's blobs go, and which packs a batch has to wait for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import pytest

from argosy.archiver import placing
from argosy.archiver.placing import BlobPlacer
from argosy.repository.encoder import EncodedBlob, PlainBlob, SealedRun
from argosy.repository.packer import PackRef
from argosy.restic_format.blob import BlobType, hash_many
from argosy.restic_format.pack import decode_header, encode_entry


class FakeEncoder:
    """Seals to half the size, and a header."""

    def room_for(self, blobs: Sequence[PlainBlob]) -> int:
        """Room for all, in full size."""
        return sum(length + 32 for _, length, _ in blobs)

    def seal_many(self, data: bytes, blobs: Sequence[PlainBlob], into: memoryview) -> SealedRun:
        """All but those beyond the tenth."""
        sealed = [self.encode(BlobType.DATA, identity, data[at : at + size]) for at, size, identity in blobs[:10]]
        header = b"".join(encode_entry(b.type, b.id, len(b.sealed), b.uncompressed_length) for b in sealed)
        size_bytes = sum(len(blob.sealed) for blob in sealed)
        assert size_bytes <= len(into)
        return SealedRun(len(sealed), size_bytes, header)

    def encode(self, blob_type: BlobType, identity: bytes, plaintext: bytes) -> EncodedBlob:
        """Nothing secret here."""
        return EncodedBlob(identity, blob_type, bytes(32) + bytes(plaintext[::2]), len(plaintext))


class FakePacker:
    """Takes blobs; a test says when a pack is full."""

    def __init__(self) -> None:
        self.blobs: list[bytes] = []
        self.ref = PackRef()

    def add(self, blob: EncodedBlob) -> PackRef:
        """Into the open pack."""
        self.blobs.append(blob.id)
        return self.ref

    def hash_many(self, data: bytes | memoryview, lengths: Sequence[int]) -> list[bytes]:
        """The ids alone: here is no pack."""
        return hash_many(data, lengths)

    def fill(self, room_bytes: int, seal: Callable[[memoryview], SealedRun]) -> tuple[SealedRun, PackRef]:
        """Likewise, many."""
        run = seal(memoryview(bytearray(room_bytes)))
        self.blobs += [blob.id for blob in decode_header(run.header, "a run")]
        return run, self.ref

    def store(self) -> None:
        """The open pack is durable, and another one begins."""
        self.ref.settle(b"p" * 32, None)
        self.ref = PackRef()


class Scene:
    """A placer; ``there`` is in the repository."""

    def __init__(self) -> None:
        self.packer = FakePacker()
        self.there: set[bytes] = set()
        self.placer = BlobPlacer(FakeEncoder(), self.packer, self.there.__and__)  # type: ignore[arg-type]  # doubles


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_new_blob_goes_into_a_pack_that_the_batch_waits_for(scene: Scene) -> None:
    placer = scene.placer
    assert placer.place(b"content") == hashlib.sha256(b"content").digest()
    assert scene.packer.blobs == [hashlib.sha256(b"content").digest()]
    assert (placer.blobs, placer.added_bytes, placer.added_packed_bytes) == (1, 7, 36)
    assert placer.take_depends() == {scene.packer.ref}
    assert placer.take_depends() == set()


def test_what_the_repository_has_is_not_packed(scene: Scene) -> None:
    scene.there.add(hashlib.sha256(b"content").digest())
    scene.placer.place(memoryview(b"content"))
    assert scene.packer.blobs == []
    assert scene.placer.take_depends() == set()
    assert scene.placer.blobs == 0


def test_a_blob_of_an_earlier_batch_is_waited_for_again_until_it_is_durable(scene: Scene) -> None:
    placer, first = scene.placer, scene.packer.ref
    placer.place(b"content")
    placer.take_depends()
    placer.place(b"content")
    assert placer.take_depends() == {first}
    scene.packer.store()
    placer.place(b"content")
    assert placer.take_depends() == set()
    assert len(scene.packer.blobs) == 1


def test_what_is_remembered_is_bounded_and_never_what_is_not_durable(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lookup knows the rest by then: only durable blobs are forgotten, the older ones first."""
    monkeypatch.setattr(placing, "REMEMBERED_MOST", 10)
    placer = scene.placer
    placer.place(b"open")
    early = scene.packer.ref
    scene.packer.ref = PackRef()
    for number in range(9):
        placer.place(b"%d" % number)
    scene.packer.store()
    placer.place(b"last")
    assert len(placer._placed) == 7
    packed = len(scene.packer.blobs)
    placer.take_depends()
    placer.place(b"open")
    assert placer.take_depends() == {early}
    placer.place(b"8")
    assert len(scene.packer.blobs) == packed
    placer.place(b"0")
    assert len(scene.packer.blobs) == packed + 1


def test_many_are_placed_as_if_one_by_one(scene: Scene) -> None:
    placer, there = scene.placer, hashlib.sha256(b"content 3").digest()
    scene.there.add(there)
    placer.place(b"content 5")
    contents = [b"content %d" % (number % 20) for number in range(24)]
    ids = placer.place_all(b"".join(contents), list(map(len, contents)))
    assert ids == [hashlib.sha256(content).digest() for content in contents]
    assert len(scene.packer.blobs) == len(set(scene.packer.blobs)) == 19
    assert set(scene.packer.blobs) == set(ids) - {there}
    assert (placer.blobs, placer.added_bytes) == (19, sum(map(len, contents[:20])) - 9)
    assert placer.added_packed_bytes == sum(32 + (len(content) + 1) // 2 for content in contents[:20]) - 37
    assert placer.take_depends() == {scene.packer.ref}
    assert placer.place_all(b"".join(contents), list(map(len, contents))) == ids
    assert placer.take_depends() == {scene.packer.ref}
    assert len(scene.packer.blobs) == 19
