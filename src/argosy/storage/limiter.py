"""A store that keeps to a rate, whatever is below it.

The rate holds on average: a request is sent when everything before it has been paid for, and then runs at the
line's own speed. It holds for one process; whoever starts several divides it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from argosy.storage.interface import Buffer, ObjectInfo, Storage


class TokenBucket:
    """Spreads bytes over time: ``take`` returns when all taken before has had its time. Safe for threads."""

    def __init__(
        self,
        bytes_per_second: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bytes_per_second = bytes_per_second
        self._clock = clock
        self._sleep = sleep
        self._free_at = 0.0
        self._lock = threading.Lock()

    def take(self, length: int) -> None:
        """Wait for the turn of ``length`` bytes."""
        wait_seconds = self.charge(length)
        if wait_seconds > 0:
            self._sleep(wait_seconds)

    def charge(self, length: int) -> float:
        """Count ``length`` bytes, and return the seconds until their turn, without waiting."""
        if not self._bytes_per_second:
            return 0.0
        with self._lock:
            now = self._clock()
            turn = max(now, self._free_at)
            self._free_at = turn + length / self._bytes_per_second
        return turn - now


class LimitedStorage:
    """Another store, with its rate of upload and download limited; 0 is no limit."""

    def __init__(
        self,
        storage: Storage,
        *,
        upload_bytes_per_second: int = 0,
        download_bytes_per_second: int = 0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._storage = storage
        self._upload = TokenBucket(upload_bytes_per_second, clock=clock, sleep=sleep)
        self._download = TokenBucket(download_bytes_per_second, clock=clock, sleep=sleep)

    @property
    def location(self) -> str:
        """The limited store's location."""
        return self._storage.location

    @property
    def is_local(self) -> bool:
        """Whether the limited store is local."""
        return self._storage.is_local

    def local_path(self, name: str) -> Path | None:
        """None: a direct read of the file would go past the limit."""
        del name
        return None

    def get(self, name: str) -> bytes:
        """The whole object. Its size is known afterwards only: it delays the next request, not this one."""
        self._download.take(0)
        data = self._storage.get(name)
        self._download.charge(len(data))
        return data

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset``, when it is their turn."""
        self._download.take(length)
        return self._storage.get_range(name, offset, length)

    def size(self, name: str) -> int:
        """The object's size; not limited."""
        return self._storage.size(name)

    def put(self, name: str, data: Buffer, *, create: bool = False) -> None:
        """Store an object, when it is its turn."""
        self._upload.take(len(data))
        self._storage.put(name, data, create=create)

    def put_file(self, name: str, path: Path) -> None:
        """Store a local file's bytes, when it is their turn."""
        with suppress(OSError):  # the store itself says what is wrong with the file
            self._upload.take(path.stat().st_size)
        self._storage.put_file(name, path)

    def delete(self, name: str) -> None:
        """Remove an object; not limited."""
        self._storage.delete(name)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects below ``prefix``; not limited."""
        return self._storage.list(prefix)

    def unfinished(self, before_ns: int) -> Iterator[ObjectInfo]:
        """What killed writers left; not limited."""
        return self._storage.unfinished(before_ns)

    def close(self) -> None:
        """Close the limited store."""
        self._storage.close()
