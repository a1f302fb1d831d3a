"""A store in memory, and one class for each way in which a store can fail its user."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from argosy.errors import (
    StorageDenied,
    StorageError,
    StorageExists,
    StorageFull,
    StorageNotFound,
    StorageUnavailable,
)
from argosy.storage.interface import Buffer, ObjectInfo, too_short

_GATE_LOOK_SECONDS = 0.02


class MemoryStorage:
    """A faultless store that lives as long as the object; ``objects`` may be looked at and changed."""

    is_local = False
    location = "memory:"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def local_path(self, name: str) -> Path | None:
        del name
        return None

    def get(self, name: str) -> bytes:
        return self._read(name)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        data = self._read(name)[offset : offset + length]
        if len(data) != length:
            raise too_short(f"{self.location}{name}", offset, length, len(data))
        return data

    def size(self, name: str) -> int:
        return len(self._read(name))

    def put(self, name: str, data: Buffer, *, create: bool = False) -> None:
        with self._lock:
            if create and name in self.objects:
                raise StorageExists(f"{self.location}{name} exists already")
            self.objects[name] = bytes(data)

    def put_file(self, name: str, path: Path) -> None:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}") from error
        self.put(name, data)

    def delete(self, name: str) -> None:
        with self._lock:
            self.objects.pop(name, None)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        for name, data in sorted(self.objects.copy().items()):
            if name.startswith(prefix):
                yield ObjectInfo(name, len(data))

    def unfinished(self, before_ns: int) -> Iterator[ObjectInfo]:
        del before_ns
        return iter(())

    def close(self) -> None:
        pass

    def _read(self, name: str) -> bytes:
        try:
            return self.objects[name]
        except KeyError:
            raise StorageNotFound(f"{self.location}{name} does not exist") from None


class FullStorage(MemoryStorage):
    """Has room for so many bytes, and no more."""

    def __init__(self, room_bytes: int) -> None:
        super().__init__()
        self.room_bytes = room_bytes

    def put(self, name: str, data: Buffer, *, create: bool = False) -> None:
        used = sum(len(held) for other, held in self.objects.items() if other != name)
        if used + len(data) > self.room_bytes:
            raise StorageFull(f"{self.location}{name}: no space left")
        super().put(name, data, create=create)


class TruncatingStorage(MemoryStorage):
    """Loses the end of what is put below ``prefix``, and says that all is well."""

    def __init__(self, prefix: str = "data/", lost_bytes: int = 1) -> None:
        super().__init__()
        self._prefix = prefix
        self._lost_bytes = lost_bytes

    def put(self, name: str, data: Buffer, *, create: bool = False) -> None:
        kept = len(data) - self._lost_bytes if name.startswith(self._prefix) else len(data)
        super().put(name, data[: max(0, kept)], create=create)


class FlippingStorage(MemoryStorage):
    """Flips one bit in the middle of every object below ``prefix`` as it is read; the stored bytes stay."""

    def __init__(self, prefix: str = "data/") -> None:
        super().__init__()
        self._prefix = prefix

    def _read(self, name: str) -> bytes:
        data = bytearray(super()._read(name))
        if data and name.startswith(self._prefix):
            data[len(data) // 2] ^= 1
        return bytes(data)


class LostWritesStorage(MemoryStorage):
    """Says that what is put below ``prefix`` is durable, and does not keep it."""

    def __init__(self, prefix: str = "data/") -> None:
        super().__init__()
        self._prefix = prefix

    def put(self, name: str, data: Buffer, *, create: bool = False) -> None:
        if not name.startswith(self._prefix):
            super().put(name, data, create=create)


class ReadOnlyStorage(MemoryStorage):
    """Refuses to write and to delete, as with credentials for reading."""

    def put(self, name: str, data: Buffer, *, create: bool = False) -> None:
        del data, create
        raise StorageDenied(f"{self.location}{name}: access refused")

    def delete(self, name: str) -> None:
        raise StorageDenied(f"{self.location}{name}: access refused")


class AppendOnlyStorage(MemoryStorage):
    """Takes new objects, and refuses to delete any but locks, as an append-only server does."""

    def delete(self, name: str) -> None:
        if not name.startswith("locks/"):
            raise StorageDenied(f"{self.location}{name}: access refused")
        super().delete(name)


class UnavailableStorage(MemoryStorage):
    """Answers nothing while ``down`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False

    def put(self, name: str, data: Buffer, *, create: bool = False) -> None:
        self._answer(name)
        super().put(name, data, create=create)

    def delete(self, name: str) -> None:
        self._answer(name)
        super().delete(name)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self._answer(prefix)
        yield from super().list(prefix)

    def _read(self, name: str) -> bytes:
        self._answer(name)
        return super()._read(name)

    def _answer(self, name: str) -> None:
        if self.down:
            raise StorageUnavailable(f"{self.location}{name}: no answer")


class Died(BaseException):
    """The death of the process, as far as the code under test can tell: no ``except Exception`` stops it."""


class DyingBeforePut(MemoryStorage):
    """The process dies at the ``put_number``-th put (from 1) below ``prefix``, before anything is stored."""

    def __init__(self, put_number: int, prefix: str = "") -> None:
        super().__init__()
        self.puts_left = put_number
        self._prefix = prefix

    def put(self, name: str, data: Buffer, *, create: bool = False) -> None:
        if self._is_last(name):
            raise Died(name)
        super().put(name, data, create=create)

    def _is_last(self, name: str) -> bool:
        with self._lock:
            self.puts_left -= name.startswith(self._prefix)
            return self.puts_left == 0 and name.startswith(self._prefix)


class DyingAfterPut(DyingBeforePut):
    """The process dies at a put that has just become durable."""

    def put(self, name: str, data: Buffer, *, create: bool = False) -> None:
        last = self._is_last(name)
        MemoryStorage.put(self, name, data, create=create)
        if last:
            raise Died(name)


class StaleListStorage(MemoryStorage):
    """Lists what was there when ``settle`` was last called, as an eventually consistent store does."""

    def __init__(self) -> None:
        super().__init__()
        self._listed: dict[str, bytes] = {}

    def settle(self) -> None:
        """Let the listings catch up."""
        self._listed = self.objects.copy()

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        for name, data in sorted(self._listed.items()):
            if name.startswith(prefix):
                yield ObjectInfo(name, len(data))


class GatedStorage(MemoryStorage):
    """Holds every put below ``prefix`` until ``gate`` is set, or ``let_one_pass``; ``arrived`` counts up for each."""

    def __init__(self, prefix: str = "data/") -> None:
        super().__init__()
        self.gate = threading.Event()
        self.arrived = threading.Semaphore(0)
        self._prefix = prefix
        self._passes = threading.Semaphore(0)

    def let_one_pass(self) -> None:
        """Let one of those that wait go on, whichever."""
        self._passes.release()

    def put(self, name: str, data: Buffer, *, create: bool = False) -> None:
        if name.startswith(self._prefix):
            self.arrived.release()
            while not self.gate.wait(_GATE_LOOK_SECONDS) and not self._passes.acquire(blocking=False):
                pass
        super().put(name, data, create=create)


class RecordingStorage(MemoryStorage):
    """Notes every call as (verb, name), in order: for tests of how often and in which order."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, str]] = []

    def get(self, name: str) -> bytes:
        self.calls.append(("get", name))
        return super().get(name)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        self.calls.append(("get_range", name))
        return super().get_range(name, offset, length)

    def put(self, name: str, data: Buffer, *, create: bool = False) -> None:
        self.calls.append(("create" if create else "put", name))
        super().put(name, data, create=create)

    def delete(self, name: str) -> None:
        self.calls.append(("delete", name))
        super().delete(name)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self.calls.append(("list", prefix))
        return super().list(prefix)
