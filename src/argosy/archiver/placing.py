"""Where a worker's blobs go: into the repository already, into a pack of this worker, or into a new place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from argosy.repository.encoder import BlobEncoder, SealedRun
from argosy.repository.packer import Packer, PackRef
from argosy.restic_format.blob import BlobType, hash_many
from argosy.restic_format.crypto import Buffer

REMEMBERED_MOST = 200_000


class BlobPlacer:
    """Deduplicates, encodes and packs data blobs for one worker. Not thread-safe.

    ``depends`` collects the packs that are not durable yet and hold a blob of the current batch. What this worker
    packed itself is remembered (about 100 bytes a blob, bounded): the shared lookup hears of a pack only once the
    master has recorded it.
    """

    def __init__(self, encoder: BlobEncoder, packer: Packer, contains: Callable[[bytes], bool]) -> None:
        self._encoder = encoder
        self._add_run = packer.add_run
        self._contains = contains
        self._placed: dict[bytes, PackRef] = {}
        self.depends: set[PackRef] = set()
        self.blobs = 0
        self.added_bytes = 0
        self.added_packed_bytes = 0

    def place(self, data: Buffer) -> bytes:
        """The id of the blob with this content, which is in the repository once ``depends`` are stored."""
        identity = hashlib.sha256(data).digest()
        if not self._is_known(identity):
            self._pack(self._encoder.encode(BlobType.DATA, identity, data).as_run(), [identity])
            self.added_bytes += len(data)
        return identity

    def place_all(self, data: bytes | memoryview, lengths: Sequence[int]) -> list[bytes]:
        """The ids of the blobs that stand one after the other in ``data``, of these lengths; else as ``place``."""
        ids = hash_many(data, lengths)
        new: dict[bytes, tuple[int, int, bytes]] = {}
        offset = 0
        for identity, length in zip(ids, lengths, strict=True):
            if identity not in new and not self._is_known(identity):
                new[identity] = (offset, length, identity)
            offset += length
        fresh = iter(new)
        for run in self._encoder.encode_many(data, list(new.values())):
            self._pack(run, islice(fresh, run.blob_count))
        self.added_bytes += sum(length for _, length, _ in new.values())
        return ids

    def _is_known(self, identity: bytes) -> bool:
        ref = self._placed.get(identity)
        if ref is None:
            return self._contains(identity)
        if not ref.stored:
            self.depends.add(ref)
        return True

    def _pack(self, run: SealedRun, ids: Iterable[bytes]) -> None:
        ref = self._add_run(run)
        self._placed.update(dict.fromkeys(ids, ref))
        self.depends.add(ref)
        self.blobs += run.blob_count
        self.added_packed_bytes += len(run.sealed)
        if len(self._placed) > REMEMBERED_MOST:
            self._forget()

    def take_depends(self) -> set[PackRef]:
        """The packs that the batch so far depends on; the next batch starts with none."""
        depends, self.depends = self.depends, set()
        return depends

    def _forget(self) -> None:
        """Forget the older half of what is durable; the lookup has heard of it by now."""
        kept = {}
        for position, (identity, ref) in enumerate(self._placed.items()):
            if position >= REMEMBERED_MOST // 2 or not ref.stored:
                kept[identity] = ref
        self._placed = kept
