"""A blob that is streamed into a pack of its own is the same to every reader."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from argosy.errors import LeaseLost, StateError
from argosy.repository.encoder import decode_blob
from argosy.repository.large_blob import store_large_blob
from argosy.repository.packer import StoredPack
from argosy.repository.repository import Repository
from argosy.restic_format.blob import BlobType

PIECES = [b"some line\n" * 1000, os.urandom(3_000_000), b"", b"the end"]
CONTENT = b"".join(PIECES)


def store(repository: Repository, directory: Path, **options: object) -> StoredPack:
    arguments: dict[str, object] = {"lease": lambda: None, "total_bytes": len(CONTENT), **options}
    return store_large_blob(
        repository.storage,
        repository.key,
        BlobType.TREE,
        PIECES,
        directory=directory,
        **arguments,  # type: ignore[arg-type]
    )


def test_it_comes_back(repository: Repository, tmp_path: Path) -> None:
    pack = store(repository, tmp_path)
    stored = repository.load_raw_pack(pack.id)
    assert len(stored) == pack.size_bytes
    assert repository.load_pack_header(pack.id, pack.size_bytes) == pack.blobs
    (blob,) = pack.blobs
    assert blob.id == hashlib.sha256(CONTENT).digest()
    sealed = stored[blob.offset : blob.offset + blob.length]
    assert decode_blob(repository.opener(), blob.id, sealed, blob.uncompressed_length, "it") == CONTENT
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_stored_once_the_lease_has_ended(repository: Repository, tmp_path: Path) -> None:
    def lease() -> None:
        raise LeaseLost("gone")

    with pytest.raises(LeaseLost):
        store(repository, tmp_path, lease=lease)
    assert list(repository.storage.list("")) == []
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_length_is_refused(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="length"):
        store(repository, tmp_path, total_bytes=len(CONTENT) + 1)


def test_a_directory_that_cannot_be_written_is_named(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="missing"):
        store(repository, tmp_path / "missing")
