"""A disk that loses its power: what was not synced is forgotten.

``forget_what_is_not_synced`` stands in front of ``os.fsync`` and of SQLite's own syncs (by an apsw VFS), in the process
that calls it. At each sync it keeps a copy of what is durable from then on: a file's bytes, or the names that a
directory has. ``PowerLoss.strike`` then rebuilds the tree from these copies alone:

- a file has the bytes of its last fsync, and none if there was none;
- a directory has the names of its last fsync: files made or renamed since are not there (or under their old names),
  files removed since are there again.

What stood there when the run began is durable. SQLite's shared memory (-shm) never survives. Names are followed by
inode, so the home must lie on a file system that does not use inode numbers again soon (tmpfs), or not be told to
remove files; a file that took a removed file's number would lend it its bytes.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import apsw

_NAMES = "names"
_BYTES = "bytes"


def forget_what_is_not_synced(disk: Path, home: Path, *, sqlite: bool = True) -> None:
    """From now on keep at ``disk`` what this process makes durable below ``home``.

    Replaces ``os.fsync`` and, with ``sqlite``, SQLite's default VFS for the rest of the process.
    """
    keeper = _Keeper(disk, os.path.realpath(home))
    fsync = os.fsync

    def fsync_and_keep(fd: int) -> None:
        fsync(fd)
        keeper.keep(fd if isinstance(fd, int) else fd.fileno())

    os.fsync = fsync_and_keep  # type: ignore[assignment]  # in a child process of a test
    if sqlite:
        _KeepingVFS(keeper)


class PowerLoss:
    """The durable state of ``home``, kept at ``disk``; the home must be as durable as it is when this is made."""

    def __init__(self, disk: Path, home: Path) -> None:
        self.disk = disk
        self.home = home
        for kind in (_NAMES, _BYTES):
            (disk / kind).mkdir(parents=True)
        keeper = _Keeper(disk, os.path.realpath(home))
        for directory, _, names in os.walk(home):
            for place in (directory, *(os.path.join(directory, name) for name in names)):
                fd = os.open(place, os.O_RDONLY)
                keeper.keep(fd)
                os.close(fd)

    def strike(self) -> None:
        """Make ``home`` what it is when the power is back."""
        after = self.home.with_name(f"{self.home.name} after")
        self._rebuild(os.stat(self.home).st_ino, after)
        shutil.rmtree(self.home)
        after.rename(self.home)

    def _rebuild(self, inode: int, place: Path) -> None:
        """A directory that was never synced is empty."""
        place.mkdir()
        kept = self.disk / _NAMES / str(inode)
        names = json.loads(kept.read_text()) if kept.exists() else {}
        for name, (child, is_directory, mode) in names.items():
            if is_directory:
                self._rebuild(child, place / name)
                (place / name).chmod(mode)
            elif not name.endswith("-shm"):
                durable = self.disk / _BYTES / str(child)
                if durable.exists():
                    shutil.copyfile(durable, place / name)
                else:
                    (place / name).touch()
                (place / name).chmod(mode)


class _Keeper:
    """Copies what becomes durable. Several processes may keep at once."""

    def __init__(self, disk: Path, home: str) -> None:
        self._disk = disk
        self._home = home

    def keep(self, fd: int) -> None:
        place = os.readlink(f"/proc/self/fd/{fd}")
        if f"{place}/".startswith(f"{self._home}/"):
            seen = os.fstat(fd)
            if stat.S_ISDIR(seen.st_mode):
                self._keep_names(fd, seen.st_ino)
            else:
                self._keep_bytes(fd, seen.st_ino)

    def keep_place(self, place: str) -> None:
        fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.keep(fd)
        finally:
            os.close(fd)

    def _keep_names(self, fd: int, inode: int) -> None:
        # One at a time: a later listing must not be overwritten by an earlier one.
        with open(self._disk / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            names: dict[str, Any] = {}
            with os.scandir(fd) as entries:
                for entry in entries:
                    try:
                        seen = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    names[entry.name] = (seen.st_ino, entry.is_dir(), stat.S_IMODE(seen.st_mode))
            self._publish(self._disk / _NAMES / str(inode), json.dumps(names).encode())

    def _keep_bytes(self, fd: int, inode: int) -> None:
        with open(f"/proc/self/fd/{fd}", "rb") as file:
            self._publish(self._disk / _BYTES / str(inode), file.read())

    @staticmethod
    def _publish(place: Path, content: bytes) -> None:
        unfinished = place.with_name(f"{place.name}.{os.getpid()}.{os.urandom(4).hex()}")
        unfinished.write_bytes(content)
        unfinished.rename(place)


class _KeepingVFS(apsw.VFS):
    """SQLite's usual way to its files, with a look at each sync."""

    def __init__(self, keeper: _Keeper) -> None:
        self._keeper = keeper
        super().__init__("keeping", "unix", makedefault=True)
        _kept.append(self)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - apsw's name
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        made = path is not None and not os.path.exists(path)
        return _KeepingFile(self._keeper, name, flags, path, made=made)


class _KeepingFile(apsw.VFSFile):
    def __init__(self, keeper: _Keeper, name: Any, flags: list[int], path: str | None, *, made: bool) -> None:
        super().__init__("unix", name, flags)
        self._keeper = keeper
        self._path = path
        # SQLite syncs the directory with the first sync of a log that it has made (os_unix.c, UNIXFILE_DIRSYNC).
        self._sync_directory = made and path is not None and path.endswith(("-wal", "-journal"))

    def xLock(self, level: int) -> None:  # noqa: N802 - apsw's name
        try:
            super().xLock(level)
        except apsw.IOError as error:
            # A file opened for reading takes no write lock. SQLite asks for one when it closes, and takes no for an
            # answer; through a VFS of Python it would be raised.
            raise apsw.BusyError from error

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name
        super().xSync(flags)
        if self._path is not None and os.path.exists(self._path):
            self._keeper.keep_place(self._path)
            if self._sync_directory:
                self._sync_directory = False
                self._keeper.keep_place(os.path.dirname(self._path))


# SQLite refers to a registered VFS without keeping it alive.
_kept: list[_KeepingVFS] = []
