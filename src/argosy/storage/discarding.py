"""A store that reads as usual and writes nothing: for dry runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from argosy.storage.interface import Buffer, ObjectInfo, Storage


class DiscardingStorage:
    """See ``Storage``; every write succeeds and leaves no trace."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.location = storage.location
        self.is_local = storage.is_local

    def get(self, name: str) -> bytes:
        """See ``Storage.get``."""
        return self._storage.get(name)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """See ``Storage.get_range``."""
        return self._storage.get_range(name, offset, length)

    def size(self, name: str) -> int:
        """See ``Storage.size``."""
        return self._storage.size(name)

    def put(self, name: str, data: Buffer, *, create: bool = False) -> None:
        """Write nothing."""

    def put_file(self, name: str, path: Path) -> None:
        """Write nothing."""

    def delete(self, name: str) -> None:
        """Delete nothing."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``Storage.list``."""
        return self._storage.list(prefix)

    def unfinished(self, before_ns: int) -> Iterator[ObjectInfo]:
        """None: nobody may delete it here."""
        del before_ns
        return iter(())

    def local_path(self, name: str) -> Path | None:
        """See ``Storage.local_path``."""
        return self._storage.local_path(name)

    def close(self) -> None:
        """See ``Storage.close``."""
        self._storage.close()
