"""The target as a whole: opening it, and the failures of an entry after which nothing else can be restored either."""

from __future__ import annotations

import errno
import os

from argosy.errors import RestoreError
from argosy.filesystem.apply import open_target

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_READ_ONLY = frozenset({errno.EROFS})


def open_root(target: bytes, *, create: bool) -> int | None:
    """A descriptor of the target directory; None if it is missing and not to be made."""
    if create:
        return open_target(target)
    try:
        return os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RestoreError(
            f"cannot read the target {os.fsdecode(target)}: {error.strerror}", hint="Choose another with --target."
        ) from error


def reason_of(error: Exception) -> str:
    """Why something failed, without the path: the kernel's words, or ours."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def refuse_full(error: Exception, target: bytes, path: bytes) -> None:
    """Raise RestoreError if the target has no room left, or cannot be written at all."""
    if not isinstance(error, OSError):
        return
    if error.errno in _FULL:
        raise RestoreError(
            f"the target {os.fsdecode(target)} is full: {reason_of(error)}, at {os.fsdecode(path)}",
            hint="Free some space there and run the same command again: what is restored already is not fetched again.",
        ) from error
    if error.errno in _READ_ONLY:
        raise RestoreError(
            f"the target {os.fsdecode(target)} cannot be written: {reason_of(error)}",
            hint="Choose another directory with --target, or mount it for writing.",
        ) from error
