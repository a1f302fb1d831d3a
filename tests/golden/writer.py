"""Writes a local repository with nothing but the format package: what a backup does, in its simplest form."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from argosy.restic_format.blob import BlobType, PackedBlob, blob_id
from argosy.restic_format.chunker import MIN_CHUNK_BYTES, Chunker
from argosy.restic_format.compression import CompressionMode, Compressor, StreamCompressor
from argosy.restic_format.config import make_config, seal_config
from argosy.restic_format.crypto import IV_BYTES, MasterKey, Sealer, SealStream
from argosy.restic_format.index import IndexedPack, encode_index
from argosy.restic_format.key_file import encode_key_file, seal_key_file
from argosy.restic_format.pack import encode_trailer
from argosy.restic_format.unpacked import encode_unpacked

TIME = "2024-05-06T07:08:09.5Z"


class Writer:
    """A new repository in a local directory."""

    def __init__(self, root: Path, password: str, mode: CompressionMode) -> None:
        self.root = root
        self.key = MasterKey.generate(os.urandom)
        self.sealer = Sealer(self.key, os.urandom)
        self.compressor = Compressor(mode)
        self.config = make_config(os.urandom)
        self.chunker = Chunker(self.config.chunker_polynomial)
        self._packs: list[IndexedPack] = []
        self._pending: dict[BlobType, list[tuple[PackedBlob, bytes]]] = {BlobType.DATA: [], BlobType.TREE: []}
        self._known: set[bytes] = set()
        for folder in ("data", "keys", "index", "snapshots", "locks"):
            (root / folder).mkdir(parents=True)
        key_file = seal_key_file(
            self.key, password.encode(), os.urandom, created=TIME, username="user", hostname="<host>"
        )
        self._store("keys", encode_key_file(key_file))
        (root / "config").write_bytes(seal_config(self.config, self.sealer))

    def save_file(self, content: bytes) -> list[bytes]:
        """Cut, seal and keep a file's content; gives its content list."""
        lengths = [len(content)] if 0 < len(content) <= MIN_CHUNK_BYTES else self.chunker.cut(content, True)
        ids = []
        at = 0
        for length in lengths:
            ids.append(self.save_blob(BlobType.DATA, content[at : at + length]))
            at += length
        return ids

    def save_blob(self, kind: BlobType, content: bytes) -> bytes:
        """Seal a blob unless it is known. Trees are always compressed, data where it shrinks."""
        identity = blob_id(content)
        if identity in self._known:
            return identity
        self._known.add(identity)
        shrunk = self.compressor.compress(content)
        if kind == BlobType.DATA and (not self.compressor.compresses_data or len(shrunk) >= len(content)):
            self._add(kind, identity, self.sealer.seal(content), 0)
        else:
            self._add(kind, identity, self.sealer.seal(shrunk), len(content))
        return identity

    def save_streamed_tree(self, tree: bytes) -> bytes:
        """The same for a tree that is compressed and sealed piece by piece."""
        compressor, sealing = StreamCompressor(len(tree)), SealStream(self.key, os.urandom(IV_BYTES))
        sealed = b"".join(sealing.update(compressor.update(tree[at : at + 1000])) for at in range(0, len(tree), 1000))
        sealed += sealing.update(compressor.finish()) + sealing.finish()
        self._add(BlobType.TREE, blob_id(tree), sealed, len(tree))
        return blob_id(tree)

    def save_packs_and_index(self) -> bytes:
        """Store what is kept, data and trees in packs of their own, then the index; gives its id."""
        for pending in self._pending.values():
            blobs = [blob for blob, _ in pending]
            stored = b"".join(sealed for _, sealed in pending) + encode_trailer(blobs, self.sealer)
            identity = hashlib.sha256(stored).digest()
            folder = self.root / "data" / identity.hex()[:2]
            folder.mkdir(exist_ok=True)
            (folder / identity.hex()).write_bytes(stored)
            self._packs.append(IndexedPack(identity, blobs))
        return self.save_document("index", encode_index(self._packs))

    def save_document(self, kind: str, json_bytes: bytes) -> bytes:
        """Store an index, snapshot or lock; gives its id."""
        return self._store(kind, encode_unpacked(json_bytes, self.sealer, self.compressor))

    def _add(self, kind: BlobType, identity: bytes, sealed: bytes, uncompressed_length: int) -> None:
        pending = self._pending[kind]
        offset = sum(blob.length for blob, _ in pending)
        pending.append((PackedBlob(identity, kind, offset, len(sealed), uncompressed_length), sealed))

    def _store(self, kind: str, stored: bytes) -> bytes:
        identity = hashlib.sha256(stored).digest()
        (self.root / kind / identity.hex()).write_bytes(stored)
        return identity
