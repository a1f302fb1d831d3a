"""Entries that workers could not take as they were scanned: the master looks again, and queues what is there now."""

from __future__ import annotations

import errno
import os
import stat as stat_module

from argosy.archiver.ledger import Ledger
from argosy.archiver.messages import SEGMENT_BYTES, DirectoryPart
from argosy.filesystem.directory import Entry, open_directory
from argosy.state.frontier import ScanDirectory

_MOST_TRIES = 5
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})

Look = os.stat_result | OSError


def look_again(path: bytes, name: bytes) -> Look:
    """The lstat of a directory's entry, or why there is none; the path may be longer than PATH_MAX."""
    try:
        fd = open_directory(path)
        try:
            return os.lstat(name, dir_fd=fd)
        finally:
            os.close(fd)
    except OSError as error:
        return error


def return_entry(ledger: Ledger, directory_id: int, path: bytes, name: bytes, seen: Look, tries: int) -> None:
    """Queue what is at ``name`` now (the mutex is held); its directory has an assembly and waits for one more result.

    ``tries`` counts how often this entry has come back before.
    """
    place = path + b"/" + name
    if isinstance(seen, OSError):
        if seen.errno in _GONE:
            ledger.state.count(vanished=1)
        else:
            ledger.reports.unread(place, seen.strerror or str(seen))
            ledger.state.count(unread=1)
    elif stat_module.S_ISSOCK(seen.st_mode):
        ledger.state.count(vanished=1)
    elif stat_module.S_ISDIR(seen.st_mode):
        ledger.assemblies.expect(directory_id, 1)
        ledger.frontier.add([ScanDirectory(ledger.frontier.new_id(), directory_id, name, place, None)])
    elif tries >= _MOST_TRIES:
        ledger.reports.unread(place, "it was replaced again and again while it was read")
        ledger.state.count(unread=1)
    elif stat_module.S_ISREG(seen.st_mode) and seen.st_size > SEGMENT_BYTES:
        directory = ScanDirectory(directory_id, 0, b"", path, None)
        ledger.seal_big_file(directory, Entry(name, seen), through=False)
    else:
        ledger.requeue_entries(part_of_one(directory_id, path, name, seen, tries), seen)


def part_of_one(directory_id: int, path: bytes, name: bytes, stat: os.stat_result, tries: int = 0) -> DirectoryPart:
    """A part of one entry, for a directory that has an assembly."""
    part = DirectoryPart(directory_id, 0, b"", path, b"", stat.st_dev, tries=tries)
    part.names, part.modes, part.inodes, part.sizes = [name], [stat.st_mode], [stat.st_ino], [stat.st_size]
    return part
