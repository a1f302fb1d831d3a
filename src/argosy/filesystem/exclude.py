"""What a backup leaves out: patterns, large files, tagged directories, storage snapshots.

``ExcludeRules.select`` judges a whole directory at once and is what the scan calls; ``excluded`` judges one
path. Whether rules apply to the roots of a backup is the caller's: restic 0.18 lets them, 0.19 keeps what
was named.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from argosy.errors import UsageError
from argosy.filesystem.directory import Entry
from argosy.filesystem.patterns import PatternList
from argosy.filesystem.text_lists import expand_variables, listed_patterns

# Directories in which file servers show earlier states of the share: NetApp, EMC and others, ZFS, Synology.
SNAPSHOT_DIRECTORIES = frozenset({b".snapshot", b"~snapshot", b".zfs", b"@eaDir"})

_UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_SIZE = re.compile(r"([+-]?[0-9]+)([bkmgt]?)", re.IGNORECASE)


class TagRule(msgspec.Struct, frozen=True):
    """--exclude-if-present: a directory that holds ``name``, starting with ``header``, keeps nothing but that."""

    name: bytes
    header: bytes = b""


# --exclude-caches; the signature is the Cache Directory Tagging Specification's,
# https://bford.info/cachedir/.
CACHE_TAG = TagRule(b"CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55")


class Selection(msgspec.Struct):
    """What the rules made of a directory.

    ``snapshot_directories`` are the names skipped because storage snapshots lie there; they do not count in
    ``excluded``. ``warnings`` are sentences for the user.
    """

    kept: Sequence[Entry]
    excluded: int = 0
    snapshot_directories: list[bytes] = msgspec.field(default_factory=list)
    warnings: list[str] = msgspec.field(default_factory=list)


def parse_tag_rule(spec: bytes) -> TagRule:
    """Parse ``NAME[:HEADER]``. Raises UsageError where the name is empty."""
    name, _, header = spec.partition(b":")
    if not name:
        raise UsageError(
            f"--exclude-if-present: no file name in {os.fsdecode(spec)!r}", hint="Write NAME or NAME:HEADER."
        )
    return TagRule(name, header)


def parse_size(text: str) -> int:
    """A size in bytes: digits and one of the suffixes b, k, m, g, t in either case, in powers of 1024.

    Raises UsageError for anything else, a negative size, and one of 2**63 or more.
    """
    found = _SIZE.fullmatch(text)
    size_bytes = int(found[1]) * _UNITS[found[2].lower()] if found else -1
    if not 0 <= size_bytes < 2**63:
        raise UsageError(f"invalid size: {text!r}", hint="Write a number and, if needed, one of k, M, G, T: 512M.")
    return size_bytes


def read_pattern_file(data: bytes, environment: Mapping[bytes, bytes]) -> list[bytes]:
    """The patterns of an --exclude-file: a line each, trimmed, comments left out, variables replaced."""
    return [expand_variables(line, environment) for line in listed_patterns(data)]


class GivenRules(msgspec.Struct, frozen=True):
    """What rules were made of: plain values, to make them again elsewhere with ``ExcludeRules.of``."""

    patterns: tuple[bytes, ...]
    insensitive_patterns: tuple[bytes, ...]
    paths: tuple[bytes, ...]
    tags: tuple[TagRule, ...]
    larger_than_bytes: int | None


class ExcludeRules:
    """The rules of one backup. Thread-safe.

    ``paths`` are absolute paths left out with all below them, taken literally. Raises UsageError for a
    malformed pattern.
    """

    def __init__(
        self,
        patterns: Iterable[bytes] = (),
        insensitive_patterns: Iterable[bytes] = (),
        *,
        paths: Iterable[bytes] = (),
        tags: Iterable[TagRule] = (),
        larger_than_bytes: int | None = None,
        snapshot_directories: frozenset[bytes] = SNAPSHOT_DIRECTORIES,
    ) -> None:
        self.given = GivenRules(
            tuple(patterns), tuple(insensitive_patterns), tuple(paths), tuple(tags), larger_than_bytes
        )
        patterns, insensitive_patterns, paths = self.given.patterns, self.given.insensitive_patterns, self.given.paths
        lists = (PatternList(insensitive_patterns, ignore_case=True), PatternList(patterns))
        self._lists = tuple(patterns for patterns in lists if patterns)
        self._paths = frozenset(path.rstrip(b"/") for path in paths)
        self._tags = self.given.tags
        self._larger_than_bytes = larger_than_bytes
        self._snapshot_directories = snapshot_directories

    @classmethod
    def of(cls, given: GivenRules, *, more_paths: Iterable[bytes] = ()) -> ExcludeRules:
        """The same rules again; ``more_paths`` are left out besides."""
        return cls(
            given.patterns,
            given.insensitive_patterns,
            paths=(*given.paths, *more_paths),
            tags=given.tags,
            larger_than_bytes=given.larger_than_bytes,
        )

    def excluded(self, path: bytes, is_dir: bool) -> bool:
        """Whether patterns, literal paths or the name of a snapshot directory leave out an absolute path."""
        if is_dir and path.rpartition(b"/")[2] in self._snapshot_directories:
            return True
        if self._paths and any(path == skipped or path.startswith(skipped + b"/") for skipped in self._paths):
            return True
        return any(patterns.matches(path) for patterns in self._lists)

    @property
    def larger_than_bytes(self) -> int | None:
        """Files above this size are left out."""
        return self._larger_than_bytes

    def may_leave_out(self, directory: bytes, directory_fd: int, names: Callable[[], list[bytes]]) -> bool:
        """Whether a tag, pattern or literal path may concern an entry of the directory.

        Where none does, ``select`` leaves out only directories of the storage's snapshots and files that are too large,
        so that nobody else need be shown to it. ``names`` gives all names, sorted; it is asked only if there are rules.
        """
        try:
            if any(_exists(directory_fd, tag.name) for tag in self._tags):
                return True
        except OSError:
            return True
        if not (self._lists or self._paths):
            return False
        listed = names()
        if any(patterns.matching_names(directory, listed) for patterns in self._lists):
            return True
        start = directory.rstrip(b"/") + b"/"
        return any(path.startswith(start) for path in self._paths)

    def select(self, directory: bytes, directory_fd: int, entries: Sequence[Entry]) -> Selection:
        """Judge the entries of a directory that is itself not left out; ``directory`` is its absolute path."""
        selection = Selection(entries)
        self._drop_snapshot_directories(selection)
        if self._tags:
            self._drop_tagged(selection, directory, directory_fd)
        if self._lists or self._paths:
            self._drop_matching(selection, directory)
        limit = self._larger_than_bytes
        if limit is not None:
            _keep(
                selection,
                [e for e in selection.kept if e.stat.st_size <= limit or stat.S_ISDIR(e.stat.st_mode)],
            )
        return selection

    def _drop_snapshot_directories(self, selection: Selection) -> None:
        names = self._snapshot_directories
        found = [e.name for e in selection.kept if e[0] in names and stat.S_ISDIR(e.stat.st_mode)]
        if found:
            selection.snapshot_directories = found
            selection.kept = [entry for entry in selection.kept if entry.name not in found]

    def _drop_matching(self, selection: Selection, directory: bytes) -> None:
        names = [entry.name for entry in selection.kept]
        dropped: set[bytes] = set()
        for patterns in self._lists:
            dropped |= patterns.matching_names(directory, names)
        if self._paths:
            start = directory.rstrip(b"/") + b"/"
            dropped.update(name for name in names if start + name in self._paths)
        if dropped:
            _keep(selection, [entry for entry in selection.kept if entry.name not in dropped])

    def _drop_tagged(self, selection: Selection, directory: bytes, directory_fd: int) -> None:
        for tag in self._tags:
            if _is_tagged(directory_fd, tag, directory, selection.warnings):
                _keep(selection, [entry for entry in selection.kept if entry.name == tag.name])


def _keep(selection: Selection, kept: Sequence[Entry]) -> None:
    selection.excluded += len(selection.kept) - len(kept)
    selection.kept = kept


def _is_tagged(directory_fd: int, tag: TagRule, directory: bytes, warnings: list[str]) -> bool:
    """Whether the directory bears the tag. A tag that cannot be read, or has another header, is none: it warns."""
    place = os.fsdecode(directory.rstrip(b"/") + b"/" + tag.name)
    try:
        if not _exists(directory_fd, tag.name):
            return False
        found = _read_header(directory_fd, tag)
    except OSError as error:
        warnings.append(f"the exclusion tag {place} cannot be read: {error.strerror}")
        return False
    if found != tag.header:
        warnings.append(f"the exclusion tag {place} does not start with the header asked for; nothing is excluded")
        return False
    return True


def _exists(directory_fd: int, name: bytes) -> bool:
    try:
        os.lstat(name, dir_fd=directory_fd)
    except FileNotFoundError:
        return False
    return True


def _read_header(directory_fd: int, tag: TagRule) -> bytes:
    if not tag.header:
        return b""
    # A link is followed, as restic does; a fifo must not block.
    fd = os.open(tag.name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory_fd)
    try:
        return os.read(fd, len(tag.header))
    finally:
        os.close(fd)
