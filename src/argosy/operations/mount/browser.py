"""Snapshots as one tree of files, read on demand. Thread-safe: any number of readers may ask at once.

Directories of snapshots are known by the ids of their trees, so what is remembered of them never becomes stale. The
failures are OSError where the question was wrong, ArgosyError where the repository could not answer.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import accumulate
from threading import Lock
from typing import NamedTuple

import msgspec

from argosy.errors import Damaged
from argosy.operations.mount.layout import Place
from argosy.operations.mount.listing import Listings
from argosy.operations.tree_walk import subtree_of
from argosy.repository.blobs import BlobReader
from argosy.repository.lookup import DedupLookup
from argosy.restic_format.blob import BlobType
from argosy.restic_format.damage import damaged
from argosy.restic_format.node import Node
from argosy.restorer.content import plain_length

_LISTINGS_BYTES = 256 * 1024 * 1024
_DIRECTORIES_KNOWN = 20_000
_PLACE_MODE = stat.S_IFDIR | 0o555
_LINK_MODE = stat.S_IFLNK | 0o777


class Attributes(NamedTuple):
    """What stat tells of an entry; times in nanoseconds since 1970."""

    mode: int
    inode: int
    links: int
    size: int
    uid: int
    gid: int
    device: int
    mtime_ns: int
    atime_ns: int
    ctime_ns: int


class _Entry(msgspec.Struct, frozen=True):
    """A place of the layout, or a node in the snapshot of which ``root`` is the tree."""

    path: bytes
    place: Place | None = None
    root: bytes = b""
    below: bytes = b""
    node: Node | None = None


class Browser:
    """Reads what is below the places that ``layout`` gives. ``owner``: uid and gid of all, else each entry its own."""

    def __init__(
        self,
        layout: Callable[[], Place],
        reader: BlobReader,
        lookup: DedupLookup,
        *,
        owner: tuple[int, int] | None = None,
    ) -> None:
        self._layout = layout
        self._reader = reader
        self._lookup = lookup
        self._owner = owner
        self._listings = Listings(lambda tree_id: reader.load_blob(tree_id, BlobType.TREE), _LISTINGS_BYTES)
        self._trees: OrderedDict[tuple[bytes, bytes], bytes] = OrderedDict()
        self._lock = Lock()
        self._loading: dict[bytes, Lock] = {}
        self._began_ns = time.time_ns()
        self._last: tuple[Place, _Entry] | None = None

    def attributes(self, path: bytes) -> Attributes:
        """What stat tells of it."""
        entry = self._entry(path)
        if entry.node is not None:
            return self._of_node(entry.node, entry.root, path)
        return self._of_place(entry.place, path)

    def entries(self, path: bytes, start: int) -> Iterator[tuple[bytes, Attributes | None]]:
        """Name and attributes of what is in a directory, from number ``start`` on, in one order.

        None for an entry that makes no sense: ``attributes`` says why, and the others are there all the same.
        """
        entry = self._entry(path)
        below = path.rstrip(b"/") + b"/"
        if entry.node is None and not _is_snapshot(entry.place):
            assert entry.place is not None
            for text in sorted(entry.place.names)[start:]:
                name = os.fsencode(text)
                yield name, self._of_place(entry.place.names[text], below + name)
            return
        listing = self._listings.get(self._tree(entry.root, entry.below))
        for position in range(start, len(listing)):
            name = listing.name(position)
            try:
                attributes = self._of_node(listing.at(position), entry.root, below + name)
            except Damaged:
                attributes = None
            yield name, attributes

    def link_target(self, path: bytes) -> bytes:
        """Where a symlink leads."""
        entry = self._entry(path)
        if entry.node is not None and entry.node.type == "symlink":
            return entry.node.linktarget_bytes()
        if entry.place is not None and entry.place.link:
            return os.fsencode(entry.place.link)
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def xattrs(self, path: bytes) -> dict[str, bytes]:
        """The extended attributes."""
        node = self._entry(path).node
        return dict(node.xattrs()) if node is not None else {}

    def open(self, path: bytes) -> OpenFile:
        """A file's content."""
        node = self._entry(path).node
        if node is None or node.type == "dir":
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        return OpenFile(node, self._length, self._load)

    def _entry(self, path: bytes) -> _Entry:
        """What is at a path. Several things are asked of an entry in a row, so the last one is remembered."""
        layout, last = self._layout(), self._last
        if last is not None and last[0] is layout and last[1].path == path:
            return last[1]
        entry = self._find(layout, path)
        self._last = layout, entry
        return entry

    def _find(self, place: Place, path: bytes) -> _Entry:
        parts = [part for part in path.split(b"/") if part]
        for number, part in enumerate(parts):
            if _is_snapshot(place):
                return self._entry_of_snapshot(path, place, parts[number:])
            found = place.names.get(os.fsdecode(part))
            if found is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            place = found
        snapshot = place.snapshot
        return _Entry(path, place, snapshot.snapshot.tree if snapshot is not None else b"")

    def _entry_of_snapshot(self, path: bytes, place: Place, parts: list[bytes]) -> _Entry:
        assert place.snapshot is not None
        root, below = place.snapshot.snapshot.tree, b"/".join(parts)
        node = self._listings.get(self._tree(root, b"/".join(parts[:-1]))).find(parts[-1])
        if node is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return _Entry(path, root=root, below=below, node=node)

    def _tree(self, root: bytes, directory: bytes) -> bytes:
        """The tree of a directory, "" being the root."""
        with self._lock:
            known = self._trees.get((root, directory))
        if known is not None or not directory:
            return known or root
        tree_id, path = root, b""
        for part in directory.split(b"/"):
            node = self._listings.get(tree_id).find(part)
            path = path + b"/" + part if path else part
            if node is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            if node.type != "dir":
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            tree_id = subtree_of(node, b"/" + path)
        with self._lock:
            self._trees[root, directory] = tree_id
            if len(self._trees) > _DIRECTORIES_KNOWN:
                self._trees.popitem(last=False)
        return tree_id

    def _of_node(self, node: Node, root: bytes, path: bytes) -> Attributes:
        uid, gid = self._owner or (node.uid, node.gid)
        mtime_ns = node.mtime_ns()
        return Attributes(
            _TYPES.get(node.type, stat.S_IFREG) | stat.S_IMODE(node.st_mode()),
            _inode(node, root, path),
            max(1, node.links),
            node.size if node.type != "symlink" else len(node.linktarget_bytes()),
            uid,
            gid,
            node.device,
            mtime_ns,
            mtime_ns if node.atime == node.mtime else node.atime_ns(),
            mtime_ns if node.ctime == node.mtime else node.ctime_ns(),
        )

    def _of_place(self, place: Place | None, path: bytes) -> Attributes:
        assert place is not None
        time_ns = place.snapshot.snapshot.time_ns() if place.snapshot is not None else self._began_ns
        uid, gid = self._owner or (os.getuid(), os.getgid())
        mode = _LINK_MODE if place.link else _PLACE_MODE
        return Attributes(mode, _number(path), 1, len(os.fsencode(place.link)), uid, gid, 0, time_ns, time_ns, time_ns)

    def _length(self, blob_id: bytes) -> int:
        places = self._lookup.find(blob_id, BlobType.DATA)
        if not places:
            raise damaged(f"blob {blob_id.hex()}", "it is in no index")
        return plain_length(places[0])

    def _load(self, blob_id: bytes) -> bytes:
        # Readers of one file ask for the same blob at the same time: one of them loads it.
        with self._loading.setdefault(blob_id, Lock()):
            try:
                return self._reader.load_blob(blob_id, BlobType.DATA)
            finally:
                self._loading.pop(blob_id, None)


