"""Copies the blobs that are needed out of packs into new ones: the same work in the master and in a worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from argosy import native
from argosy.errors import Damaged, StorageNotFound
from argosy.repository.blob_location import Location
from argosy.repository.blobs import BlobReader
from argosy.repository.encoder import BlobEncoder, EncodedBlob
from argosy.repository.pack_builder import BuiltPack, PackBuilder
from argosy.repository.pack_ranges import PackRanges
from argosy.repository.repository import Repository
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.compression import CompressionMode
from argosy.restic_format.pack import decode_header, encode_header

# What is read with one request, and what may lie between two wanted blobs of one. Local: what fits the processor's
# cache is copied from there. Remote: a request costs a round trip.
_LOCAL_READ_BYTES, _LOCAL_GAP_BYTES = 1024 * 1024, 32 * 1024
_REMOTE_READ_BYTES, _REMOTE_GAP_BYTES = 8 * 1024 * 1024, 1024 * 1024
_RUNS_A_PACK = 4


class RepackManner(msgspec.Struct, frozen=True, array_like=True):
    """How new packs are made. Trees are compressed always, data that was not only with ``compress_data``."""

    pack_size_bytes: int
    compression: CompressionMode
    compress_data: bool
    verify: bool


class PackShare(msgspec.Struct, frozen=True, array_like=True):
    """What is needed of a pack: its header (not sealed), and for each of its blobs a byte, 1 if it is wanted."""

    id: bytes
    header: bytes
    wanted: bytearray


class _OnePack(msgspec.Struct):
    """The places of the blobs of one pack, for a ``BlobReader``."""

    pack_id: bytes
    blobs: dict[tuple[int, bytes], PackedBlob]

    def find(self, blob_id: bytes, blob_type: int = BlobType.DATA, /) -> list[Location]:
        """The place of a blob in the pack."""
        blob = self.blobs[blob_type, blob_id]
        return [Location(self.pack_id, blob.offset, blob.length, blob.uncompressed_length)]


class Repacker:
    """Not thread-safe. ``lost`` are blobs, by type and id, that their pack does not hold undamaged."""

    def __init__(
        self,
        repository: Repository,
        manner: RepackManner,
        *,
        lease: Callable[[], None],
        on_stored: Callable[[BuiltPack], None],
    ) -> None:
        self._repository = repository
        self._manner = manner
        self._ranges = PackRanges(repository.storage)
        self._encoder = BlobEncoder(repository.key, manner.compression, verify=manner.verify)
        self._builders = {
            blob_type: PackBuilder(
                repository.storage,
                repository.key,
                lease=lease,
                on_stored=on_stored,
                pack_size_bytes=manner.pack_size_bytes,
                verify=manner.verify,
            )
            for blob_type in BlobType
        }
        is_local = repository.storage.is_local
        self._gap_bytes = _LOCAL_GAP_BYTES if is_local else _REMOTE_GAP_BYTES
        # What is read together goes into one pack, which is to exceed its size by a part of it only.
        most_bytes = _LOCAL_READ_BYTES if is_local else _REMOTE_READ_BYTES
        self._read_bytes = min(most_bytes, manner.pack_size_bytes // _RUNS_A_PACK)
        self._session = native.session(repository.key.material)
        self.lost: list[tuple[BlobType, bytes]] = []

    def repack(self, pack: PackShare) -> None:
        """Copy what is wanted of a pack, each blob verified (MAC, length, hash)."""
        if self._session is not None:
            self._copy_natively(pack)
        if 1 in pack.wanted:
            self._copy_in_python(pack)

    def add(self, blob: EncodedBlob) -> None:
        """Copy a blob that was read, and verified, elsewhere."""
        if not blob.uncompressed_length and self._compresses(blob.type):
            content = self._repository.opener().open(blob.sealed, f"blob {blob.id.hex()}")
            blob = self._encoder.encode(blob.type, blob.id, content)
        entry = encode_header([PackedBlob(blob.id, blob.type, 0, len(blob.sealed), blob.uncompressed_length)])
        self._builders[blob.type].add(blob.sealed, entry, 1)

    def flush(self) -> None:
        """Store what is open still."""
        for builder in self._builders.values():
            builder.flush()

    def close(self) -> None:
        """Close the packs that were read."""
        self._ranges.close()

    def _compresses(self, blob_type: BlobType) -> bool:
        return blob_type == BlobType.TREE or self._manner.compress_data

    def _copy_natively(self, pack: PackShare) -> None:
        """What the kernel finds sound; the rest keeps its mark."""
        from argosy.native.repacking import NativeCopying

        assert self._session is not None
        copying = NativeCopying(self._session)
        for offset, end in copying.ranges(pack.header, pack.wanted, self._gap_bytes, self._read_bytes):
            try:
                data = self._ranges.read(pack.id, offset, end - offset)
            except (Damaged, StorageNotFound):
                continue
            for blob_type, builder in self._builders.items():
                sealed, entries, blobs = copying.copy(
                    data,
                    offset,
                    pack.header,
                    pack.wanted,
                    trees=blob_type == BlobType.TREE,
                    compressed_only=self._compresses(blob_type),
                )
                if blobs:
                    builder.add(sealed, entries, blobs)

    def _copy_in_python(self, pack: PackShare) -> None:
        blobs = decode_header(pack.header, f"the index's list of pack {pack.id.hex()}")
        left = [blob for blob, wanted in zip(blobs, pack.wanted, strict=True) if wanted == 1]
        places = _OnePack(pack.id, {(blob.type, blob.id): blob for blob in left})
        reader = BlobReader(self._repository, places)
        for blob_type in BlobType:
            self._load(reader, blob_type, [blob.id for blob in left if blob.type == blob_type])

    def _load(self, reader: BlobReader, blob_type: BlobType, blob_ids: Sequence[bytes]) -> None:
        copied = set[bytes]()
        try:
            for blob in reader.load_encoded(blob_ids, blob_type):
                self.add(blob)
                copied.add(blob.id)
        except Damaged:
            # One of them is lost here; those behind it are to be read all the same.
            rest = [blob_id for blob_id in dict.fromkeys(blob_ids) if blob_id not in copied]
            if len(rest) == 1:
                self.lost.append((blob_type, rest[0]))
                return
            self._load(reader, blob_type, rest[: len(rest) // 2])
            self._load(reader, blob_type, rest[len(rest) // 2 :])
