"""Brings what a snapshot's trees reach from one repository into another."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from argosy.operations.blob_tables import split_ids
from argosy.operations.copy.options import CopyProgress
from argosy.operations.id_table import IdTable
from argosy.operations.saving import BlobSaver
from argosy.repository.blobs import BlobReader
from argosy.repository.index_writer import MAX_INDEX_BLOBS
from argosy.repository.lookup import DedupLookup
from argosy.repository.streamed_blob import HugeTree, TreeParts
from argosy.restic_format.blob import BlobType
from argosy.restic_format.crypto import OVERHEAD_BYTES, Opener
from argosy.restic_format.tree import part_names

# Read together, in order of packs.
_TREES_AT_ONCE = 256
# Ids that wait until their blobs are copied: many, so that those of one pack are together; in memory 1 MB.
_BLOBS_AT_ONCE = 8192
# Each holds a range of a pack, and a blob's content twice. Reading, inflating and sealing release the GIL.
_THREADS = 4
# A copy that dies has to copy again what it did in this time.
_LISTED_SECONDS = 600.0


class Transfer:
    """Used with ``with``. What was copied is durable and listed after ``publish``.

    ``opener`` gives the calling thread's own, for the source. ``tick`` is called now and then, and may raise to end it.
    """

    def __init__(
        self,
        reader: BlobReader,
        source: DedupLookup,
        target: DedupLookup,
        opener: Callable[[], Opener],
        saver: BlobSaver,
        progress: CopyProgress,
        tick: Callable[[], None],
    ) -> None:
        self._reader = reader
        self._source = source
        self._target = target
        self._opener = opener
        self._saver = saver
        self._progress = progress
        self._tick = tick
        self._visited = IdTable()
        self._copied = IdTable()
        self._listed_at = time.monotonic()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="copy-blobs")

    def __enter__(self) -> Self:
        self._saver.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._saver.__exit__(kind, error, trace)

    def copy_tree(self, root: bytes) -> None:
        """Copy a tree and all below it. Damaged if a blob cannot be read: then nothing counts as visited any more."""
        try:
            self._walk(root)
        except BaseException:
            # Trees were visited whose blobs were not copied: another snapshot must not rely on them.
            self._visited, self._copied = IdTable(), IdTable()
            raise

    def publish(self) -> None:
        """Make everything durable and list it: now a snapshot may name it."""
        self._saver.publish()

    def _walk(self, root: bytes) -> None:
        waiting = [root] if self._visited.add(root) else []
        data: list[bytes] = []
        while waiting:
            self._tick()
            batch, waiting = waiting[-_TREES_AT_ONCE:], waiting[:-_TREES_AT_ONCE]
            for tree_id, tree in self._reader.load_trees(batch):
                self._copy_tree_blob(tree_id, tree)
                for names in part_names(tree, f"tree {tree_id.hex()}"):
                    waiting += [subtree for subtree in split_ids(names.subtrees) if self._visited.add(subtree)]
                    data += split_ids(names.contents)
                    if len(data) >= _BLOBS_AT_ONCE:
                        self._copy_data(data)
                        data = []
        self._copy_data(data)

    def _copy_tree_blob(self, tree_id: bytes, tree: TreeParts) -> None:
        if not self._target.contains(tree_id, BlobType.TREE):
            self._count(1, self._save_tree(tree_id, tree))
        self._progress.trees += 1

    def _save_tree(self, tree_id: bytes, tree: TreeParts) -> int:
        """Returns its size in bytes. A huge one stays compressed as it is, whatever compression was asked for."""
        if isinstance(tree, HugeTree) and tree.blob.uncompressed_length:
            self._saver.save_stored(tree_id, tree.blob.stored, tree.blob.uncompressed_length)
            return tree.blob.uncompressed_length
        document = tree.blob.stored if isinstance(tree, HugeTree) else tree[0]
        self._saver.save(BlobType.TREE, tree_id, document)
        return len(document)

    def _copy_data(self, blob_ids: Sequence[bytes]) -> None:
        """Copy those that are not there, pack by pack, several packs at once."""
        there = self._target.contains_many(blob_ids)
        wanted = [blob_id for blob_id in blob_ids if blob_id not in there and self._copied.add(blob_id)]
        for blobs, size_bytes in self._threads.map(self._copy_blobs, self._by_pack(wanted)):
            self._count(blobs, size_bytes)
            self._tick()
        if self._saver.unlisted_blobs >= MAX_INDEX_BLOBS or time.monotonic() - self._listed_at > _LISTED_SECONDS:
            self._saver.list_stored()
            self._listed_at = time.monotonic()

    def _by_pack(self, blob_ids: Sequence[bytes]) -> list[list[bytes]]:
        packs: dict[bytes, list[bytes]] = {}
        for blob_id in blob_ids:
            places = self._source.find(blob_id)
            packs.setdefault(places[0].pack_id if places else b"", []).append(blob_id)
        return list(packs.values())

    def _copy_blobs(self, blob_ids: Sequence[bytes]) -> tuple[int, int]:
        """In a thread; returns how many blobs, and their bytes."""
        size_bytes = 0
        for blob in self._reader.load_encoded(blob_ids, BlobType.DATA):
            self._saver.save_again(blob, self._opener())
            size_bytes += blob.uncompressed_length or len(blob.sealed) - OVERHEAD_BYTES
        return len(blob_ids), size_bytes

    def _count(self, blobs: int, size_bytes: int) -> None:
        self._progress.blobs += blobs
        self._progress.size_bytes += size_bytes
