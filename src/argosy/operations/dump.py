"""`argosy dump`: a file of a snapshot as it is, or a directory as an archive, streamed.

Each blob is verified by MAC, length and hash before a byte of it leaves. Damage ends the output with an error: what
left before is right, and is not all.
"""

from __future__ import annotations

import stat
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from enum import StrEnum
from typing import Protocol

import msgspec

from argosy.errors import SnapshotMissing
from argosy.operations.session import Access, open_session
from argosy.operations.tar_stream import DIRECTORY, FILE, SYMLINK, TarEntry, TarStream
from argosy.operations.tree_walk import load_nodes, subtree_of, walk_tree
from argosy.operations.zip_stream import ZipStream
from argosy.repository.blobs import BlobReader
from argosy.repository.snapshots import ALL_SNAPSHOTS, SnapshotFilter, find_subtree, resolve_snapshot
from argosy.restic_format.blob import BlobType
from argosy.restic_format.damage import damaged
from argosy.restic_format.node import Node

Write = Callable[[bytes], object]

# Blobs of a file that are read ahead of the one that is written.
_THREADS = 4
_AHEAD = 4
_TAR_KINDS = {"file": FILE, "symlink": SYMLINK, "dir": DIRECTORY}


class ArchiveFormat(StrEnum):
    """How a directory is written."""

    TAR = "tar"
    ZIP = "zip"


class DumpOptions(msgspec.Struct, frozen=True):
    """``snapshot``: the start of an id or ``latest``, with ``:PATH``, from where ``path`` then counts; "/" is all."""

    snapshot: str
    path: bytes
    wanted: SnapshotFilter = ALL_SNAPSHOTS
    archive: ArchiveFormat = ArchiveFormat.TAR


class DumpObserver(msgspec.Struct):
    """``output``: asked once, when it is known whether an archive comes, for what takes the bytes. ``left_out``: an
    entry that an archive does not hold (devices, sockets, pipes), with its type."""

    output: Callable[[bool], Write]
    left_out: Callable[[bytes, str], None] = lambda _path, _type: None


def run_dump(access: Access, options: DumpOptions, observer: DumpObserver) -> None:
    """Write the file or directory. SnapshotMissing if there is no such snapshot or path, or nothing to be written."""
    with open_session(access) as session, ThreadPoolExecutor(_THREADS, thread_name_prefix="dump") as threads:
        stored, subpath = resolve_snapshot(session.repository, options.snapshot, options.wanted)
        reader = session.blob_reader(session.open_lookup())
        contents = _Contents(reader, threads)
        tree_id = find_subtree(reader, stored.snapshot.tree, subpath)
        path, node = _find(reader, tree_id, options.path)
        if node is not None and node.type == "file":
            write = observer.output(False)
            for piece in contents.of(node, path):
                write(piece)
            return
        if node is not None:
            tree_id = _directory(node, path)
        archive = _ARCHIVES[options.archive](observer.output(True))
        for visit in walk_tree(reader, tree_id, path):
            if visit.left:
                continue
            if visit.node.type in _TAR_KINDS:
                archive.add(visit.path, visit.node, contents.of(visit.node, visit.path))
            else:
                observer.left_out(visit.path, visit.node.type)
        archive.finish()


def _find(reader: BlobReader, tree_id: bytes, path: bytes) -> tuple[bytes, Node | None]:
    """The node at ``path`` and the path without empty parts and dots; no node for the root."""
    parts: list[bytes] = []
    for part in path.split(b"/"):
        if part == b"..":
            del parts[-1:]
        elif part not in (b"", b"."):
            parts.append(part)
    node: Node | None = None
    for number, part in enumerate(parts):
        here = b"/" + b"/".join(parts[: number + 1])
        if node is not None:
            tree_id = _directory(node, b"/" + b"/".join(parts[:number]))
        node = next((found for found in load_nodes(reader, tree_id) if found.name_bytes() == part), None)
        if node is None:
            raise SnapshotMissing(
                f"the snapshot has no {_shown(here)}", hint="`argosy ls` shows what is in the snapshot."
            )
    return b"/" + b"/".join(parts), node


def _directory(node: Node, path: bytes) -> bytes:
    if node.type != "dir":
        raise SnapshotMissing(
            f"{_shown(path)} is a {node.type}, neither a file nor a directory"
            if node.type != "file"
            else f"{_shown(path)} is a file, not a directory",
            hint="`argosy ls -l` shows what is in the snapshot.",
        )
    return subtree_of(node, path)


class _Contents:
    """The contents of files, some blobs read ahead."""

    def __init__(self, reader: BlobReader, threads: ThreadPoolExecutor) -> None:
        self._reader = reader
        self._threads = threads

    def of(self, node: Node, path: bytes) -> Iterator[bytes]:
        """A file's content; nothing for anything else. Damaged if a blob is, or the sizes do not agree."""
        if node.type != "file":
            return
        size_bytes = 0
        for piece in self._blobs(node.content_ids()):
            size_bytes += len(piece)
            yield piece
        if size_bytes != node.size:
            raise damaged(_shown(path), f"its blobs hold {size_bytes} bytes, its node tells {node.size}")

    def _blobs(self, blob_ids: Sequence[bytes]) -> Iterator[bytes]:
        if len(blob_ids) == 1:
            yield self._load(blob_ids[0])
            return
        waiting: deque[Future[bytes]] = deque()
        try:
            for blob_id in blob_ids:
                waiting.append(self._threads.submit(self._load, blob_id))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def _load(self, blob_id: bytes) -> bytes:
        return self._reader.load_blob(blob_id, BlobType.DATA)


class _Archive(Protocol):
    """An archive that takes nodes."""

    def add(self, path: bytes, node: Node, contents: Iterator[bytes]) -> None:
        """Add the entry of a node."""

    def finish(self) -> None:
        """Write what comes last."""


class _Tar:
    def __init__(self, write: Write) -> None:
        self._stream = TarStream(write)

    def add(self, path: bytes, node: Node, contents: Iterator[bytes]) -> None:
        """See ``_Archive.add``."""
        name = path.lstrip(b"/") + (b"/" if node.type == "dir" else b"")
        entry = TarEntry(
            name,
            _TAR_KINDS[node.type],
            node.st_mode(),
            node.uid,
            node.gid,
            node.user,
            node.group,
            node.mtime_ns(),
            node.size if node.type == "file" else 0,
            node.linktarget_bytes() if node.type == "symlink" else b"",
            node.xattrs(),
        )
        self._stream.add(entry, contents)

    def finish(self) -> None:
        """See ``_Archive.finish``."""
        self._stream.finish()


class _Zip:
    def __init__(self, write: Write) -> None:
        self._stream = ZipStream(write)

    def add(self, path: bytes, node: Node, contents: Iterator[bytes]) -> None:
        """See ``_Archive.add``."""
        name = path.lstrip(b"/") + (b"/" if node.type == "dir" else b"")
        mode = node.st_mode()
        if node.type == "symlink":
            target = node.linktarget_bytes()
            self._stream.add(name, stat.S_IFLNK | stat.S_IMODE(mode), node.mtime_ns(), len(target), [target])
            return
        size_bytes = node.size if node.type == "file" else 0
        self._stream.add(name, mode, node.mtime_ns(), size_bytes, contents)

    def finish(self) -> None:
        """See ``_Archive.finish``."""
        self._stream.finish()


_ARCHIVES: dict[ArchiveFormat, Callable[[Write], _Archive]] = {ArchiveFormat.TAR: _Tar, ArchiveFormat.ZIP: _Zip}


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")
