"""Which blobs snapshots use: the ids of all trees that they reach, and of the data that these name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from argosy.operations.id_table import IdTable
from argosy.repository.blobs import BlobReader
from argosy.restic_format.blob import BlobType
from argosy.restic_format.tree import decode_tree, iter_tree

# Read together, in order of packs.
_TREES_AT_ONCE = 256
# A larger tree is decoded node by node, since its nodes together take ten times its bytes.
_DECODED_WHOLE_BYTES = 4 * 1024 * 1024
_UNSEEN = b"\0"


class BlobTable:
    """Blobs with a byte each. In memory 35 bytes a blob."""

    def __init__(self) -> None:
        self._tables = {blob_type: IdTable(1) for blob_type in BlobType}

    def add(self, blob_type: BlobType, blob_id: bytes) -> bool:
        """Add a blob with byte 0; False if it is there already."""
        return self._tables[blob_type].add(blob_id, _UNSEEN)

    def get(self, blob_type: BlobType, blob_id: bytes) -> int | None:
        """The byte of a blob; None if it is not there."""
        payload = self._tables[blob_type].get(blob_id)
        return None if payload is None else payload[0]

    def set(self, blob_type: BlobType, blob_id: bytes, value: int) -> None:
        """Change the byte of a blob that is there."""
        self._tables[blob_type].replace(blob_id, bytes((value,)))

    def with_byte(self, value: int) -> list[tuple[BlobType, bytes]]:
        """Those that have this byte."""
        return [
            (blob_type, blob_id)
            for blob_type, table in self._tables.items()
            for blob_id, payload in table
            if payload[0] == value
        ]


def find_used(reader: BlobReader, roots: Iterable[bytes], stop: Callable[[], None]) -> BlobTable:
    """All blobs below these trees, each with byte 0. Damaged if a tree cannot be read; ``stop`` raises to end it."""
    used = BlobTable()
    waiting = [root for root in roots if used.add(BlobType.TREE, root)]
    while waiting:
        stop()
        batch, waiting = waiting[-_TREES_AT_ONCE:], waiting[:-_TREES_AT_ONCE]
        for tree_id, data in reader.load_many(batch, BlobType.TREE):
            what = f"tree {tree_id.hex()}"
            for node in decode_tree(data, what) if len(data) <= _DECODED_WHOLE_BYTES else iter_tree(data, what):
                for blob_id in node.content_ids() if node.type == "file" else ():
                    used.add(BlobType.DATA, blob_id)
                subtree = node.subtree_id() if node.type == "dir" else None
                if subtree is not None and used.add(BlobType.TREE, subtree):
                    waiting.append(subtree)
    return used
