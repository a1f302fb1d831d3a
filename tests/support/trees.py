"""Declared trees: a directory tree made from a nested dict, and the complete comparison of two trees.

    make_tree(path, {
        "plain": b"content",
        b"not utf-8 \\xff": b"",
        "dir": Directory({"inner": b"x"}, mode=0o750),
        "file": File(b"x", mode=0o4755, mtime_ns=1, xattrs={"user.a": b"1"}),
        "holes": File(size_bytes=1 << 30, parts={1 << 20: b"data"}),
        "link": Symlink("../anywhere"),
        "again": HardLink("dir/inner"),
        "pipe": Fifo(), "socket": Socket(), "null": Device("chardev", 1, 3),
    })

A plain dict is a directory, plain bytes are a file. Everything works relative to descriptors, so that trees
may be deeper than PATH_MAX and names any bytes.
"""

from __future__ import annotations

import hashlib
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pytest

_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class _Metadata:
    """What any entry may be given; None and empty leave what the system gives."""

    mode: int | None = None
    mtime_ns: int | None = None
    owner: tuple[int, int] | None = None
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class File(_Metadata):
    """A regular file: ``content``, then ``parts`` written at their offsets, then cut or stretched to ``size_bytes``."""

    content: bytes = b""
    parts: Mapping[int, bytes] = field(default_factory=dict)
    size_bytes: int | None = None


@dataclass(frozen=True)
class Directory(_Metadata):
    """A directory with metadata of its own."""

    entries: Mapping[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Symlink(_Metadata):
    """A symbolic link; its target need not exist."""

    target: str | bytes = ""


@dataclass(frozen=True)
class HardLink:
    """A further name of the entry at ``path``, relative to the tree; made once all else is there."""

    path: str | bytes


@dataclass(frozen=True)
class Fifo(_Metadata):
    """A named pipe."""


@dataclass(frozen=True)
class Socket(_Metadata):
    """A Unix socket, bound and closed again."""


@dataclass(frozen=True)
class Device(_Metadata):
    """A device node, ``kind`` "dev" or "chardev". Only root may make one: ``require_root`` first."""

    kind: str = "chardev"
    major: int = 1
    minor: int = 3


Tree = Mapping[Any, Any]


def require_root() -> None:
    """Skip the test unless it may make device nodes and give files away."""
    if os.geteuid() != 0:
        pytest.skip("device nodes and foreign owners take root")


def make_tree(path: Path | bytes, tree: Tree) -> None:
    """Make the directory ``path``, unless it exists, and the tree in it."""
    os.makedirs(path, exist_ok=True)
    links: list[tuple[bytes, bytes]] = []
    with _opened(os.fsencode(path)) as root:
        _make_entries(root, b"", tree, links)
        for place, source in links:
            with _parent(root, source) as (source_fd, name), _parent(root, place) as (place_fd, new_name):
                os.link(name, new_name, src_dir_fd=source_fd, dst_dir_fd=place_fd, follow_symlinks=False)
        _finish_directories(root, tree)


def snapshot_tree(path: Path | bytes, *, with_root: bool = False) -> dict[bytes, EntryState]:
    """All that can be told of each entry below ``path``, by its relative path; with the root itself as
    ``b"."``.
    """
    found: dict[bytes, EntryState] = {}
    inodes: dict[tuple[int, int], list[bytes]] = {}
    with _opened(os.fsencode(path)) as root:
        if with_root:
            found[b"."] = _state(root, b".")
        _walk(root, b"", found, inodes)
    for names in inodes.values():
        for name in names:
            found[name] = replace(found[name], links=tuple(sorted(names)))
    return found


def assert_same_tree(
    left: Path | bytes,
    right: Path | bytes,
    *,
    with_root: bool = False,
    holes: bool = False,
    ignore: frozenset[str] = frozenset(),
) -> None:
    """Fail with every difference of two trees: type, content, mode, owner, mtime, target, links, attributes.

    ``holes`` compares where files have holes too. ``ignore`` names fields of EntryState to leave out.
    """
    skipped = set(ignore) if holes else {"holes", *ignore}
    compared = [name for name in (f.name for f in fields(EntryState)) if name not in skipped]
    one, other = snapshot_tree(left, with_root=with_root), snapshot_tree(right, with_root=with_root)
    differences = [f"only in {os.fsdecode(left)}: {path!r}" for path in sorted(one.keys() - other.keys())]
    differences += [f"only in {os.fsdecode(right)}: {path!r}" for path in sorted(other.keys() - one.keys())]
    for path in sorted(one.keys() & other.keys()):
        for name in compared:
            a, b = getattr(one[path], name), getattr(other[path], name)
            if a != b:
                differences.append(f"{path!r}: {name} {a!r} != {b!r}")
    if differences:
        pytest.fail("the trees differ:\n" + "\n".join(differences[:50]), pytrace=False)


@dataclass(frozen=True)
class EntryState:
    """One entry as ``snapshot_tree`` finds it.

    ``links`` are all its names within the tree, where it has several; ``holes`` the (start, end) of its
    holes.
    """

    kind: str
    mode: int
    owner: tuple[int, int]
    mtime_ns: int
    size_bytes: int = 0
    sha256: str = ""
    target: bytes = b""
    device: int = 0
    xattrs: tuple[tuple[str, bytes], ...] = ()
    links: tuple[bytes, ...] = ()
    holes: tuple[tuple[int, int], ...] = ()


def _make_entries(directory: int, place: bytes, tree: Tree, links: list[tuple[bytes, bytes]]) -> None:
    for key, entry in tree.items():
        name = os.fsencode(key)
        if isinstance(entry, HardLink):
            links.append((place + name, os.fsencode(entry.path)))
            continue
        declared = _declared(entry)
        if isinstance(declared, Directory):
            os.mkdir(name, dir_fd=directory)
            with _opened(name, directory) as inner:
                _make_entries(inner, place + name + b"/", declared.entries, links)
        else:
            _make_leaf(directory, name, declared)
            _give_metadata(directory, name, declared)


def _finish_directories(directory: int, tree: Tree) -> None:
    """Deepest first: a directory's times hold once nothing more is made in it, its mode may then shut it."""
    for key, entry in tree.items():
        declared = None if isinstance(entry, HardLink) else _declared(entry)
        if isinstance(declared, Directory):
            name = os.fsencode(key)
            with _opened(name, directory) as inner:
                _finish_directories(inner, declared.entries)
            _give_metadata(directory, name, declared)


def _declared(entry: Any) -> _Metadata:
    if isinstance(entry, Mapping):
        return Directory(entry)
    if isinstance(entry, bytes):
        return File(entry)
    assert isinstance(entry, _Metadata), f"not an entry of a declared tree: {entry!r}"
    return entry


def _make_leaf(directory: int, name: bytes, entry: _Metadata) -> None:
    if isinstance(entry, File):
        _make_file(directory, name, entry)
    elif isinstance(entry, Symlink):
        os.symlink(os.fsencode(entry.target), name, dir_fd=directory)
    elif isinstance(entry, Fifo):
        os.mkfifo(name, dir_fd=directory)
    elif isinstance(entry, Socket):
        with socket.socket(socket.AF_UNIX) as unbound:
            # A socket's address is short: through the descriptor it does not depend on the tree's depth.
            unbound.bind(_proc_path(directory) + b"/" + name)
    else:
        assert isinstance(entry, Device)
        kind = stat.S_IFBLK if entry.kind == "dev" else stat.S_IFCHR
        os.mknod(name, kind | 0o600, os.makedev(entry.major, entry.minor), dir_fd=directory)


def _make_file(directory: int, name: bytes, entry: File) -> None:
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=directory)
    with open(fd, "wb") as file:
        file.write(entry.content)
        for offset, part in entry.parts.items():
            file.seek(offset)
            file.write(part)
        if entry.size_bytes is not None:
            file.truncate(entry.size_bytes)


