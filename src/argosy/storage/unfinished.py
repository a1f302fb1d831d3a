"""Finds what killed writers left in a repository's directory.

A writer that dies before its object has its name leaves a file ``<name>-tmp-<random>``, restic's with digits, Argosy's
with hexadecimal ones: up to the size of a pack, shown by no listing. Somebody is going to delete what is found here,
so the whole name must be one that the two give, at a place where they write; whatever else lies there is the user's.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress

from argosy.storage.interface import ObjectInfo
from argosy.storage.local import TEMPORARY_MARK

_FLAT = ("index", "keys", "locks", "snapshots")
_SPREAD = re.compile("[0-9a-f]{2}")
_UNFINISHED = re.compile(rf"(config|(data/[0-9a-f]{{2}}|{'|'.join(_FLAT)})/[0-9a-f]{{64}}){TEMPORARY_MARK}[0-9a-f]+")


def find_unfinished(root: str, before_ns: int) -> Iterator[ObjectInfo]:
    """See ``Storage.unfinished``. Raises what the operating system says."""
    for prefix in _prefixes(root):
        for entry in _entries(f"{root}/{prefix}"):
            name = f"{prefix}{entry.name}"
            if _UNFINISHED.fullmatch(name) is None:
                continue
            # It may vanish between the listing and its stat: its writer lives, and has given it its name.
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode) and status.st_mtime_ns < before_ns:
                    yield ObjectInfo(name, status.st_size)


def _prefixes(root: str) -> Iterator[str]:
    """Where objects are written. A directory that is a link is followed, as writers do."""
    yield ""
    yield from (f"{name}/" for name in _FLAT)
    for entry in _entries(f"{root}/data"):
        if _SPREAD.fullmatch(entry.name):
            yield f"data/{entry.name}/"


def _entries(directory: str) -> Iterator[os.DirEntry[str]]:
    """What is in it; nothing if it is missing or no directory."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
        yield from entries
