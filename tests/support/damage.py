"""Damage to a repository on disk, one kind a class: what a disk, a transfer or a faulty writer may do to it.

``plant`` does it and returns what a check must name.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from argosy.repository.encoder import BlobEncoder
from argosy.repository.index_writer import write_indexes
from argosy.repository.layout import FileKind, object_name
from argosy.repository.packer import Packer, StoredPack
from argosy.repository.repository import Repository, open_repository
from argosy.repository.snapshots import save_snapshot
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.crypto import Sealer
from argosy.restic_format.index import IndexedPack, encode_index
from argosy.restic_format.lock_file import LockFile, encode_lock
from argosy.restic_format.node import encode_metadata, finish_directory, finish_file, finish_other
from argosy.restic_format.pack import encode_trailer, header_bytes
from argosy.restic_format.snapshot import Snapshot
from argosy.restic_format.times import format_time
from argosy.restic_format.tree import encode_tree
from argosy.storage.open import open_storage
from tests.support.command import Argosy

A_TIME_NS = 1_700_000_000 * 10**9


@dataclass(frozen=True)
class Planted:
    """Words that a check must say about it, all in one line."""

    words: tuple[str, ...]


@dataclass
class Ground:
    """The repository before: its directory, an open one, and its packs by kind."""

    directory: Path
    repository: Repository
    data_packs: list[IndexedPack] = field(default_factory=list)
    tree_packs: list[IndexedPack] = field(default_factory=list)
    index_ids: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.index_ids = self.repository.list_ids(FileKind.INDEX)
        for index_id in self.index_ids:
            for pack in self.repository.load_index(index_id).packs:
                packs = self.tree_packs if pack.blobs[0].type == BlobType.TREE else self.data_packs
                packs.append(pack)

    def path(self, kind: FileKind, identity: bytes) -> Path:
        """The file of an object."""
        return self.directory / object_name(kind, identity)

    def only(self, kind: FileKind) -> bytes:
        """The id of the first file of a kind."""
        return self.repository.list_ids(kind)[0]

    def store(
        self, contents: Sequence[bytes], blob_type: BlobType = BlobType.TREE, *, index: bool = True
    ) -> list[bytes]:
        """Store blobs in one pack, as a backup would; returns their ids."""
        packs: list[StoredPack] = []
        encoder = BlobEncoder(self.repository.key, "auto", verify=False)
        packer = Packer(
            self.repository.storage, self.repository.key, blob_type, lease=lambda: None, on_stored=packs.append
        )
        ids = [hashlib.sha256(content).digest() for content in contents]
        for identity, content in zip(ids, contents, strict=True):
            packer.add(encoder.encode(blob_type, identity, content))
        packer.flush()
        if index:
            write_indexes(self.repository, packs)
        return ids

    def save_snapshot_of(self, tree_id: bytes) -> bytes:
        """A snapshot of a root tree; returns its id."""
        return save_snapshot(self.repository, Snapshot(format_time(A_TIME_NS), tree_id, ["/forged"], hostname="forger"))

    def replace_index(self, change: Callable[[list[IndexedPack]], list[IndexedPack]]) -> bytes:
        """Replace all indexes by one that lists what ``change`` makes of their packs; returns its id."""
        packs = [pack for index_id in self.index_ids for pack in self.repository.load_index(index_id).packs]
        for index_id in self.index_ids:
            self.repository.delete(FileKind.INDEX, index_id)
        return self.repository.save_unpacked(FileKind.INDEX, encode_index(change(packs)))


def rewrite(path: Path, data: bytes) -> None:
    """Give a file, which is read-only, other bytes."""
    path.chmod(0o600)
    path.write_bytes(data)


def flip(path: Path, position: int) -> None:
    """Change one bit of a byte; a negative position counts from the end."""
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    rewrite(path, bytes(data))


def cut(path: Path, lost_bytes: int = 1) -> None:
    """Lose the end of a file."""
    rewrite(path, path.read_bytes()[:-lost_bytes])


def flip_blob(ground: Ground, blob_id: bytes) -> None:
    """Change one bit of a blob in each pack that holds it."""
    for pack in (*ground.data_packs, *ground.tree_packs):
        for blob in pack.blobs:
            if blob.id == blob_id:
                flip(ground.path(FileKind.PACK, pack.id), blob.offset + blob.length // 2)


def ground_of(argosy: Argosy) -> Ground:
    """The repository that a test's program works on."""
    repository = open_repository(open_storage(str(argosy.repository)), argosy.password.encode())
    return Ground(argosy.repository, repository)


