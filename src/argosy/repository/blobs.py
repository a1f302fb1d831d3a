"""Loads blobs, each verified by MAC, length and hash before anyone sees it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol, TypeVar

from argosy.errors import ArgosyError, Damaged, StorageNotFound
from argosy.repository.blob_location import Location
from argosy.repository.encoder import EncodedBlob
from argosy.repository.layout import FileKind, object_name
from argosy.repository.repository import Repository
from argosy.repository.streamed_blob import HugeTree, StreamedBlob, TreeParts
from argosy.restic_format.blob import BlobType
from argosy.restic_format.damage import damaged

DEFAULT_MEMORY_BYTES = 64 * 1024 * 1024

# Two blobs of a pack are read with one request when what lies between them costs less than a request: a round
# trip of 20 ms at 50 MB/s remotely (restic's number), 10 µs of system call on a local disk.
_REMOTE_GAP_BYTES = 1024 * 1024
_LOCAL_GAP_BYTES = 32 * 1024
_RANGE_BYTES = 16 * 1024 * 1024
# A remote tree pack up to this size is fetched whole, since its other trees are wanted soon.
_WHOLE_PACK_BYTES = 32 * 1024 * 1024
# A larger tree is read in parts.
_WHOLE_TREE_BYTES = 4 * 1024 * 1024

Decoded = TypeVar("Decoded")


class BlobPlaces(Protocol):
    """What says where blobs are: the DedupLookup."""

    def find(self, blob_id: bytes, blob_type: int = ..., /) -> list[Location]:
        """Every place of a blob."""


class SealedRange(NamedTuple):
    """Bytes of a pack from ``start`` on, and the blobs that are wanted of them: their places there, and their ids."""

    start: int
    data: bytes
    blobs: list[tuple[Location, bytes]]


class BlobReader:
    """Loads blobs of a repository. Thread-safe; keeps up to about ``memory_bytes`` of what it read last."""

    def __init__(self, repository: Repository, places: BlobPlaces, *, memory_bytes: int = DEFAULT_MEMORY_BYTES) -> None:
        self._repository = repository
        self._storage = repository.storage
        self._places = places
        self._contents = _RecentBytes(memory_bytes // 2)
        self._packs = _RecentBytes(memory_bytes // 2)
        self._gap_bytes = _LOCAL_GAP_BYTES if self._storage.is_local else _REMOTE_GAP_BYTES
        self._fetching: dict[bytes, threading.Lock] = {}

    def load_blob(self, blob_id: bytes, blob_type: BlobType) -> bytes:
        """The content of a blob, from the first of its places that holds it undamaged.

        Damaged names the blob, and the pack if there is one. StorageUnavailable and other failures of the
        store leave as they are.
        """
        content = self._contents.get(_memory_key(blob_id, blob_type))
        return self._load_and_keep(blob_id, blob_type, self._find(blob_id, blob_type)) if content is None else content

    def load_sealed(self, blob_id: bytes, blob_type: BlobType) -> tuple[EncodedBlob, bytes]:
        """A blob as it stands in its pack, and its content, of which nothing is kept here. Errors as ``load_blob``."""
        return self._load_from_any(blob_id, blob_type, self._find(blob_id, blob_type))

    def open_sealed(self, blob: EncodedBlob) -> bytes:
        """The content of a blob that was loaded before, verified anew. Damaged if memory has changed it."""
        what = f"{_name(blob.type)} {blob.id.hex()}"
        return self._repository.blob_opener().open(blob.id, blob.sealed, blob.uncompressed_length, what)

    def load_tree(self, tree_id: bytes) -> TreeParts:
        """A tree, in parts if it is huge: trees that together hold its nodes, in order. Errors as ``load_blob``.

        It was verified as a whole when this returns. Memory goes by its sealed bytes, not by its document.
        """
        content = self._contents.get(_memory_key(tree_id, BlobType.TREE))
        if content is not None:
            return (content,)
        places = self._find(tree_id, BlobType.TREE)
        if _is_huge_tree(places[0], BlobType.TREE):
            return HugeTree(self._from_any(tree_id, BlobType.TREE, places, self._streamed))
        return (self._load_and_keep(tree_id, BlobType.TREE, places),)

    def load_trees(self, tree_ids: Iterable[bytes]) -> Iterator[tuple[bytes, TreeParts]]:
        """Each tree once, with its id, read as ``load_many`` reads; errors and memory as ``load_tree``."""
        for sealed_range in self.read_sealed(tree_ids, BlobType.TREE):
            if _is_huge_tree(sealed_range.blobs[0][0], BlobType.TREE):
                tree_id = sealed_range.blobs[0][1]
                yield tree_id, self.load_tree(tree_id)
                continue
            for blob, content in self._open_range(sealed_range, BlobType.TREE):
                yield blob.id, (content,)

    def load_many(self, blob_ids: Iterable[bytes], blob_type: BlobType) -> Iterator[tuple[bytes, bytes]]:
        """Each blob once, with its id, in the order of packs and offsets. Errors as ``load_blob``.

        Neighbours in a pack are read together; no more than one range of about 16 MiB is in memory at a time.
        """
        for blob, content in self._load_in_order(blob_ids, blob_type):
            yield blob.id, content

    def load_encoded(self, blob_ids: Iterable[bytes], blob_type: BlobType) -> Iterator[EncodedBlob]:
        """As ``load_many``, but sealed as they stand in their packs, to go into others; verified as well."""
        for blob, _ in self._load_in_order(blob_ids, blob_type):
            yield blob

    def _load_and_keep(self, blob_id: bytes, blob_type: BlobType, places: list[Location]) -> bytes:
        _, content = self._load_from_any(blob_id, blob_type, places)
        self._contents.put(_memory_key(blob_id, blob_type), content)
        return content

    def _find(self, blob_id: bytes, blob_type: BlobType) -> list[Location]:
        places = self._places.find(blob_id, blob_type)
        if not places:
            raise Damaged(
                f"{_name(blob_type)} {blob_id.hex()} is in no index",
                hint="Run `argosy check` to see what else is missing; a new backup may bring it back.",
            )
        return places

    def read_sealed(self, blob_ids: Iterable[bytes], blob_type: BlobType) -> Iterator[SealedRange]:
        """The bytes that hold each blob once, as they are stored, in the order of packs and offsets.

        Errors as ``load_blob``, but for a range that is not there, or not whole: that is empty. So is that of a huge
        tree, which is to be read by itself.
        """
        by_pack: dict[bytes, list[tuple[Location, bytes]]] = {}
        for blob_id in dict.fromkeys(blob_ids):
            place = self._find(blob_id, blob_type)[0]
            by_pack.setdefault(place.pack_id, []).append((place, blob_id))
        for wanted in by_pack.values():
            wanted.sort(key=lambda item: item[0].offset)
            for group in self._ranges(wanted, blob_type):
                yield self._read_range(group, blob_type)

    def _load_in_order(self, blob_ids: Iterable[bytes], blob_type: BlobType) -> Iterator[tuple[EncodedBlob, bytes]]:
        for sealed_range in self.read_sealed(blob_ids, blob_type):
            yield from self._open_range(sealed_range, blob_type)

    def _ranges(
        self, wanted: list[tuple[Location, bytes]], blob_type: BlobType
    ) -> Iterator[list[tuple[Location, bytes]]]:
        """Blobs of one pack, by offset, in groups to be read with one request each. A huge tree is one by itself."""
        group: list[tuple[Location, bytes]] = []
        for item in wanted:
            place = item[0]
            if _is_huge_tree(place, blob_type):
                yield [item]
                continue
            if group:
                first, last = group[0][0], group[-1][0]
                gap_bytes = place.offset - (last.offset + last.length)
                if gap_bytes > self._gap_bytes or place.offset + place.length - first.offset > _RANGE_BYTES:
                    yield group
                    group = []
            group.append(item)
        if group:
            yield group

    def _read_range(self, group: list[tuple[Location, bytes]], blob_type: BlobType) -> SealedRange:
        start = group[0][0].offset
        length = max(place.offset + place.length for place, _ in group) - start
        if _is_huge_tree(group[0][0], blob_type):
            return SealedRange(start, b"", group)
        try:
            data = self._read(Location(group[0][0].pack_id, start, length, 0), blob_type)
        except (Damaged, StorageNotFound):
            data = b""  # each blob is then looked for on its own, at its other places too
        return SealedRange(start, data, group)

    def _open_range(self, sealed_range: SealedRange, blob_type: BlobType) -> Iterator[tuple[EncodedBlob, bytes]]:
        start, data = sealed_range.start, memoryview(sealed_range.data)
        for place, blob_id in sealed_range.blobs:
            sealed = data[place.offset - start : place.offset - start + place.length]
            try:
                content = self._decode(blob_id, place, blob_type, sealed)
                yield EncodedBlob(blob_id, blob_type, bytes(sealed), place.uncompressed_length), content
            except Damaged:
                yield self._load_from_any(blob_id, blob_type, self._find(blob_id, blob_type))

    def _load_from_any(self, blob_id: bytes, blob_type: BlobType, places: list[Location]) -> tuple[EncodedBlob, bytes]:
        return self._from_any(blob_id, blob_type, places, self._encoded)

    def _from_any(
        self,
        blob_id: bytes,
        blob_type: BlobType,
        places: list[Location],
        decode: Callable[[bytes, Location, BlobType, bytes], Decoded],
    ) -> Decoded:
        failure: ArgosyError | None = None
        for place in places:
            # Twice from each: the fault may lie in the cached copy, or have happened on the way.
            for fresh in (False, True):
                try:
                    return decode(blob_id, place, blob_type, self._read(place, blob_type, fresh=fresh))
                except (Damaged, StorageNotFound) as error:
                    failure = error
        raise damaged(_what(blob_id, places[-1], blob_type), f"it cannot be read ({failure})") from failure

    def _encoded(
        self, blob_id: bytes, place: Location, blob_type: BlobType, sealed: bytes
    ) -> tuple[EncodedBlob, bytes]:
        content = self._decode(blob_id, place, blob_type, sealed)
        return EncodedBlob(blob_id, blob_type, sealed, place.uncompressed_length), content

    def _streamed(self, blob_id: bytes, place: Location, blob_type: BlobType, sealed: bytes) -> StreamedBlob:
        what = _what(blob_id, place, blob_type)
        return StreamedBlob(self._repository.opener(), blob_id, sealed, place.uncompressed_length, what)

    def _decode(self, blob_id: bytes, place: Location, blob_type: BlobType, sealed: bytes | memoryview) -> bytes:
        what = _what(blob_id, place, blob_type)
        return self._repository.blob_opener().open(blob_id, sealed, place.uncompressed_length, what)

    def _read(self, place: Location, blob_type: BlobType, *, fresh: bool = False) -> bytes:
        """The bytes of a place; ``fresh``: from the store itself."""
        name = object_name(FileKind.PACK, place.pack_id)
        if blob_type != BlobType.TREE or self._storage.is_local:
            return self._storage.get_range(name, place.offset, place.length)
        if fresh:
            self._packs.remove(place.pack_id)
            if self._repository.cache is not None:
                self._repository.cache.remove(name)
            return self._storage.get_range(name, place.offset, place.length)
        return self._read_of_tree_pack(place, name)

    def _read_of_tree_pack(self, place: Location, name: str) -> bytes:
        if (data := self._read_kept(place, name)) is not None:
            return data
        with self._fetching.setdefault(place.pack_id, threading.Lock()):
            try:
                data = self._read_kept(place, name)
                return self._fetch_tree_pack(place, name) if data is None else data
            finally:
                self._fetching.pop(place.pack_id, None)

    def _read_kept(self, place: Location, name: str) -> bytes | None:
        """The bytes of a place from the whole pack, kept in memory or on this machine's disk."""
        pack = self._packs.get(place.pack_id)
        if pack is not None:
            return pack[place.offset : place.offset + place.length]
        cache = self._repository.cache
        return cache.get_range(name, place.offset, place.length) if cache is not None else None

    def _fetch_tree_pack(self, place: Location, name: str) -> bytes:
        if self._storage.size(name) > _WHOLE_PACK_BYTES:
            return self._storage.get_range(name, place.offset, place.length)
        pack = self._storage.get(name)
        cache = self._repository.cache
        if cache is not None and not cache.trouble:
            cache.put(name, pack)
        else:
            self._packs.put(place.pack_id, pack)
        return pack[place.offset : place.offset + place.length]


