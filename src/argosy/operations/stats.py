"""`argosy stats`: sizes and counts of snapshots, counted in restic's four ways."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from argosy.errors import Damaged
from argosy.operations.id_table import IdTable
from argosy.operations.selection import select_snapshots
from argosy.operations.session import Access, open_session
from argosy.operations.tree_walk import load_nodes, subtree_of, walk_tree
from argosy.repository.blob_location import Location
from argosy.repository.blobs import BlobReader
from argosy.repository.lookup import DedupLookup
from argosy.repository.snapshots import ALL_SNAPSHOTS, SnapshotFilter
from argosy.restic_format.blob import BlobType
from argosy.restic_format.crypto import OVERHEAD_BYTES
from argosy.restic_format.damage import damaged
from argosy.restic_format.node import Node

_INODE = struct.Struct("<QQ16x")


class StatsMode(StrEnum):
    """What is counted (docs of restic, "Getting information about repository data")."""

    RESTORE_SIZE = "restore-size"
    FILES_BY_CONTENTS = "files-by-contents"
    BLOBS_PER_FILE = "blobs-per-file"
    RAW_DATA = "raw-data"


class StatsOptions(msgspec.Struct, frozen=True):
    """``names``: snapshots to count, else all that match ``wanted``."""

    mode: StatsMode = StatsMode.RESTORE_SIZE
    names: Sequence[str] = ()
    wanted: SnapshotFilter = ALL_SNAPSHOTS


class Stats(msgspec.Struct):
    """Counts and sizes in bytes. Those with "compressed" in their names, and ``uncompressed_bytes``: raw-data alone."""

    snapshots: int = 0
    total_bytes: int = 0
    files: int = 0
    blobs: int = 0
    uncompressed_bytes: int = 0
    compressed_bytes: int = 0
    compressed_blobs_uncompressed_bytes: int = 0
    damaged_snapshots: int = 0

    @property
    def compression_ratio(self) -> float:
        """How many times smaller compressed blobs are; 0 without any."""
        return self.compressed_blobs_uncompressed_bytes / self.compressed_bytes if self.compressed_bytes else 0.0

    @property
    def compression_progress(self) -> float:
        """Percentage of the data that is stored compressed."""
        return (
            self.compressed_blobs_uncompressed_bytes / self.uncompressed_bytes * 100 if self.uncompressed_bytes else 0.0
        )

    @property
    def compression_space_saving(self) -> float:
        """Percentage that compression saves."""
        return (1 - self.total_bytes / self.uncompressed_bytes) * 100 if self.uncompressed_bytes else 0.0

    @property
    def exit_code(self) -> int:
        """0, or 1 if a snapshot could not be read."""
        return 1 if self.damaged_snapshots else 0


def run_stats(access: Access, options: StatsOptions, on_damaged: Callable[[Damaged], None]) -> Stats:
    """Count. A snapshot that cannot be read goes to ``on_damaged``; Damaged where a tree cannot."""
    stats = Stats()

    def skip(_snapshot_id: bytes, error: Damaged) -> None:
        stats.damaged_snapshots += 1
        on_damaged(error)

    with open_session(access) as session:
        snapshots = select_snapshots(session.repository, options.names, options.wanted, on_damaged=skip)
        lookup = session.open_lookup()
        counter = _COUNTERS[options.mode](stats, session.blob_reader(lookup), lookup)
        for stored in snapshots:
            stats.snapshots += 1
            counter.add(stored.snapshot.tree)
    return stats


class _Counter:
    """Adds up snapshots."""

    def __init__(self, stats: Stats, reader: BlobReader, lookup: DedupLookup) -> None:
        self.stats = stats
        self.reader = reader
        self.lookup = lookup

    def add(self, tree_id: bytes) -> None:
        """Count what is below a snapshot's root."""
        for visit in walk_tree(self.reader, tree_id):
            if not visit.left:
                self.count(visit.path, visit.node)

    def count(self, path: bytes, node: Node) -> None:
        """Count a node."""
        raise NotImplementedError

    def place(self, blob_id: bytes, blob_type: BlobType) -> Location:
        """One place of a blob."""
        places = self.lookup.find(blob_id, blob_type)
        if not places:
            raise damaged(f"blob {blob_id.hex()}", "it is in no index")
        return places[0]