def subtree_of(argosy: Argosy, where: str, name: str) -> bytes:
    """The id of the tree of a directory; ``where`` names the one above: SNAPSHOT:PATH."""
    nodes = json.loads(argosy.run("cat", "tree", where).stdout)["nodes"]
    return bytes.fromhex(next(node["subtree"] for node in nodes if node["name"] == name))


class Damage:
    """One kind of damage.

    ``found_by_reading``: only ``--read-data`` finds it. ``opens``: False where the repository cannot be opened now.
    ``restic_sees_it``: False where restic does not notice, or tries again for a quarter of an hour.
    """

    found_by_reading: ClassVar[bool] = False
    opens: ClassVar[bool] = True
    restic_sees_it: ClassVar[bool] = True

    def plant(self, ground: Ground) -> Planted:
        """Do it."""
        raise NotImplementedError


class _OfFile(Damage):
    """A file of a kind, flipped in the middle or cut."""

    kind: ClassVar[FileKind | None]
    action: ClassVar[Callable[[Path], None]]

    def plant(self, ground: Ground) -> Planted:
        if self.kind is None:
            type(self).action(ground.directory / "config")
            return Planted(("config",))
        identity = self.choose(ground)
        type(self).action(ground.path(self.kind, identity))
        return Planted((f"{self.kind.label} {identity.hex()[:8]}",))

    def choose(self, ground: Ground) -> bytes:
        """Which file."""
        assert self.kind is not None
        return ground.only(self.kind)


