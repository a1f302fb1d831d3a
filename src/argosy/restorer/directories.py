"""Directories of the target, open: reached step by step from its root, and never through a symbolic link.

A directory that is missing is made, private (0700) until it is finished. Where something else is in the way, it goes
away if the way of overwriting allows that; a symbolic link too, whatever it points at.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress

from argosy.errors import RestoreError
from argosy.filesystem.apply import check_name, remove_entry
from argosy.restorer.target import reason_of

# Neighbours of a batch share most of their way; more than these are rarely needed again.
OPEN_MOST = 256

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PIN_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OWN_RIGHTS = stat.S_IRWXU
_DEFAULT_ACL = "system.posix_acl_default"
_IN_THE_WAY = frozenset({errno.ENOTDIR, errno.ELOOP})

Owner = tuple[int, int]


class Unreachable(RestoreError):
    """The directory at ``path``, relative to the target, cannot be had; ``cause`` says why."""

    def __init__(self, path: bytes, cause: OSError | RestoreError) -> None:
        super().__init__(reason_of(cause))
        self.path = path
        self.cause = cause


class OpenDirectory:
    """A descriptor that is closed with the last reference to it.

    ``fresh``: made by this process, so that nothing is in it but what was restored. ``owner`` is whom new files belong
    to, once a first file has shown it. ``gives_acl``: new files get more than the mode they are made with.
    """

    __slots__ = ("__weakref__", "_gives_acl", "fd", "fresh", "owner")

    def __init__(self, fd: int, *, fresh: bool = False) -> None:
        self.fd = fd
        self.fresh = fresh
        self.owner: Owner | None = None
        self._gives_acl: bool | None = None

    @property
    def gives_acl(self) -> bool:
        """Whether the directory has a default ACL."""
        if self._gives_acl is None:
            self._gives_acl = True
            with suppress(OSError):
                self._gives_acl = _DEFAULT_ACL in os.listxattr(self.fd)
        return self._gives_acl

    def close(self) -> None:
        """Close it now, whoever still has a reference; idempotent."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


class TargetDirectories:
    """Directories by their path relative to the target. Not thread-safe.

    ``root_fd`` is None if the target is missing and not to be made: then everything in it is missing too. ``create``
    False: nothing is made or removed (dry runs, verification). ``replace``: what is no directory gives way. ``hold`` is
    called whenever a directory is asked for: it returns once the target may be changed. Who changes it later asks anew.
    """

    def __init__(
        self,
        root_fd: int | None,
        *,
        create: bool,
        replace: bool = False,
        hold: Callable[[], None] = lambda: None,
    ) -> None:
        self._root = None if root_fd is None else OpenDirectory(root_fd)
        self._create = create
        self._replace = replace
        self.hold = hold
        self._open: OrderedDict[bytes, OpenDirectory] = OrderedDict()

    def get(self, path: bytes) -> OpenDirectory:
        """The directory at ``path``. FileNotFoundError if it is missing and nothing is made, else Unreachable."""
        self.hold()
        found = self._open.get(path)
        if found is not None:
            return found
        if self._root is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return self._walk(self._root, path) if path else self._root

    def forget(self) -> None:
        """Close all but the root. What is opened later is not fresh."""
        self._open.clear()

    def close(self) -> None:
        """Close all, for good."""
        for directory in self._open.values():
            directory.close()
        self._open.clear()
        if self._root is not None:
            self._root.close()

    def _walk(self, root: OpenDirectory, path: bytes) -> OpenDirectory:
        """Step down from the nearest directory above that is open."""
        names: list[bytes] = []
        directory = root
        above = path
        while above:
            above, _, name = above.rpartition(b"/")
            names.append(name)
            if above in self._open:
                directory = self._open[above]
                self._open.move_to_end(above)
                break
        for name in reversed(names):
            above = above + b"/" + name if above else name
            try:
                directory = self._keep(above, self._step(directory, name))
            except FileNotFoundError as error:
                if not self._create:
                    raise
                raise Unreachable(above, error) from error
            except (OSError, RestoreError) as error:
                raise Unreachable(above, error) from error
        return directory

    def _keep(self, path: bytes, directory: OpenDirectory) -> OpenDirectory:
        self._open[path] = directory
        while len(self._open) > OPEN_MOST:
            self._open.popitem(last=False)
        return directory

    def _step(self, parent: OpenDirectory, name: bytes) -> OpenDirectory:
        check_name(name)
        try:
            if parent.fresh and self._create:
                return self._make(parent, name)
            return self._open_existing(parent, name)
        except FileNotFoundError:
            if not self._create:
                raise
            return self._make(parent, name)
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
            self._clear_the_way(parent, name)
            return self._make(parent, name)

    def _make(self, parent: OpenDirectory, name: bytes) -> OpenDirectory:
        try:
            os.mkdir(name, 0o700, dir_fd=parent.fd)
        except FileExistsError:  # another worker was quicker, or it was not fresh after all
            return self._open_existing(parent, name)
        return OpenDirectory(os.open(name, _FLAGS, dir_fd=parent.fd), fresh=True)

    def _open_existing(self, parent: OpenDirectory, name: bytes) -> OpenDirectory:
        try:
            directory = OpenDirectory(os.open(name, _FLAGS, dir_fd=parent.fd))
        except PermissionError:
            if not self._create:
                raise
            _unlock(parent.fd, name)
            directory = OpenDirectory(os.open(name, _FLAGS, dir_fd=parent.fd))
        if self._create and os.geteuid() != 0:
            # A restore that was interrupted, or is repeated, finds directories that were shut at their end.
            found = os.fstat(directory.fd)
            if found.st_uid == os.geteuid() and found.st_mode & _OWN_RIGHTS != _OWN_RIGHTS:
                os.fchmod(directory.fd, stat.S_IMODE(found.st_mode) | _OWN_RIGHTS)
        return directory

    def _clear_the_way(self, parent: OpenDirectory, name: bytes) -> None:
        if not self._create or not self._replace:
            raise RestoreError(
                "it is a directory in the snapshot and something else at the target",
                hint="Move it away, or let it be replaced with --overwrite always.",
            )
        # Another worker may have put the directory there by now.
        with suppress(FileNotFoundError, IsADirectoryError):
            os.unlink(name, dir_fd=parent.fd)


def remove_in_the_way(directory: OpenDirectory, name: bytes, *, recursive: bool) -> None:
    """Remove an entry to make room for another; a directory only if it is empty, or ``recursive``.

    One that is gone already is fine. OSError otherwise.
    """
    check_name(name)
    try:
        os.unlink(name, dir_fd=directory.fd)
    except FileNotFoundError:
        return
    except IsADirectoryError:
        if recursive:
            remove_entry(directory.fd, name)
        else:
            os.rmdir(name, dir_fd=directory.fd)


def _unlock(parent_fd: int, name: bytes) -> None:
    """Give the owner his rights to a directory; as of old, only the owner or root may."""
    pin = os.open(name, _PIN_FLAGS, dir_fd=parent_fd)
    try:
        os.chmod(b"/proc/self/fd/%d" % pin, stat.S_IMODE(os.fstat(pin).st_mode) | _OWN_RIGHTS)
    finally:
        os.close(pin)
