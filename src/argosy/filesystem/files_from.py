"""What to back up, from lists: --files-from, --files-from-verbatim, --files-from-raw.

Each function takes the list's content (a file's or standard input's) and returns paths as raw bytes, in the
list's order. Relative paths and patterns are meant from the working directory.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat

from argosy.errors import UsageError
from argosy.filesystem.glob_syntax import WILDCARDS, BadPattern, parse_component
from argosy.filesystem.text_lists import listed_patterns, text_lines


def paths_from_patterns(data: bytes, unmatched: list[bytes]) -> list[bytes]:
    """--files-from: a pattern a line, expanded; empty lines and comments are left out.

    A pattern without a match is appended to ``unmatched``. Raises UsageError for a malformed one.
    """
    paths: list[bytes] = []
    for pattern in listed_patterns(data):
        found = expand_glob(pattern)
        paths += found
        if not found:
            unmatched.append(pattern)
    return paths


def paths_verbatim(data: bytes) -> list[bytes]:
    """--files-from-verbatim: a path a line, taken as it stands, spaces and ``#`` too; empty lines are left out."""
    return [line for line in text_lines(data) if line]


def paths_raw(data: bytes) -> list[bytes]:
    """--files-from-raw: paths that each end with a NUL byte. Raises UsageError for an empty or unfinished path."""
    if not data:
        return []
    *paths, rest = data.split(b"\0")
    if rest:
        raise UsageError(
            "--files-from-raw: the zero byte behind the last path is missing",
            hint="End every path with a zero byte, as `find -print0` does.",
        )
    if b"" in paths:
        raise UsageError(
            "--files-from-raw: the list holds an empty path",
            hint="Remove the second of two zero bytes in a row.",
        )
    return paths


def expand_glob(pattern: bytes) -> list[bytes]:
    """The paths that exist and match, sorted within each directory: Go's filepath.Glob.

    A component is as in ``glob_syntax``; there is no ``**``. Directories that cannot be read hold no match.
    Raises UsageError for a malformed pattern.
    """
    if not _has_wildcard(pattern):
        return [pattern] if os.path.lexists(pattern) else []
    directory, _, name = pattern.rpartition(b"/")
    try:
        matches = re.compile(parse_component(name).expression, re.DOTALL).fullmatch
    except BadPattern:
        raise UsageError(
            f"invalid pattern: {os.fsdecode(pattern)}",
            hint='Close each "[", or list the path in a file for --files-from-verbatim.',
        ) from None
    if directory == b"":
        directory = b"/" if pattern.startswith(b"/") else b"."
    parents = expand_glob(directory) if _has_wildcard(directory) else [directory]
    return [
        posixpath.normpath(posixpath.join(parent, found))
        for parent in parents
        for found in _sorted_names(parent)
        if matches(found)
    ]


def _has_wildcard(pattern: bytes) -> bool:
    return any(byte in WILDCARDS for byte in pattern)


def _sorted_names(directory: bytes) -> list[bytes]:
    try:
        if not stat.S_ISDIR(os.stat(directory).st_mode):
            return []
        return sorted(os.listdir(directory))
    except OSError:
        return []  # filepath.Glob's promise: what cannot be read does not match
