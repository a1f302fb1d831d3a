"""Where a worker's blobs go, and which packs a batch has to wait for."""

from __future__ import annotations

import hashlib

import pytest

from argosy.archiver import placing
from argosy.archiver.placing import BlobPlacer
from argosy.repository.encoder import EncodedBlob, SealedRun
from argosy.repository.packer import PackRef
from argosy.restic_format.blob import BlobType
from argosy.restic_format.pack import decode_header


class FakeEncoder:
    """Seals to half the size, and a header."""

    def encode(self, blob_type: BlobType, identity: bytes, plaintext: bytes) -> EncodedBlob:
        """Nothing secret here."""
        return EncodedBlob(identity, blob_type, bytes(32) + plaintext[::2], len(plaintext))


class FakePacker:
    """Takes blobs; a test says when a pack is full."""

    def __init__(self) -> None:
        self.blobs: list[bytes] = []
        self.ref = PackRef()

    def add_run(self, run: SealedRun) -> PackRef:
        """Into the open pack."""
        self.blobs += [blob.id for blob in decode_header(run.header, "a run")]
        return self.ref

    def store(self) -> None:
        """The open pack is durable, and another one begins."""
        self.ref.settle(b"p" * 32, None)
        self.ref = PackRef()


class Scene:
    """A placer; ``there`` is in the repository."""

    def __init__(self) -> None:
        self.packer = FakePacker()
        self.there: set[bytes] = set()
        self.placer = BlobPlacer(FakeEncoder(), self.packer, self.there.__contains__)  # type: ignore[arg-type]  # doubles


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
