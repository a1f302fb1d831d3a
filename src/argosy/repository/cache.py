"""Sealed copies of small files and tree packs of a remote repository, on this machine's disk.

A copy is what the store holds, so it tells nothing without the key, and its reader verifies it as if it came
from the store. The cache is a convenience: where it cannot be read or written, the repository is used without
it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from argosy.errors import StateError

DEFAULT_LIMIT_BYTES = 8 * 1024 * 1024 * 1024
# Eviction lists the whole cache: it goes this far below the limit, so that it is rare.
_EVICT_TO = 0.8
# How often a process looks, while it adds as much as the limit, what others have added.
_LOOKS = 16
_TEMPORARY_MARK = ".tmp-"
_TOUCHED_KEPT = 100_000
_TAG = (
    b"Signature: 8a477f597d28d172789f06886806bc55\n"
    b"# This directory holds Argosy's caches; backups may skip it (https://bford.info/cachedir/).\n"
)


def repository_cache_directory(cache_directory: Path, repository_id: str) -> Path:
    """The directory of one repository's caches, made (private) if missing. StateError if it cannot be.

    Its mtime says when it was last asked for.
    """
    directory = cache_directory / repository_id
    tag = cache_directory / "CACHEDIR.TAG"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.utime(directory)
        if not tag.exists():
            tag.write_bytes(_TAG)
    except OSError as error:
        raise StateError(
            f"cannot write to the cache directory {cache_directory}: {error.strerror}",
            hint="Check its owner, mode and free space, or name another one with --cache-dir.",
        ) from error
    return directory


class SealedCache:
    """Copies of objects by their names in the store, the least recently used removed first. Thread-safe.

    They lie in ``objects/`` below ``directory``. Several processes may share it: each looks again how large it is after
    it has added a sixteenth of the limit, which so many sixteenths may exceed. It may be removed while it is in use.
    ``trouble`` says why nothing is written any more, if so.
    """

    def __init__(self, directory: Path, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self._directory = directory / "objects"
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._size_bytes = 0
        # What may be added before it is looked again how large the cache is.
        self._unseen_bytes = 0
        self._touched: set[str] = set()
        self.trouble = ""

    def get(self, name: str) -> bytes | None:
        """The whole copy, or None."""
        return self.get_range(name, 0, None)

    def get_range(self, name: str, offset: int, length: int | None) -> bytes | None:
        """``length`` bytes of the copy from ``offset`` (None: all), or None if it has not that many."""
        try:
            with open(self._path(name), "rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                wanted = size - offset if length is None else length
                data = os.pread(file.fileno(), wanted, offset)
        except OSError:
            return None
        self._touch(name)
        return data if len(data) == wanted else None

    def put(self, name: str, data: bytes) -> None:
        """Keep a copy. It need not survive a crash: a damaged one is found out and removed by its reader."""
        if self.trouble or len(data) > self._limit_bytes:
            return
        path = self._path(name)
        temporary = path.with_name(f"{path.name}{_TEMPORARY_MARK}{os.getpid()}-{threading.get_ident()}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.write_bytes(data)
            temporary.chmod(0o600)
            temporary.replace(path)
            self._account(len(data))
        except (FileNotFoundError, FileExistsError):
            # Someone removed the cache, or evicted what was not finished: this copy is not kept, the next may be.
            return
        except OSError as error:
            self.trouble = f"the cache in {self._directory} is not used: {error.strerror}"
            with suppress(OSError):
                temporary.unlink()

    def remove(self, name: str) -> None:
        """Forget a copy that proved damaged, or whose object is gone."""
        with suppress(OSError):
            self._path(name).unlink()

    def keep_only(self, prefix: str, names: Collection[str]) -> None:
        """Forget all copies below ``prefix`` ("snapshots/") whose objects are no longer in the store."""
        for path in self._files(self._directory / prefix):
            name = path.relative_to(self._directory).as_posix()
            # An unfinished copy belongs to a process that is about to rename it.
            if name not in names and _TEMPORARY_MARK not in name:
                self.remove(name)

    def _path(self, name: str) -> Path:
        return self._directory / name

    def _touch(self, name: str) -> None:
        """Note the use, once a process: mtime is what eviction goes by (atime is often switched off)."""
        if name not in self._touched:
            if len(self._touched) >= _TOUCHED_KEPT:
                self._touched.clear()
            self._touched.add(name)
            with suppress(OSError):
                os.utime(self._path(name))

    def _account(self, added_bytes: int) -> None:
        with self._lock:
            self._size_bytes += added_bytes
            self._unseen_bytes -= added_bytes
            if self._unseen_bytes < 0 or self._size_bytes > self._limit_bytes:
                self._evict()
                self._unseen_bytes = self._limit_bytes // _LOOKS

    def _inventory(self) -> list[tuple[int, int, Path]]:
        """Time of the last use, size and path of each copy."""
        found = []
        for path in self._files(self._directory):
            # Another process may have evicted it.
            with suppress(FileNotFoundError):
                status = path.stat()
                found.append((status.st_mtime_ns, status.st_size, path))
        return found

    def _evict(self) -> None:
        """Look how large the cache is, and remove what was used longest ago if that is too much."""
        found = self._inventory()
        self._size_bytes = sum(size for _, size, _ in found)
        if self._size_bytes <= self._limit_bytes:
            return
        for _, size, path in sorted(found):
            if self._size_bytes <= self._limit_bytes * _EVICT_TO:
                break
            path.unlink(missing_ok=True)
            self._size_bytes -= size

    @staticmethod
    def _files(directory: Path) -> Iterator[Path]:
        for parent, _, names in os.walk(directory):
            for name in names:
                yield Path(parent, name)
