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
from contextlib import suppress
from itertools import accumulate
from threading import Lock
from typing import NamedTuple

import msgspec

from argosy.errors import Damaged
from argosy.operations.mount.layout import Place
from argosy.operations.mount.listing import Listing, Listings
from argosy.operations.tree_walk import subtree_of
from argosy.repository.blobs import BlobReader
from argosy.repository.lookup import DedupLookup
from argosy.restic_format.blob import BlobType
from argosy.restic_format.damage import damaged
from argosy.restic_format.node import Node

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


class _Inside(msgspec.Struct, frozen=True):
    """A directory of the snapshot of which ``root`` is the tree: at ``path`` in the mount, at ``below`` in it."""

    path: bytes
    root: bytes
    below: bytes
    listing: Listing


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
        self._listings = Listings(reader.load_tree, _LISTINGS_BYTES)
        self._trees: OrderedDict[tuple[bytes, bytes], bytes] = OrderedDict()
        self._lock = Lock()
        self._loading: dict[bytes, Lock] = {}
        self._began_ns = time.time_ns()
        self._last: tuple[Place, _Entry] | None = None
        self._last_inside: tuple[Place, _Inside] | None = None

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
        for name, node in listing.entries(start):
            attributes = None
            if node is not None:
                with suppress(Damaged):
                    attributes = self._of_node(node, entry.root, below + name)
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
        directory, name = _split(path)
        inside = self._inside(self._layout(), directory)
        if inside is None or not inside.listing.may_have_attributes(name):
            return {}
        node = self._entry(path).node
        return dict(node.xattrs()) if node is not None else {}

    def has_attributes_beside(self, path: bytes) -> bool:
        """Whether an entry of its directory may have extended attributes; False only if all are known to have none."""
        inside = self._inside(self._layout(), _split(path)[0])
        return inside is None or inside.listing.has_attributes

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

    def _find(self, layout: Place, path: bytes) -> _Entry:
        directory, name = _split(path)
        inside = self._inside(layout, directory) if name else None
        if inside is None:
            place = _place(layout, path)
            if place is None:
                raise _missing()
            return _Entry(path, place, place.snapshot.snapshot.tree if place.snapshot is not None else b"")
        node = inside.listing.find(name)
        if node is None:
            raise _missing()
        return _Entry(path, root=inside.root, below=inside.below + b"/" + name if inside.below else name, node=node)

    def _inside(self, layout: Place, directory: bytes) -> _Inside | None:
        """A directory of a snapshot, None if it is none. The last one is remembered: entries are asked for in a row."""
        last = self._last_inside
        if last is not None and last[0] is layout and last[1].path == directory:
            return last[1]
        place, parts = layout, [part for part in directory.split(b"/") if part]
        for number in range(len(parts) + 1):
            if _is_snapshot(place):
                assert place.snapshot is not None
                root, below = place.snapshot.snapshot.tree, b"/".join(parts[number:])
                inside = _Inside(directory, root, below, self._listings.get(self._tree(root, below)))
                self._last_inside = layout, inside
                return inside
            following = place.names.get(os.fsdecode(parts[number])) if number < len(parts) else None
            if following is None:
                return None
            place = following
        return None

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
                raise _missing()
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
        return places[0].plaintext_bytes

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


def _split(path: bytes) -> tuple[bytes, bytes]:
    directory, _, name = path.rstrip(b"/").rpartition(b"/")
    return directory, name


def _place(place: Place, path: bytes) -> Place | None:
    """The place at a path of the layout."""
    for part in path.split(b"/"):
        following = place.names.get(os.fsdecode(part)) if part else place
        if following is None:
            return None
        place = following
    return place


def _missing() -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


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