class OpenFile:
    """The content of a file. Where its blobs lie is looked up at the first read; each is loaded when it is read."""

    def __init__(self, node: Node, length: Callable[[bytes], int], load: Callable[[bytes], bytes]) -> None:
        self._node = node
        self._length = length
        self._load = load
        self._ids: list[bytes] = []
        self._ends: list[int] | None = None
        self._lock = Lock()

    def read(self, offset: int, size: int) -> bytes:
        """These bytes, fewer at the end. Damaged if they cannot be had, or the file is not as long as it should be."""
        ends = self._measured()
        last = min(offset + size, self._node.size)
        parts = []
        number = bisect_right(ends, offset)
        while offset < last:
            start = ends[number - 1] if number else 0
            part = self._load(self._ids[number])[offset - start : last - start]
            parts.append(part)
            offset += len(part)
            number += 1
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _measured(self) -> list[int]:
        """Where each blob ends in the file."""
        with self._lock:
            if self._ends is None:
                self._ids = self._node.content_ids()
                ends = list(accumulate(self._length(blob_id) for blob_id in self._ids))
                if (ends[-1] if ends else 0) != self._node.size:
                    reason = f"its blobs hold {ends[-1] if ends else 0} bytes, its node tells {self._node.size}"
                    raise damaged(f"file {self._node.name!r}", reason)
                self._ends = ends
            return self._ends


def _is_snapshot(place: Place | None) -> bool:
    return place is not None and place.snapshot is not None and not place.link


_TYPES = {
    "file": stat.S_IFREG,
    "dir": stat.S_IFDIR,
    "symlink": stat.S_IFLNK,
    "dev": stat.S_IFBLK,
    "chardev": stat.S_IFCHR,
    "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
}


def _inode(node: Node, root: bytes, path: bytes) -> int:
    """One number for all names of a file in a snapshot, so that `cp -a` and `tar` keep hard links."""
    if node.links > 1 and node.inode and node.type != "dir":
        return _number(b"%b %d %d" % (root, node.device_id, node.inode))
    return _number(path)


def _number(text: bytes) -> int:
    """An inode number."""
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1 | 1
