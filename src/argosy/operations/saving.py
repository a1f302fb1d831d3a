"""Stores blobs in new packs, and lists these in new indexes: the writing half of repair, rewrite and copy.

The order is the caller's: what a snapshot names must be listed before the snapshot is stored.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self

import msgspec

from argosy.repository.encoder import BlobEncoder, EncodedBlob
from argosy.repository.index_writer import write_indexes
from argosy.repository.packer import DEFAULT_PACK_SIZE_BYTES, Packer, StoredPack
from argosy.repository.repository import Repository
from argosy.restic_format.blob import BlobType
from argosy.restic_format.compression import CompressionMode, StreamCompressor, decompress
from argosy.restic_format.crypto import Buffer, Opener
from argosy.restic_format.tree_draft import Document, HugeDocument


class SavingOptions(msgspec.Struct, frozen=True):
    """How blobs are stored. ``verify``: each is decrypted, inflated and hashed once more before it is uploaded."""

    pack_size_bytes: int = DEFAULT_PACK_SIZE_BYTES
    compression: CompressionMode = "auto"
    verify: bool = True


class BlobSaver:
    """Packs for data and for trees. Thread-safe. Used with ``with``: an exception within stores nothing more.

    ``check_lock`` raises when the lock is lost; it is called before each upload.
    """

    def __init__(self, repository: Repository, options: SavingOptions, check_lock: Callable[[], None]) -> None:
        self._repository = repository
        self._options = options
        self._check_lock = check_lock
        self._encoders = threading.local()
        self._packers = {blob_type: self._packer(blob_type) for blob_type in BlobType}
        self._lock = threading.Lock()
        self._stored: list[StoredPack] = []
        self.unlisted_blobs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is not None:
            for packer in self._packers.values():
                packer.abort()

    def save(self, blob_type: BlobType, blob_id: bytes, content: bytes) -> None:
        """Store a blob whose id is known to be right; durable after ``flush``."""
        self.add(self._encoder().encode(blob_type, blob_id, content))

    def save_again(self, blob: EncodedBlob, opener: Opener) -> None:
        """The same of a blob of another repository, whose key ``opener`` has; it was verified when it was read.

        What is compressed stays as it is, which spares most of the work, unless a compression was asked for.
        """
        stored = opener.open(blob.sealed, f"blob {blob.id.hex()}")
        if blob.uncompressed_length and self._options.compression == "auto":
            self.add(self._encoder().seal_again(blob, stored))
            return
        length = blob.uncompressed_length
        self.save(blob.type, blob.id, decompress(stored, length, f"blob {blob.id.hex()}") if length else stored)

    def save_document(self, blob_id: bytes, document: Document) -> None:
        """The same of a tree."""
        if not isinstance(document, HugeDocument):
            self.save(BlobType.TREE, blob_id, document)
            return
        compressor = StreamCompressor(document.size_bytes)
        frame = bytearray().join(compressor.update(piece) for piece in document) + compressor.finish()
        self.save_stored(blob_id, frame, document.size_bytes)

    def save_stored(self, tree_id: bytes, stored: Buffer, uncompressed_length: int) -> None:
        """The same of a tree as it is stored elsewhere: ``stored`` is what was sealed there, compressed."""
        blob = EncodedBlob(tree_id, BlobType.TREE, b"", uncompressed_length)
        self.add(self._encoder().seal_again(blob, stored))

    def add(self, blob: EncodedBlob) -> None:
        """The same of a blob that is sealed already, with this repository's key."""
        self._packers[blob.type].add(blob)

    def flush(self) -> list[StoredPack]:
        """Make everything durable; returns the packs that no index lists yet."""
        for packer in self._packers.values():
            packer.flush()
        return self._take_stored()

    def publish(self) -> None:
        """Make everything durable and list it."""
        for packer in self._packers.values():
            packer.flush()
        self.list_stored()

    def list_stored(self) -> None:
        """List the packs that are durable by now; what is in packs that grow is left for later."""
        # Safe to die here: what is in no index is deleted by the next prune.
        write_indexes(self._repository, self._take_stored(), check=self._check_lock)

    def _take_stored(self) -> list[StoredPack]:
        with self._lock:
            stored, self._stored, self.unlisted_blobs = self._stored, [], 0
        return stored

    def _packer(self, blob_type: BlobType) -> Packer:
        return Packer(
            self._repository.storage,
            self._repository.key,
            blob_type,
            lease=self._check_lock,
            on_stored=self._on_stored,
            pack_size_bytes=self._options.pack_size_bytes,
            verify=self._options.verify,
        )

    def _on_stored(self, pack: StoredPack) -> None:
        with self._lock:
            self._stored.append(pack)
            self.unlisted_blobs += len(pack.blobs)

    def _encoder(self) -> BlobEncoder:
        """The calling thread's own."""
        encoder: BlobEncoder | None = getattr(self._encoders, "encoder", None)
        if encoder is None:
            options = self._options
            encoder = BlobEncoder(self._repository.key, options.compression, verify=options.verify)
            self._encoders.encoder = encoder
        return encoder
