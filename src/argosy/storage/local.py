"""A repository in a directory, written as restic's local backend does (DESIGN.md R11).

An object is written to ``<name>-tmp-<random>`` beside its place, fsynced, renamed (or linked, so that an
existing name stays), and its directory is fsynced. Directories are made on demand, and are durable before the
first object below them is said to be. Files are read-only, 0400, directories 0700; where the repository's
config can be read by its group, so can everything else, as in restic.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
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
from argosy.storage.location import Location
from argosy.storage.open_files import OpenFiles, read_from

# restic's own mark for unfinished files; both programs ignore such names in a listing.
TEMPORARY_MARK = "-tmp-"

_READ = os.O_RDONLY | os.O_CLOEXEC
_WRITE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC

_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_GONE = frozenset({errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENODEV})
# What file systems without fsync (some FUSE and CIFS mounts) and without hard links (FAT, some FUSE) answer.
_NO_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP})
_NO_LINK = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})


class LocalStorage:
    """The objects below a directory. The directory itself is made with the first ``put``."""

    is_local = True

    def __init__(self, root: str | Path) -> None:
        self._root = os.path.abspath(root)
        self.location = str(Location("local", path=self._root))
        self._open_files = OpenFiles(lambda name: os.open(self._path(name), _READ))
        self._lock = threading.Lock()
        self._durable: set[str] = set()
        self._group_access: bool | None = None

    def local_path(self, name: str) -> Path | None:
        """The object's path, whether it is there or not."""
        return Path(self._path(name))

    def get(self, name: str) -> bytes:
        """The whole object."""
        try:
            fd = os.open(self._path(name), _READ)
            try:
                return read_from(fd, 0, os.fstat(fd).st_size)
            finally:
                os.close(fd)
        except OSError as error:
            raise self._translated(error, name) from error

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset``; Damaged if the object ends before.

        The file stays open for further ranges: after another process removed it, its bytes may still be read.
        """
        try:
            data = self._open_files.get(name).read(offset, length)
        except OSError as error:
            raise self._translated(error, name) from error
        if len(data) != length:
            raise too_short(f"{self.location}/{name}", offset, length, len(data))
        return data

    def size(self, name: str) -> int:
        """The object's size in bytes."""
        try:
            return os.stat(self._path(name)).st_size
        except OSError as error:
            raise self._translated(error, name) from error

    def put(self, name: str, data: Buffer, *, create: bool = False) -> None:
        """Store an object durably. An existing one is replaced by a rename, or kept if ``create``."""
        self._write(name, lambda fd: _write_all(fd, data), create=create)

    def put_file(self, name: str, path: Path) -> None:
        """Store a local file's bytes; the kernel copies them."""
        try:
            source = os.open(path, _READ)
        except OSError as error:
            hint = "Check the file and its mode."
            raise StorageError(f"cannot read {path}: {error.strerror}", hint=hint) from error
        try:
            self._write(name, lambda fd: _copy(source, fd), create=False)
        finally:
            os.close(source)

    def delete(self, name: str) -> None:
        """Remove an object; durable outside "data/", a missing one is fine."""
        path = self._path(name)
        try:
            with suppress(FileNotFoundError):
                os.unlink(path)
                if not name.startswith("data/"):
                    _sync_directory(os.path.dirname(path))
        except OSError as error:
            raise self._translated(error, name) from error
        self._open_files.forget(name)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects below ``prefix``; unfinished files are left out."""
        try:
            yield from self._list(prefix)
        except OSError as error:
            raise self._translated(error, prefix) from error

    def unfinished(self, before_ns: int) -> Iterator[ObjectInfo]:
        """The files of killed writers, by the time of their last change."""
        # Only a prune asks.
        from argosy.storage.unfinished import find_unfinished

        try:
            yield from find_unfinished(self._root, before_ns)
        except OSError as error:
            raise _translate(error, self.location) from error

    def close(self) -> None:
        """Close the files kept open for reading."""
        self._open_files.clear()

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        try:
            entries = os.scandir(self._path(prefix))
        except FileNotFoundError:
            return
        with entries:
            for entry in entries:
                if entry.is_dir():
                    yield from self._list(f"{prefix}{entry.name}/")
                elif TEMPORARY_MARK not in entry.name:
                    # An entry may vanish between the listing and its stat: another process deleted it.
                    with suppress(FileNotFoundError):
                        status = entry.stat()
                        if stat.S_ISREG(status.st_mode):
                            yield ObjectInfo(f"{prefix}{entry.name}", status.st_size)

    def _write(self, name: str, write: Callable[[int], None], *, create: bool) -> None:
        path = self._path(name)
        try:
            directory = path[: path.rindex("/")]
            if directory not in self._durable:
                self._prepare(directory)
            self._write_and_publish(path, write, create=create)
            _sync_directory(directory)
        except OSError as error:
            raise self._translated(error, name) from error
        finally:
            self._open_files.forget(name)

    def _write_and_publish(self, path: str, write: Callable[[int], None], *, create: bool) -> None:
        temporary = f"{path}{TEMPORARY_MARK}{os.urandom(8).hex()}"
        try:
            fd = os.open(temporary, _WRITE_NEW, 0o400)
            try:
                write(fd)
                if self._group_access:
                    os.fchmod(fd, 0o440)
                _sync(fd)
            finally:
                os.close(fd)
            # Safe to die here: the temporary file stays, and no listing shows it.
            if create:
                _publish_new(temporary, path)
            else:
                os.rename(temporary, path)
            # Safe to die here: the object is whole, and only its durability was not yet promised.
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def _prepare(self, directory: str) -> None:
        with self._lock:
            if self._group_access is None:
                self._group_access = self._config_has_group_access()
            if directory not in self._durable:
                self._make_durable(directory)

    def _make_durable(self, directory: str) -> None:
        """Make the directory, and its parents, where they are missing, and fsync what names them.

        One fsync settles all directories that the parent holds: a repository that has its 256 below "data"
        pays for one. Another process may have made a directory and not have come to its fsync yet.
        """
        parent = os.path.dirname(directory)
        try:
            os.mkdir(directory, 0o770 if self._group_access else 0o700)
        except FileExistsError:
            if directory == self._root:
                self._durable.add(directory)
                return
        except FileNotFoundError:
            if parent in self._durable:
                # It was there: the disk was unmounted. To make it again would write to the wrong one.
                raise
            self._make_durable(parent)
            with suppress(FileExistsError):
                os.mkdir(directory, 0o770 if self._group_access else 0o700)
        inside = directory != self._root and directory.startswith(self._root)
        settled = [f"{parent}/{name}" for name in os.listdir(parent)] if inside else [directory]
        _sync_directory(parent)
        self._durable.update(settled)

    def _config_has_group_access(self) -> bool:
        try:
            return bool(os.stat(self._path("config")).st_mode & stat.S_IRGRP)
        except OSError:
            return False

    def _translated(self, error: OSError, name: str) -> StorageError:
        what = str(Location("local", path=self._path(name)))
        return _translate(error, what)


def _translate(error: OSError, what: str) -> StorageError:
    reason = error.strerror or str(error)
    code = error.errno
    if code == errno.ENOENT:
        return StorageNotFound(
            f"{what} does not exist", hint="Check the repository's location, and that it is mounted."
        )
    if code == errno.EEXIST:
        return StorageExists(f"{what} exists already", hint="It was left as it is.")
    if code in _DENIED:
        return StorageDenied(f"{what}: {reason}", hint="Check the owner and mode of it and its directory.")
    if code in _FULL:
        return StorageFull(f"{what}: {reason}", hint="Free some space there, then run the command again.")
    if code in _GONE:
        return StorageUnavailable(f"{what}: {reason}", hint="Check the disk or the mount, then run it again.")
    return StorageError(f"{what}: {reason}", hint="Check the disk or the mount, then run it again.")


def _write_all(fd: int, data: Buffer) -> None:
    written = os.write(fd, data)
    if written == len(data):
        return
    rest = memoryview(data)[written:]
    while rest:
        rest = rest[os.write(fd, rest) :]


def _copy(source: int, target: int) -> None:
    while os.sendfile(target, source, None, 1 << 30):
        pass


def _sync(fd: int) -> None:
    try:
        os.fsync(fd)
    except OSError as error:
        # Such a file system gives no durability to anyone; restic goes on as well.
        if error.errno not in _NO_SYNC:
            raise


def _sync_directory(path: str) -> None:
    fd = os.open(path, _READ | os.O_DIRECTORY)
    try:
        _sync(fd)
    finally:
        os.close(fd)


def _publish_new(temporary: str, path: str) -> None:
    """Give the file its name, or raise FileExistsError if something has it."""
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        # No hard links here: claim the name with an empty file, then replace that. Whoever dies in between
        # leaves an empty object; restic ignores an empty lock, and any other fails its hash.
        os.close(os.open(path, _WRITE_NEW, 0o400))
        os.rename(temporary, path)
        return
    os.unlink(temporary)
