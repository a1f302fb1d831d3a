"""Where a worker's blobs go: into the repository already, into a pack of this worker, or into a new place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import accumulate

from argosy.repository.encoder import BlobEncoder, PlainBlob
from argosy.repository.packer import Packer, PackRef
from argosy.restic_format.blob import BlobType
from argosy.restic_format.crypto import Buffer

REMEMBERED_MOST = 200_000

ThoseKnown = Callable[[AbstractSet[bytes]], AbstractSet[bytes]]
"""Those of the ids whose blobs are in the repository."""


class BlobPlacer:
    """Deduplicates, encodes and packs data blobs for one worker. Not thread-safe.

    ``depends`` collects the packs that are not durable yet and hold a blob of the current batch. What this worker
    packed itself is remembered (about 100 bytes a blob, bounded): the shared lookup hears of a pack only once the
    master has recorded it.
    """

    def __init__(self, encoder: BlobEncoder, packer: Packer, known: ThoseKnown) -> None:
        self._encoder = encoder
        self._packer = packer
        self._known = known
        self._placed: dict[bytes, PackRef] = {}
        self.depends: set[PackRef] = set()
        self.blobs = 0
        self.added_bytes = 0
        self.added_packed_bytes = 0

    def place(self, data: Buffer) -> bytes:
        """The id of the blob with this content, which is in the repository once ``depends`` are stored."""
        identity = hashlib.sha256(data).digest()
        if self._leave_out_known([identity]):
            self._pack_one(identity, data)
        return identity

    def place_all(self, data: bytes | memoryview, lengths: Sequence[int]) -> list[bytes]:
        """The ids of the blobs that stand one after the other in ``data``, of these lengths; else as ``place``."""
        ids = self._packer.hash_many(data, lengths)
        new = self._leave_out_known(ids)
        if new:
            blobs = list(zip(accumulate(lengths, initial=0), lengths, ids, strict=False))
            if len(new) < len(ids):
                blobs = list({blob[2]: blob for blob in blobs if blob[2] in new}.values())
            self._pack_all(data, blobs)
        return ids

    def _leave_out_known(self, ids: Sequence[bytes]) -> AbstractSet[bytes]:
        """Those of the ids that are in no pack yet; the batch depends on the packs that are not stored."""
        distinct = frozenset(ids)
        placed = self._placed.keys() & distinct
        self.depends.update(ref for ref in map(self._placed.__getitem__, placed) if not ref.stored)
        new = distinct - placed
        return new - self._known(new) if new else new

    def _pack_all(self, data: bytes | memoryview, blobs: Sequence[PlainBlob]) -> None:
        """Pack what stands at these places in ``data``: all together, or, where there is no kernel, one by one."""
        done = 0
        room = self._encoder.room_for(blobs)
        if room:
            run, ref = self._packer.fill(room, lambda into: self._encoder.seal_many(data, blobs, into))
            done = run.done
            self._note((identity for _, _, identity in blobs[:done]), ref, run.size_bytes)
            self.added_bytes += sum(length for _, length, _ in blobs[:done])
        view = memoryview(data)
        for offset, length, identity in blobs[done:]:
            self._pack_one(identity, view[offset : offset + length])

    def _pack_one(self, identity: bytes, data: Buffer) -> None:
        blob = self._encoder.encode(BlobType.DATA, identity, data)
        self._note([identity], self._packer.add(blob), len(blob.sealed))
        self.added_bytes += len(data)

    def _note(self, ids: Iterable[bytes], ref: PackRef, packed_bytes: int) -> None:
        before = len(self._placed)
        self._placed.update(dict.fromkeys(ids, ref))
        self.depends.add(ref)
        self.blobs += len(self._placed) - before
        self.added_packed_bytes += packed_bytes
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
