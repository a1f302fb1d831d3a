"""File modes: Unix st_mode here, Go's fs.FileMode in a node's ``mode``."""

from __future__ import annotations

import stat
from functools import lru_cache

_PERMISSIONS = 0o777

# (Unix bit, Go bit)
_FLAGS = (
    (stat.S_ISUID, 1 << 23),
    (stat.S_ISGID, 1 << 22),
    (stat.S_ISVTX, 1 << 20),
)
_TYPES = {
    stat.S_IFREG: 0,
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
_UNIX_TYPES = {go: unix for unix, go in _TYPES.items()}
_TYPE_MASK = 1 << 31 | 1 << 27 | 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21


@lru_cache(maxsize=4096)
def mode_to_go(st_mode: int) -> int:
    """Go's mode for an st_mode: permissions, setuid, setgid, sticky and the file's type."""
    flags = sum(go for unix, go in _FLAGS if st_mode & unix)
    return st_mode & _PERMISSIONS | flags | _TYPES.get(stat.S_IFMT(st_mode), 0)


@lru_cache(maxsize=4096)
def go_to_mode(mode: int) -> int:
    """The st_mode, type included, for Go's mode. An unknown type counts as a regular file."""
    flags = sum(unix for unix, go in _FLAGS if mode & go)
    return mode & _PERMISSIONS | flags | _UNIX_TYPES.get(mode & _TYPE_MASK, stat.S_IFREG)