class _RestoreSize(_Counter):
    """What a restore of each snapshot writes: hard links of a file count once in each."""

    def add(self, tree_id: bytes) -> None:
        self._links = IdTable()
        super().add(tree_id)

    def count(self, path: bytes, node: Node) -> None:
        del path
        self.stats.files += 1
        is_single = node.links == 1 or node.type == "dir" or not node.inode
        if is_single or self._links.add(_INODE.pack(node.inode, node.device_id)):
            self.stats.total_bytes += node.size


class _UniqueFiles(_Counter):
    """Files with different contents."""

    def __init__(self, stats: Stats, reader: BlobReader, lookup: DedupLookup) -> None:
        super().__init__(stats, reader, lookup)
        self._contents = IdTable()

    def is_new(self, node: Node) -> bool:
        """Whether no node with these contents came before. Nodes without any (directories too) count as one."""
        return self._contents.add(hashlib.sha256(b"".join(node.content_ids())).digest())


class _FilesByContents(_UniqueFiles):
    def count(self, path: bytes, node: Node) -> None:
        del path
        if self.is_new(node):
            self.stats.files += 1
            self.stats.total_bytes += node.size


class _BlobsPerFile(_UniqueFiles):
    """Of each file with new contents the blobs that were not counted under its path before."""

    def __init__(self, stats: Stats, reader: BlobReader, lookup: DedupLookup) -> None:
        super().__init__(stats, reader, lookup)
        self._paths = IdTable()
        self._blobs_of_paths = IdTable()

    def count(self, path: bytes, node: Node) -> None:
        if not self.is_new(node):
            return
        path_key = hashlib.sha256(path).digest()
        for blob_id in node.content_ids():
            self.stats.files += self._paths.add(path_key)
            if self._blobs_of_paths.add(hashlib.sha256(path_key + blob_id).digest()):
                place = self.place(blob_id, BlobType.DATA)
                self.stats.total_bytes += place.uncompressed_length or place.length - OVERHEAD_BYTES
                self.stats.blobs += 1


class _RawData(_Counter):
    """Each blob that a snapshot needs, once; trees too."""

    def __init__(self, stats: Stats, reader: BlobReader, lookup: DedupLookup) -> None:
        super().__init__(stats, reader, lookup)
        self._trees = IdTable()
        self._data = IdTable()

    def add(self, tree_id: bytes) -> None:
        waiting = [tree_id]
        while waiting:
            tree_id = waiting.pop()
            if not self._trees.add(tree_id):
                continue
            self._count_blob(tree_id, BlobType.TREE)
            for node in load_nodes(self.reader, tree_id):
                if node.type == "dir":
                    waiting.append(subtree_of(node, node.name_bytes()))
                elif node.type == "file":
                    for blob_id in node.content_ids():
                        if self._data.add(blob_id):
                            self._count_blob(blob_id, BlobType.DATA)

    def _count_blob(self, blob_id: bytes, blob_type: BlobType) -> None:
        stats, place = self.stats, self.place(blob_id, blob_type)
        plain_bytes = place.uncompressed_length + OVERHEAD_BYTES if place.uncompressed_length else place.length
        stats.blobs += 1
        stats.total_bytes += place.length
        stats.uncompressed_bytes += plain_bytes
        if place.uncompressed_length:
            stats.compressed_bytes += place.length
            stats.compressed_blobs_uncompressed_bytes += plain_bytes


_COUNTERS: dict[StatsMode, type[_Counter]] = {
    StatsMode.RESTORE_SIZE: _RestoreSize,
    StatsMode.FILES_BY_CONTENTS: _FilesByContents,
    StatsMode.BLOBS_PER_FILE: _BlobsPerFile,
    StatsMode.RAW_DATA: _RawData,
}