def _give_metadata(directory: int, name: bytes, entry: _Metadata) -> None:
    path = _proc_path(directory) + b"/" + name
    if entry.owner is not None:
        os.chown(path, *entry.owner, follow_symlinks=False)
    for attribute, value in entry.xattrs.items():
        os.setxattr(path, attribute, value, follow_symlinks=False)
    if entry.mode is not None and not isinstance(entry, Symlink):
        os.chmod(path, entry.mode)
    if entry.mtime_ns is not None:
        os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)


def _walk(
    directory: int, place: bytes, found: dict[bytes, EntryState], inodes: dict[tuple[int, int], list[bytes]]
) -> None:
    for name in sorted(os.listdir(_proc_path(directory))):
        path = place + name
        found[path] = _state(directory, name)
        seen = os.lstat(name, dir_fd=directory)
        if stat.S_ISDIR(seen.st_mode):
            with _opened(name, directory) as inner:
                _walk(inner, path + b"/", found, inodes)
        elif seen.st_nlink > 1:
            inodes.setdefault((seen.st_dev, seen.st_ino), []).append(path)


def _state(directory: int, name: bytes) -> EntryState:
    seen = os.lstat(name, dir_fd=directory)
    path = _proc_path(directory) + b"/" + name
    names = sorted(os.listxattr(path, follow_symlinks=False))
    state = EntryState(
        kind=stat.filemode(seen.st_mode)[0],
        mode=stat.S_IMODE(seen.st_mode),
        owner=(seen.st_uid, seen.st_gid),
        mtime_ns=seen.st_mtime_ns,
        xattrs=tuple((a, os.getxattr(path, a, follow_symlinks=False)) for a in names),
    )
    if stat.S_ISREG(seen.st_mode):
        digest, holes = _content(directory, name, seen.st_size)
        return replace(state, size_bytes=seen.st_size, sha256=digest, holes=holes)
    if stat.S_ISLNK(seen.st_mode):
        return replace(state, target=os.readlink(name, dir_fd=directory))
    if stat.S_ISBLK(seen.st_mode) or stat.S_ISCHR(seen.st_mode):
        return replace(state, device=seen.st_rdev)
    return state


def _content(directory: int, name: bytes, size_bytes: int) -> tuple[str, tuple[tuple[int, int], ...]]:
    digest = hashlib.sha256()
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory)
    try:
        while block := os.read(fd, _BLOCK_BYTES):
            digest.update(block)
        holes = []
        position = 0
        while position < size_bytes:
            start = os.lseek(fd, position, os.SEEK_HOLE)
            if start >= size_bytes:
                break
            try:
                position = os.lseek(fd, start, os.SEEK_DATA)
            except OSError:  # ENXIO: no more data
                position = size_bytes
            holes.append((start, position))
        return digest.hexdigest(), tuple(holes)
    finally:
        os.close(fd)


@contextmanager
def _parent(root: int, path: bytes) -> Iterator[tuple[int, bytes]]:
    """The directory that holds ``path``, and the last name of the path."""
    first, separator, rest = path.partition(b"/")
    if not separator:
        yield root, first
    else:
        with _opened(first, root) as inner, _parent(inner, rest) as found:
            yield found


@contextmanager
def _opened(path: bytes, directory: int | None = None) -> Iterator[int]:
    fd = os.open(path, _DIRECTORY_FLAGS, dir_fd=directory)
    try:
        yield fd
    finally:
        os.close(fd)


def _proc_path(fd: int) -> bytes:
    return b"/proc/self/fd/%d" % fd
