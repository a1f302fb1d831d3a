"""A repository of blobs alone, for tests of what finds and reads them."""

from __future__ import annotations

import os
from pathlib import Path

from argosy.repository.blobs import BlobReader
from argosy.repository.encoder import BlobEncoder
from argosy.repository.index_writer import write_indexes
from argosy.repository.layout import FileKind
from argosy.repository.lookup import DedupLookup
from argosy.repository.opening import BlobContent
from argosy.repository.packer import Packer, StoredPack
from argosy.repository.repository import Repository
from argosy.restic_format.blob import BlobType, blob_id
from argosy.restic_format.config import make_config
from argosy.restic_format.crypto import MasterKey
from argosy.restorer.blob_fetching import BlobFetcher, WantedBlobs
from argosy.restorer.content import BlobPlaces
from argosy.storage.interface import Storage


class BlobStore:
    """A repository with blobs in packs of a few, and what was fetched from it."""

    def __init__(self, storage: Storage, cache: Path) -> None:
        self.repository = Repository(storage, MasterKey.generate(os.urandom), make_config(os.urandom))
        self.lookup = DedupLookup(cache / "lookup.sqlite", self.repository.key)
        self.fetcher = BlobFetcher(self.repository, BlobReader(self.repository, self.lookup))
        self.taken: dict[int, bytes] = {}
        self.missing: dict[int, str] = {}

    def store(self, contents: list[bytes]) -> list[StoredPack]:
        packs: list[StoredPack] = []
        encoder = BlobEncoder(self.repository.key, "auto", verify=False)
        packer = Packer(
            self.repository.storage, self.repository.key, BlobType.DATA, lease=lambda: None, on_stored=packs.append
        )
        for content in contents:
            packer.add(encoder.encode(BlobType.DATA, blob_id(content), content))
        packer.flush()
        write_indexes(self.repository, packs)
        self.lookup.synchronize(self.repository.list_ids(FileKind.INDEX), self.repository.load_index)
        return packs

    def fetch(self, contents: list[bytes]) -> None:
        wanted: WantedBlobs[int] = WantedBlobs()
        found = BlobPlaces(self.repository, self.lookup).content([blob_id(content) for content in contents])
        assert found.size == sum(map(len, contents))
        for number, (blob, place) in enumerate(zip(found.ids, found.places, strict=True)):
            wanted.add(blob, place, number)
        self.fetcher.deliver(wanted, self._take, self.missing.__setitem__)

    def _take(self, number: int, content: BlobContent) -> None:
        self.taken[number] = bytes(content)

    def close(self) -> None:
        self.fetcher.close()
        self.lookup.close()