def _flip_middle(path: Path) -> None:
    flip(path, path.stat().st_size // 2)


def _flip_length(path: Path) -> None:
    flip(path, -4)


def _empty(path: Path) -> None:
    rewrite(path, b"")


def _grow(path: Path) -> None:
    rewrite(path, path.read_bytes() + b"\0")


class FlippedConfig(_OfFile):
    kind, action, opens = None, _flip_middle, False


class TruncatedConfig(_OfFile):
    kind, action, opens = None, cut, False


class FlippedKey(_OfFile):
    kind, action, opens = FileKind.KEY, _flip_middle, False


class TruncatedKey(_OfFile):
    kind, action, opens = FileKind.KEY, cut, False


class FlippedIndex(_OfFile):
    kind, action = FileKind.INDEX, _flip_middle


class TruncatedIndex(_OfFile):
    kind, action = FileKind.INDEX, cut


class FlippedSnapshot(_OfFile):
    kind, action = FileKind.SNAPSHOT, _flip_middle


class TruncatedSnapshot(_OfFile):
    kind, action = FileKind.SNAPSHOT, cut


class _OfLock(_OfFile):
    kind = FileKind.LOCK
    restic_sees_it = False

    def choose(self, ground: Ground) -> bytes:
        lock = LockFile(format_time(A_TIME_NS), False, "elsewhere", "somebody", 1)
        return ground.repository.save_unpacked(FileKind.LOCK, encode_lock(lock))


class FlippedLock(_OfLock):
    action = _flip_middle


class TruncatedLock(_OfLock):
    action = cut


class _OfPack(Damage):
    """The file of one data pack, or tree pack, changed."""

    trees: ClassVar[bool] = False
    action: ClassVar[Callable[[Path], None]]

    def plant(self, ground: Ground) -> Planted:
        pack = (ground.tree_packs if self.trees else ground.data_packs)[0]
        self.change(ground.path(FileKind.PACK, pack.id), pack)
        return Planted((f"pack {pack.id.hex()}",))

    def change(self, path: Path, pack: IndexedPack) -> None:
        """Change the file of ``pack``."""
        del pack
        type(self).action(path)


class FlippedDataBlob(_OfPack):
    """In the ciphertext of the first blob."""

    found_by_reading = True

    def change(self, path: Path, pack: IndexedPack) -> None:
        flip(path, pack.blobs[0].length // 2)


class FlippedPackHeader(_OfPack):
    found_by_reading = True

    def change(self, path: Path, pack: IndexedPack) -> None:
        flip(path, -(header_bytes(pack.blobs) // 2))


class FlippedPackLength(_OfPack):
    """In the last four bytes, which tell how long the header is."""

    found_by_reading = True

    action = _flip_length


class TruncatedPack(_OfPack):
    action = cut


class EmptyPack(_OfPack):
    action = _empty


class GrownPack(_OfPack):
    action = _grow


class MissingPack(_OfPack):
    action = Path.unlink


class FlippedTree(_OfPack):
    trees = True

    def change(self, path: Path, pack: IndexedPack) -> None:
        for blob in pack.blobs:
            flip(path, blob.offset + blob.length // 2)


class TruncatedTreePack(_OfPack):
    trees = True
    action = cut


class MissingTreePack(_OfPack):
    trees = True
    action = Path.unlink


class SwappedPacks(Damage):
    """Two packs that carry each other's names: every byte of both is sound."""

    def plant(self, ground: Ground) -> Planted:
        (one, other), directory = ground.data_packs[:2], ground.directory
        paths = [ground.path(FileKind.PACK, pack.id) for pack in (one, other)]
        contents = [path.read_bytes() for path in paths]
        assert len({len(content) for content in contents}) == 2, f"packs of {directory} would hide it by their sizes"
        for path, content in zip(paths, reversed(contents), strict=True):
            rewrite(path, content)
        return Planted((f"pack {one.id.hex()}",))


class MissingIndex(Damage):
    """An index is gone: its packs are there, and nobody knows."""

    def plant(self, ground: Ground) -> Planted:
        ground.path(FileKind.INDEX, ground.index_ids[0]).unlink()
        return Planted(("in no index",))


class WrongUncompressedLength(Damage):
    """The index tells another length of a blob's content than the pack's header."""

    found_by_reading = True

    def plant(self, ground: Ground) -> Planted:
        victim = ground.data_packs[0]

        def change(packs: list[IndexedPack]) -> list[IndexedPack]:
            return [IndexedPack(pack.id, _lengthened(pack.blobs)) if pack.id == victim.id else pack for pack in packs]

        ground.replace_index(change)
        return Planted((f"pack {victim.id.hex()}", "index"))


def _lengthened(blobs: Sequence[PackedBlob]) -> list[PackedBlob]:
    at = next(number for number, blob in enumerate(blobs) if blob.uncompressed_length)
    b = blobs[at]
    longer = PackedBlob(b.id, b.type, b.offset, b.length, b.uncompressed_length + 1)
    return [*blobs[:at], longer, *blobs[at + 1 :]]


class OverlappingIndex(Damage):
    """The index has two blobs of a pack at the same place."""

    restic_sees_it = False

    def plant(self, ground: Ground) -> Planted:
        victim = next(pack for pack in ground.data_packs if len(pack.blobs) > 1)

        def change(packs: list[IndexedPack]) -> list[IndexedPack]:
            first, second, *rest = victim.blobs
            moved = PackedBlob(second.id, second.type, 0, second.length, second.uncompressed_length)
            return [IndexedPack(p.id, [first, moved, *rest]) if p.id == victim.id else p for p in packs]

        index_id = ground.replace_index(change)
        return Planted((f"index {index_id.hex()}", f"pack {victim.id.hex()}", "overlap"))


class DifferingIndexes(Damage):
    """Two indexes that list one pack differently."""

    restic_sees_it = False

    def plant(self, ground: Ground) -> Planted:
        victim = ground.data_packs[0]
        other = [IndexedPack(victim.id, _lengthened(victim.blobs))]
        ground.repository.save_unpacked(FileKind.INDEX, encode_index(other))
        return Planted((f"pack {victim.id.hex()}", "differently"))


class _OfTree(Damage):
    """A snapshot of a tree that no sound program writes: ``tree`` are its bytes, ``words`` what is said of it."""

    tree: ClassVar[bytes]
    words: ClassVar[tuple[str, ...]] = ()

    def plant(self, ground: Ground) -> Planted:
        (tree_id,) = ground.store([self.tree])
        ground.save_snapshot_of(tree_id)
        return Planted((f"tree {tree_id.hex()}", *self.words))


def node(name: bytes, kind: str = "file", *, mode: int = 0o644) -> bytes:
    """The start of a node."""
    return encode_metadata(name, kind, mode, A_TIME_NS, A_TIME_NS, A_TIME_NS, 0, 0, "", "", 0, 0, 0, 1)


class UnsortedTree(_OfTree):
    restic_sees_it = False
    tree = encode_tree([finish_file(node(b"b"), []), finish_file(node(b"a"), [])])
    words = ('"a"', "out of order")


class DoubledName(_OfTree):
    restic_sees_it = False
    tree = encode_tree([finish_file(node(b"a"), []), finish_file(node(b"a"), [])])
    words = ('"a"', "two nodes")


class NameThatClimbs(_OfTree):
    """A file whose name leads out of its directory."""

    restic_sees_it = False
    tree = encode_tree([finish_file(node(b"../../etc/passwd"), [])])
    words = ("../../etc/passwd", "not the name of one file")


class ContentNull(_OfTree):
    """A file whose content is null, not a list."""

    tree = encode_tree([finish_other(node(b"null file"))])
    words = ('"null file"', "without a list of contents")


class DirectoryWithoutTree(_OfTree):
    tree = encode_tree([finish_other(node(b"bare", "dir", mode=1 << 31 | 0o755))])
    words = ('"bare"', "without a subtree")


class MissingSubtree(_OfTree):
    tree = encode_tree([finish_directory(node(b"gone", "dir", mode=1 << 31 | 0o755), b"\x11" * 32)])

    def plant(self, ground: Ground) -> Planted:
        super().plant(ground)
        return Planted((f'tree {"11" * 32} ("/gone")', "in no index"))


class MissingBlob(_OfTree):
    """A file that names a blob which no index lists."""

    tree = encode_tree([finish_file(node(b"hollow"), [b"\x22" * 32])])
    words = ('"hollow"', "22" * 32, "in no index")


class UnknownNodeType(_OfTree):
    tree = encode_tree([finish_other(node(b"odd", "irregular"))])
    words = ('"odd"', "irregular")


class NullBlobId(_OfTree):
    tree = encode_tree([finish_file(node(b"empty id"), [bytes(32)])])
    words = ('"empty id"', "an id of zeros")


class ImpossibleTime(_OfTree):
    tree = encode_tree([finish_file(node(b"late"), [])]).replace(b"2023-11-14", b"2023-13-14")
    words = ('"late"', "2023-13-14")


class CutTree(_OfTree):
    """A blob that is no tree at all."""

    tree = b'{"nodes":[{"name":"cut'


class WrongBlobHash(Damage):
    """A pack that is sound but for one blob, whose content was changed before it was sealed (faulty memory)."""

    found_by_reading = True

    def plant(self, ground: Ground) -> Planted:
        key = ground.repository.key
        sealer = Sealer(key, os.urandom)
        claimed = hashlib.sha256(b"what was read").digest()
        sealed = sealer.seal(b"what was written")
        blob = PackedBlob(claimed, BlobType.DATA, 0, len(sealed))
        data = sealed + encode_trailer([blob], sealer)
        pack_id = hashlib.sha256(data).digest()
        ground.repository.storage.put(object_name(FileKind.PACK, pack_id), data)
        ground.repository.save_unpacked(FileKind.INDEX, encode_index([IndexedPack(pack_id, [blob])]))
        (tree_id,) = ground.store([encode_tree([finish_file(node(b"altered"), [claimed])])])
        ground.save_snapshot_of(tree_id)
        return Planted((f"pack {pack_id.hex()}", claimed.hex()))


DAMAGES: tuple[type[Damage], ...] = (
    FlippedConfig,
    TruncatedConfig,
    FlippedKey,
    TruncatedKey,
    FlippedIndex,
    TruncatedIndex,
    FlippedSnapshot,
    TruncatedSnapshot,
    FlippedLock,
    TruncatedLock,
    FlippedDataBlob,
    FlippedPackHeader,
    FlippedPackLength,
    TruncatedPack,
    EmptyPack,
    GrownPack,
    MissingPack,
    FlippedTree,
    TruncatedTreePack,
    MissingTreePack,
    SwappedPacks,
    MissingIndex,
    WrongUncompressedLength,
    OverlappingIndex,
    DifferingIndexes,
    UnsortedTree,
    DoubledName,
    NameThatClimbs,
    ContentNull,
    DirectoryWithoutTree,
    MissingSubtree,
    MissingBlob,
    UnknownNodeType,
    NullBlobId,
    ImpossibleTime,
    CutTree,
    WrongBlobHash,
)


# What is no damage, and is told as a hint.


class UnindexedPack(Damage):
    """A pack that no index lists, as an interrupted backup leaves it."""

    def plant(self, ground: Ground) -> Planted:
        ground.store([b"nobody knows me"], BlobType.DATA, index=False)
        return Planted(("in no index",))


class PackListedTwice(Damage):
    """One pack in two indexes, alike."""

    def plant(self, ground: Ground) -> Planted:
        pack = ground.data_packs[0]
        ground.repository.save_unpacked(FileKind.INDEX, encode_index([pack]))
        return Planted((f"pack {pack.id.hex()}", "listed twice"))


class MixedPack(Damage):
    """A pack of a tree and data, as old versions wrote them."""

    def plant(self, ground: Ground) -> Planted:
        sealer = Sealer(ground.repository.key, os.urandom)
        contents = [(BlobType.DATA, b"data"), (BlobType.TREE, encode_tree([]))]
        parts: list[bytes] = []
        blobs: list[PackedBlob] = []
        for blob_type, content in contents:
            sealed = sealer.seal(content)
            identity = hashlib.sha256(content).digest()
            blobs.append(PackedBlob(identity, blob_type, sum(len(part) for part in parts), len(sealed)))
            parts.append(sealed)
        data = b"".join(parts) + encode_trailer(blobs, sealer)
        pack_id = hashlib.sha256(data).digest()
        ground.repository.storage.put(object_name(FileKind.PACK, pack_id), data)
        ground.repository.save_unpacked(FileKind.INDEX, encode_index([IndexedPack(pack_id, blobs)]))
        return Planted((f"pack {pack_id.hex()}", "trees and data"))


class StaleLock(Damage):
    """The lock of a process that is long gone."""

    def plant(self, ground: Ground) -> Planted:
        lock = LockFile(format_time(A_TIME_NS), False, "elsewhere", "somebody", 1)
        ground.repository.save_unpacked(FileKind.LOCK, encode_lock(lock))
        return Planted(("stale", "somebody on elsewhere"))


class ForeignFiles(Damage):
    """Files that are none of a repository's."""

    def plant(self, ground: Ground) -> Planted:
        for name in ("data/README", "index/.nfs0001", "snapshots/notes.txt", "data/ab/short"):
            path = ground.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(name))
        return Planted(())


HINTS: tuple[type[Damage], ...] = (UnindexedPack, PackListedTwice, MixedPack, ForeignFiles)


def copy_repository(directory: Path, target: Path) -> Path:
    """A repository to be damaged."""
    shutil.copytree(directory, target)
    return target
