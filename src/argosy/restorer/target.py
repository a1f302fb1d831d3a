"""The target as a whole: opening it, and the failures of an entry after which nothing else can be restored either."""

from __future__ import annotations

import errno
import os
import re
from hashlib import blake2b

from argosy.errors import RestoreError, TargetLost
from argosy.filesystem.apply import open_target

_PROBE = re.compile(rb"\.argosy-[0-9a-f]{32}\.probe")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_LOST = frozenset({errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH})
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


def probe_name(*parts: bytes) -> bytes:
    """What a file is called by which a machine shows that it sees the same target; the same for equal parts."""
    return b".argosy-%b.probe" % blake2b(b"\0".join(parts), digest_size=16).hexdigest().encode("ascii")


def is_probe(name: bytes) -> bool:
    """Whether a file of the target is such a one: it goes with the restore, and not by ``--delete``."""
    return _PROBE.fullmatch(name) is not None


def reason_of(error: Exception) -> str:
    """Why something failed, without the path: the kernel's words, or ours."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def refuse_full(error: Exception, target: bytes, path: bytes) -> None:
    """Raise RestoreError if the target has no room left, or cannot be written at all; TargetLost if it has gone."""
    if not isinstance(error, OSError):
        return
    if error.errno in _FULL:
        raise RestoreError(
            f"the target {os.fsdecode(target)} is full: {reason_of(error)}, at {os.fsdecode(path)}",
            hint="Free some space there and run the same command again: what is restored already is not fetched again.",
        ) from error
    if error.errno in _LOST:
        raise TargetLost(
            f"the target {os.fsdecode(target)} went away: {reason_of(error)}, at {os.fsdecode(path)}",
            hint="Mount it again and run the same command again: what is restored already is not fetched again.",
        ) from error
    if error.errno in _READ_ONLY:
        raise RestoreError(
            f"the target {os.fsdecode(target)} cannot be written: {reason_of(error)}",
            hint="Choose another directory with --target, or mount it for writing.",
        ) from error
