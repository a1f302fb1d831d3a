"""What a machine sees of a job's source and repository, and whether two machines see the same (R10).

Of the source a sample is compared: the roots and some entries below each. Of the repository it is the locks: a job
holds one whose name is drawn at random and anew every few minutes, so that a copy or another repository cannot show
it. Of a restore's target it is a file that the master makes there (``target_sight``).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import msgspec

from argosy.daemon.target_sight import TargetProbe
from argosy.errors import SourceError

ENTRIES_A_ROOT = 16


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A source entry as one machine sees it. ``size_bytes`` is 0 for all but regular files."""

    path: bytes
    uid: int
    gid: int
    mode: int
    inode: int
    size_bytes: int
    mtime_ns: int
    xattrs: list[bytes]


class Sight(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What one machine sees. ``locks`` are the names of the repository's locks; ``target`` is a restore's."""

    entries: list[Entry]
    locks: list[str]
    target: TargetProbe | None = None


def sample_paths(roots: Iterable[bytes]) -> list[bytes]:
    """The roots, and the first few entries of each by name."""
    paths: list[bytes] = []
    for root in roots:
        paths.append(root)
        try:
            with os.scandir(root) as listing:
                names = sorted(entry.name for entry in islice(listing, 20 * ENTRIES_A_ROOT))
        except OSError:
            # A file, or a directory that cannot be listed: the root itself says enough.
            continue
        paths += [os.path.join(root, name) for name in names[:ENTRIES_A_ROOT]]
    return paths


def look_at(paths: Iterable[bytes], here: Callable[[bytes], bytes] = lambda path: path) -> list[Entry]:
    """The entries at these paths, looked at where ``here`` says; one that is not there is left out."""
    entries: list[Entry] = []
    for path in paths:
        try:
            found = os.lstat(here(path))
            xattrs = sorted(map(os.fsencode, os.listxattr(here(path), follow_symlinks=False)))
        except OSError:
            continue
        size = found.st_size if stat.S_ISREG(found.st_mode) else 0
        entries.append(
            Entry(path, found.st_uid, found.st_gid, found.st_mode, found.st_ino, size, found.st_mtime_ns, xattrs)
        )
    return entries


def first_difference(theirs: Sight, ours: Sight) -> str:
    """In what our sight differs from theirs, in words; empty if it does not."""
    if missing := sorted(set(theirs.locks) - set(ours.locks)):
        return f"the repository here lacks the job's lock {missing[0][:8]}: it is another one, or a copy"
    seen = {entry.path: entry for entry in ours.entries}
    for entry in theirs.entries:
        name = os.fsdecode(entry.path)
        if entry.path not in seen:
            return f"{name} is not there, or cannot be read"
        if difference := _field_that_differs(entry, seen[entry.path]):
            return f"{name} has another {difference}"
    return ""


def refusal(member: str, difference: str) -> SourceError:
    """The error for a machine that sees something else."""
    return SourceError(
        f"{member} does not see what the master sees: {difference}",
        hint="Mount the same share and repository under the same paths, with the same rights, and start it again.",
    )


def _field_that_differs(theirs: Entry, ours: Entry) -> str:
    named: Sequence[tuple[str, object, object]] = (
        ("owner", theirs.uid, ours.uid),
        ("group", theirs.gid, ours.gid),
        ("type or mode", theirs.mode, ours.mode),
        ("inode", theirs.inode, ours.inode),
        ("size", theirs.size_bytes, ours.size_bytes),
        ("time of change", theirs.mtime_ns, ours.mtime_ns),
        ("set of extended attributes", theirs.xattrs, ours.xattrs),
    )
    return next((name for name, one, other in named if one != other), "")
