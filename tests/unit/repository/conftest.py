"""A repository in memory, and a writer that fills it as a backup would."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from argosy.repository.encoder import BlobEncoder
from argosy.repository.index_writer import write_indexes
from argosy.repository.layout import FileKind
from argosy.repository.lookup import DedupLookup
from argosy.repository.packer import Packer, StoredPack
from argosy.repository.repository import Repository
from argosy.restic_format.blob import BlobType
from argosy.restic_format.config import make_config
from argosy.restic_format.crypto import MasterKey
from tests.support.storage_doubles import MemoryStorage


class Filler:
    """Stores blobs in a repository, all the way to its indexes, and keeps a lookup of them."""

    def __init__(self, repository: Repository, lookup: DedupLookup) -> None:
        self.repository = repository
        self.lookup = lookup

    def store(self, contents: Iterable[bytes], blob_type: BlobType = BlobType.DATA) -> list[bytes]:
        """Store the blobs in one pack and index it; returns their ids."""
        ids = []
        packs: list[StoredPack] = []
        encoder = BlobEncoder(self.repository.key, "auto", verify=True)
        packer = Packer(
            self.repository.storage,
            self.repository.key,
            blob_type,
            lease=lambda: None,
            on_stored=packs.append,
        )
        for content in contents:
            ids.append(hashlib.sha256(content).digest())
            packer.add(encoder.encode(blob_type, ids[-1], content))
        packer.flush()
        write_indexes(self.repository, packs)
        self.lookup.synchronize(self.repository.list_ids(FileKind.INDEX), self.repository.load_index)
        return ids


@pytest.fixture
def key() -> MasterKey:
    return MasterKey.generate(os.urandom)


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def repository(storage: MemoryStorage, key: MasterKey) -> Repository:
    return Repository(storage, key, make_config(os.urandom))


@pytest.fixture
def lookup(tmp_path: Path, key: MasterKey) -> Iterator[DedupLookup]:
    lookup = DedupLookup(tmp_path / "lookup.sqlite", key)
    yield lookup
    lookup.close()


@pytest.fixture
def filler(repository: Repository, lookup: DedupLookup) -> Filler:
    return Filler(repository, lookup)
