"""Whether two machines see the same target of a restore, and may do the same in it (R10).

The master makes a file there, with bytes drawn at random. Another machine reads it, and makes one of its own: who that
belongs to, and whether it can be given away, tells a server that maps root to nobody, and a proxy run by another user.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import msgspec

from argosy.errors import RestoreError
from argosy.filesystem.apply import open_target
from argosy.restorer.target import probe_name

_CONTENT_BYTES = 32
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SOMEBODY_ELSE = 65534


class TargetProbe(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A file in the target, as its maker sees it. ``gives_away``: whether its owner could be changed."""

    path: bytes
    content: bytes
    uid: int
    gives_away: bool


class TargetMark:
    """The master's file in a target: made when it is first asked for, with the target where that is missing."""

    def __init__(self, location: str, target: bytes) -> None:
        self._target = target
        # The same for the same restore, so that one that follows a kill removes what was left.
        self._name = probe_name(os.fsencode(location), target)
        self._lock = threading.Lock()
        self._probe: TargetProbe | None = None
        self._over = False

    def probe(self) -> TargetProbe:
        """What there is to be seen. RestoreError if nothing can be made there, or the restore is over."""
        with self._lock:
            if self._over:
                raise RestoreError("the restore is over")
            if self._probe is None:
                self._probe = self._make()
            return self._probe

    def remove(self) -> None:
        """The restore is over."""
        with self._lock, suppress(OSError):
            self._over = True
            os.unlink(os.path.join(self._target, self._name))

    def _make(self) -> TargetProbe:
        content = secrets.token_bytes(_CONTENT_BYTES)
        directory = open_target(self._target)
        try:
            with _new_file(directory, self._name) as fd:
                os.write(fd, content)
                path = os.path.join(self._target, self._name)
                return TargetProbe(path, content, os.fstat(fd).st_uid, _gives_away(fd))
        except OSError as error:
            raise RestoreError(
                f"cannot write to the target {os.fsdecode(self._target)}: {error.strerror}",
                hint="Choose a directory that you may write, with --target.",
            ) from error
        finally:
            os.close(directory)


def target_difference(theirs: TargetProbe, here: Callable[[bytes], bytes], member: str) -> str:
    """In what this machine's target differs from the master's, in words; empty if it does not."""
    place, name = os.path.split(here(theirs.path))
    shown = os.fsdecode(place)
    try:
        directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        return f"the target {shown} cannot be opened: {error.strerror}"
    try:
        return _content_difference(theirs, directory, name, shown) or _rights_difference(
            theirs, directory, probe_name(name, member.encode()), shown
        )
    finally:
        os.close(directory)


def _content_difference(theirs: TargetProbe, directory: int, name: bytes, shown: str) -> str:
    try:
        with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory), "rb") as file:
            content = file.read(_CONTENT_BYTES)
    except OSError as error:
        return f"the target {shown} is another one, or cannot be read (the file that the master made: {error.strerror})"
    return "" if content == theirs.content else f"the target {shown} is another one"


def _rights_difference(theirs: TargetProbe, directory: int, name: bytes, shown: str) -> str:
    try:
        with _new_file(directory, name) as fd:
            uid, gives_away = os.fstat(fd).st_uid, _gives_away(fd)
        os.unlink(name, dir_fd=directory)
    except OSError as error:
        return f"nothing can be made in the target {shown}: {error.strerror}"
    if uid != theirs.uid:
        return f"what it makes in the target {shown} belongs to user {uid}, what the master makes to {theirs.uid}"
    if theirs.gives_away and not gives_away:
        return f"it may not change the owner of files in the target {shown}"
    return ""


@contextmanager
def _new_file(directory: int, name: bytes) -> Iterator[int]:
    """A file that was not there; what an earlier run left under its name goes away."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)
    fd = os.open(name, _FLAGS, 0o600, dir_fd=directory)
    try:
        yield fd
    finally:
        os.close(fd)


def _gives_away(fd: int) -> bool:
    owner = os.fstat(fd).st_uid
    try:
        os.fchown(fd, _SOMEBODY_ELSE, -1)
        os.fchown(fd, owner, -1)
    except OSError:
        return False
    return True
