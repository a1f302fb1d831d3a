"""`argosy cache`: the caches of repositories on this machine, and removing those that nobody used for long."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from argosy.errors import StateError
from argosy.restic_format.ids import ID_BYTES


class RepositoryCache(msgspec.Struct, frozen=True):
    """The cache of one repository: its id in hex, when it was last opened (Unix seconds), its size in bytes."""

    repository_id: str
    path: Path
    last_used: float
    size_bytes: int


def list_caches(cache_directory: Path, *, with_sizes: bool = True) -> list[RepositoryCache]:
    """All caches, the one used last first. Without ``with_sizes`` their files are not looked at, and sizes are 0."""
    try:
        directories = [entry for entry in os.scandir(cache_directory) if _is_cache(entry)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _trouble(cache_directory, error) from error
    found = [
        RepositoryCache(
            entry.name, Path(entry.path), entry.stat().st_mtime, _size_bytes(entry.path) if with_sizes else 0
        )
        for entry in directories
    ]
    return sorted(found, key=lambda cache: cache.last_used, reverse=True)


def remove_caches(caches: Sequence[RepositoryCache]) -> None:
    """Remove caches. A process that uses one goes on, and makes it anew next time. StateError if one cannot be."""
    for cache in caches:
        try:
            shutil.rmtree(cache.path)
        except FileNotFoundError:
            continue  # another process was quicker
        except OSError as error:
            raise _trouble(cache.path, error) from error


def _is_cache(entry: os.DirEntry[str]) -> bool:
    name = entry.name
    return len(name) == 2 * ID_BYTES and not set(name) - set("0123456789abcdef") and entry.is_dir(follow_symlinks=False)


def _size_bytes(directory: str) -> int:
    total = 0
    for where, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(where, name)).st_size
            except FileNotFoundError:
                continue  # removed meanwhile: caches are shared
    return total


def _trouble(path: Path, error: OSError) -> StateError:
    return StateError(f"the cache {path}: {error.strerror}", hint="Check its owner and mode.")
