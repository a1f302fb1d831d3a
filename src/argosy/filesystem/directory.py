"""Listing directories: every name as raw bytes with its lstat.

``list_directory`` is the scan's hot loop. Measured on tmpfs, Python 3.11, µs an entry with lstat
(directories of 100 and of 1,000 names agree): bytes ``scandir`` or ``listdir`` of /proc/self/fd/N and
``lstat`` by dir_fd 1.9; ``listdir(fd)`` with names encoded back 2.0; ``scandir(fd)`` with ``DirEntry.stat``
2.2 (2.4 by full path); bytes ``scandir`` of /proc/self/fd/N with ``DirEntry.stat``, which walks through
/proc each time, 4.3. The first is used, with ``scandir`` for names: it streams at the same price, so that
memory stays bounded. A named tuple adds 0.1.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from argosy.filesystem.reading import open_untouched
from argosy.filesystem.spill import SpilledEntries

# Above this many entries a directory is sorted on disk (about 70 MB of entries in memory).
SPILL_THRESHOLD = 100_000

_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_STEP_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
# The kernel's PATH_MAX is 4096 with the final NUL.
_LONGEST_PATH_BYTES = 4095


class Entry(NamedTuple):
    """One name of a directory and its lstat."""

    name: bytes
    stat: os.stat_result


class UnreadableEntry(msgspec.Struct, frozen=True):
    """A name whose lstat failed, and why."""

    name: bytes
    error: OSError


def open_directory(path: bytes) -> int:
    """A descriptor of the directory at ``path``, which may be longer than PATH_MAX.

    Symbolic links are followed on the way, as the user wrote them, but not at the last component (ELOOP or
    ENOTDIR).
    """
    # With a slash at its end a path names what a link points at, O_NOFOLLOW or not.
    path = path.rstrip(b"/") or b"/"
    if len(path) <= _LONGEST_PATH_BYTES:
        return open_untouched(path, _DIRECTORY_FLAGS)
    head, rest = _split_path(path)
    step_fd = os.open(head, _STEP_FLAGS)
    try:
        while len(rest) > _LONGEST_PATH_BYTES:
            head, rest = _split_path(rest)
            next_fd = os.open(head, _STEP_FLAGS, dir_fd=step_fd)
            os.close(step_fd)
            step_fd = next_fd
        return open_untouched(rest, _DIRECTORY_FLAGS, step_fd)
    finally:
        os.close(step_fd)


def _split_path(path: bytes) -> tuple[bytes, bytes]:
    """The longest head of whole components that the kernel takes, and a relative rest."""
    cut = path.rfind(b"/", 1, _LONGEST_PATH_BYTES)
    if cut < 0:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path)
    return path[:cut], path[cut:].lstrip(b"/")


def open_child(dir_fd: int, name: bytes) -> int:
    """A descriptor of the subdirectory ``name``; a symbolic link raises ENOTDIR."""
    return open_untouched(name, _DIRECTORY_FLAGS, dir_fd)


def open_below(root_fd: int, path: bytes) -> int:
    """A descriptor of the directory at the relative ``path`` below ``root_fd``; b"" is the root itself.

    No component may be a symbolic link (ENOTDIR), so that a directory swapped for one never leads out of
    the root.
    """
    names = [name for name in path.split(b"/") if name]
    if b".." in names:
        raise ValueError(f"the path {path!r} leads out of its root")
    if not names:
        return open_untouched(b".", _DIRECTORY_FLAGS, root_fd)
    step_fd = root_fd
    try:
        for name in names[:-1]:
            next_fd = os.open(name, _STEP_FLAGS | os.O_NOFOLLOW, dir_fd=step_fd)
            if step_fd != root_fd:
                os.close(step_fd)
            step_fd = next_fd
        return open_child(step_fd, names[-1])
    finally:
        if step_fd != root_fd:
            os.close(step_fd)


def list_directory(fd: int, unreadable: list[UnreadableEntry] | None = None) -> list[Entry]:
    """All entries of the directory, each name once, in no order.

    Names that vanish before their lstat are left out. Other failures of an lstat are appended to
    ``unreadable``, or raised where no list is given. A failure of the listing itself is raised (OSError).
    """
    with os.scandir(_proc_path(fd)) as listing:
        names = [item.name for item in listing]
    return stat_all(fd, names, unreadable)


def iter_directory_sorted(
    fd: int,
    spill_directory: Path,
    threshold: int = SPILL_THRESHOLD,
    unreadable: list[UnreadableEntry] | None = None,
) -> Iterator[Entry]:
    """All entries by raw name, each once, with memory for about ``threshold`` entries however many there are.

    Beyond the threshold, sorted runs go to a nameless file in ``spill_directory`` and are merged. The
    listing has ended when the first entry is yielded, so ``unreadable`` is whole by then (see
    ``list_directory``). Raises StateFull or StateError if the spill file cannot be written. Close the
    iterator if it is not read to its end.
    """
    with os.scandir(_proc_path(fd)) as listing:
        run = _sorted_run(fd, [item.name for item in islice(listing, threshold)], unreadable)
        following = [item.name for item in islice(listing, threshold)]
        if not following:
            yield from run
            return
        with closing(SpilledEntries(spill_directory)) as spilled:
            spilled.add_run(run)
            # The first run's memory is given back before the next is built.
            run = []
            while following:
                spilled.add_run(_sorted_run(fd, following, unreadable))
                following = [item.name for item in islice(listing, threshold)]
            for name, stat in spilled.merged():
                yield Entry(name, stat)


def _sorted_run(fd: int, names: list[bytes], unreadable: list[UnreadableEntry] | None) -> list[Entry]:
    names.sort()
    return stat_all(fd, names, unreadable)


def stat_all(fd: int, names: list[bytes], unreadable: list[UnreadableEntry] | None) -> list[Entry]:
    """Each of the names with its lstat, in their order; failures as ``list_directory`` has them."""
    if len(set(names)) != len(names):
        # readdir may return a file twice that is removed and made again meanwhile; a tree takes each name
        # once.
        names = list(dict.fromkeys(names))
    entries: list[Entry] = []
    append = entries.append
    lstat = os.lstat
    # Calling the base constructor spares the named tuple's own Python-level __new__ (0.2 µs an entry).
    new_tuple = tuple.__new__
    for name in names:
        try:
            append(new_tuple(Entry, (name, lstat(name, dir_fd=fd))))
        except FileNotFoundError:
            continue
        except OSError as error:
            if unreadable is None:
                raise
            unreadable.append(UnreadableEntry(name, error))
    return entries


def _proc_path(fd: int) -> bytes:
    """The open directory by a bytes path, without resolving its name again: listing it gives raw names."""
    return b"/proc/self/fd/%d" % fd
