"""Carries out a plan, in the order that leaves a whole repository whenever it dies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from argosy.errors import Damaged
from argosy.operations.prune.contents import PackContents
from argosy.operations.prune.options import PruneObserver, PruneOptions
from argosy.operations.prune.plan import PrunePlan
from argosy.operations.prune.used import BlobTable
from argosy.repository.blobs import BlobReader
from argosy.repository.encoder import BlobEncoder, EncodedBlob
from argosy.repository.index_writer import write_indexes
from argosy.repository.layout import FileKind
from argosy.repository.packer import Packer, StoredPack
from argosy.repository.repository import Repository
from argosy.restic_format.blob import BlobType

_DELETED_AT_ONCE = 8
_NEEDED = 0
_DONE = 1


class Execution:
    """One run. ``check_lock`` raises when the lock is lost; ``stop`` raises when it is to end."""

    def __init__(
        self,
        repository: Repository,
        reader: BlobReader,
        options: PruneOptions,
        observer: PruneObserver,
        *,
        check_lock: Callable[[], None],
        stop: Callable[[], None],
    ) -> None:
        self._repository = repository
        self._reader = reader
        self._options = options
        self._observer = observer
        self._check_lock = check_lock
        self._stop = stop
        self._stored: list[StoredPack] = []
        self._encoder = BlobEncoder(repository.key, options.compression, verify=options.verify)

    def run(self, plan: PrunePlan, contents: PackContents, used: BlobTable) -> None:
        """Do it all. Damaged, and nothing that is needed is gone, if a blob cannot be read."""
        crash_point = self._options.crash_point
        if plan.unindexed:
            self._observer.message(f"deleting {len(plan.unindexed)} packs that no index lists")
            self._delete(FileKind.PACK, plan.unindexed)
        crash_point("packs in no index are deleted")
        if plan.repack:
            self._observer.message(f"repacking {len(plan.repack)} packs")
            self._repack(plan, contents, used)
        crash_point("new packs are stored")
        # Safe to die here: what is in no index is deleted by the next prune, and the old packs are all there.
        old_indexes = contents.indexes_to_replace(plan.leaving)
        if old_indexes:
            self._observer.message(f"replacing {len(old_indexes)} indexes")
            staying = contents.staying(old_indexes, plan.leaving)
            write_indexes(self._repository, chain(staying, self._stored), check=self._check_lock)
        crash_point("new indexes are stored")
        # Safe to die here: blobs are listed twice, and the next prune takes one of the copies for unused.
        self._delete(FileKind.INDEX, old_indexes)
        crash_point("old indexes are deleted")
        # Safe to die here: the old packs are in no index any more.
        old_packs = plan.remove | plan.repack
        if old_packs:
            self._observer.message(f"deleting {len(old_packs)} old packs")
            self._delete(FileKind.PACK, old_packs)
        crash_point("old packs are deleted")

    def _repack(self, plan: PrunePlan, contents: PackContents, used: BlobTable) -> None:
        """Copy what is needed of the packs into new ones, each blob once."""
        needed = _needed(plan, contents, used)
        packers = {blob_type: self._packer(blob_type) for blob_type in BlobType}
        try:
            for pack_id in sorted(plan.repack):
                self._stop()
                for blob in self._blobs_needed(contents, pack_id, needed):
                    packers[blob.type].add(blob)
                    needed.set(blob.type, blob.id, _DONE)
            for packer in packers.values():
                packer.flush()
        except BaseException:
            for packer in packers.values():
                packer.abort()
            raise
        if left := needed.with_byte(_NEEDED):
            raise Damaged(f"{len(left)} blobs were not repacked", hint="Nothing was deleted. This is a bug: report it.")

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
        self._stored.append(pack)
        self._options.crash_point("a new pack is stored")

    def _blobs_needed(self, contents: PackContents, pack_id: bytes, needed: BlobTable) -> Iterator[EncodedBlob]:
        """Verified, as they stand in some pack; compressed where they are to be and were not."""
        blobs = contents.blobs(pack_id)
        for blob_type in BlobType:
            wanted = [b.id for b in blobs if b.type == blob_type and needed.get(b.type, b.id) == _NEEDED]
            compress = blob_type == BlobType.TREE or self._options.limits.repack_uncompressed
            for blob in self._reader.load_encoded(wanted, blob_type):
                if compress and not blob.uncompressed_length:
                    content = self._repository.opener().open(blob.sealed, f"blob {blob.id.hex()}")
                    yield self._encoder.encode(blob.type, blob.id, content)
                else:
                    yield blob

    def _delete(self, kind: FileKind, ids: Collection[bytes]) -> None:
        ordered: Sequence[bytes] = sorted(ids)

        def delete(identity: bytes) -> None:
            self._check_lock()
            self._repository.delete(kind, identity)
            self._options.crash_point("a file is deleted")

        if self._repository.storage.is_local:
            for identity in ordered:
                delete(identity)
        else:
            with ThreadPoolExecutor(_DELETED_AT_ONCE, thread_name_prefix="delete") as threads:
                list(threads.map(delete, ordered))


def _needed(plan: PrunePlan, contents: PackContents, used: BlobTable) -> BlobTable:
    """The used blobs that stand in packs to be repacked and in none that stays."""
    needed = BlobTable()
    for pack_id in sorted(plan.repack):
        for blob in contents.blobs(pack_id):
            if used.get(blob.type, blob.id) is not None:
                needed.add(blob.type, blob.id)
    for pack_id in plan.keep:
        for blob in contents.blobs(pack_id):
            if needed.get(blob.type, blob.id) is not None:
                needed.set(blob.type, blob.id, _DONE)
    return needed