class _RecentBytes:
    """Bytes by key, the least recently used dropped beyond a limit. Thread-safe."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self._items: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes) -> bytes | None:
        with self._lock:
            data = self._items.get(key)
            if data is not None:
                self._items.move_to_end(key)
            return data

    def put(self, key: bytes, data: bytes) -> None:
        if len(data) > self._limit_bytes:
            return
        with self._lock:
            if key in self._items:
                return
            self._items[key] = data
            self._size_bytes += len(data)
            while self._size_bytes > self._limit_bytes:
                _, dropped = self._items.popitem(last=False)
                self._size_bytes -= len(dropped)

    def remove(self, key: bytes) -> None:
        with self._lock:
            self._size_bytes -= len(self._items.pop(key, b""))


def _memory_key(blob_id: bytes, blob_type: BlobType) -> bytes:
    return bytes((blob_type,)) + blob_id


def _what(blob_id: bytes, place: Location, blob_type: BlobType) -> str:
    return f"{_name(blob_type)} {blob_id.hex()} in pack {place.pack_id.hex()}"


def _name(blob_type: BlobType) -> str:
    return "tree" if blob_type == BlobType.TREE else "blob"


def _is_huge_tree(place: Location, blob_type: BlobType) -> bool:
    return blob_type == BlobType.TREE and (place.uncompressed_length or place.length) > _WHOLE_TREE_BYTES
