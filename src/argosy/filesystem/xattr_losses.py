"""Extended attributes that could not be read, gathered by kind: a share may refuse the same one for all its files."""

from __future__ import annotations

import errno
import os
import threading

import msgspec

from argosy.filesystem.metadata import UnreadableXattr

_MOST_KINDS = 100


class XattrLoss(msgspec.Struct, array_like=True):
    """How often one attribute (empty: the list of them) could not be read on one file system for one reason.

    ``path`` is the first entry that it happened to.
    """

    attribute: str
    reason: str
    device: int
    path: bytes
    count: int = 1


class XattrLosses:
    """Gathers losses until they are taken. Thread-safe. Beyond 100 kinds they are counted with the last one."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._kinds: dict[tuple[str, int, int], XattrLoss] = {}

    def add(self, fd: int, name: bytes, device: int, unreadable: list[UnreadableXattr]) -> None:
        """Note what could not be read of the entry ``name`` of the directory ``fd`` (of ``fd`` itself: b"")."""
        for item in unreadable:
            number = item.error.errno or errno.EIO
            with self._mutex:
                kind = (item.attribute, number, device)
                if kind not in self._kinds and len(self._kinds) >= _MOST_KINDS:
                    kind = next(reversed(self._kinds))
                loss = self._kinds.get(kind)
                if loss is not None:
                    loss.count += 1
                else:
                    path = os.readlink(b"/proc/self/fd/%d" % fd)
                    path = os.path.join(path, name) if name else path
                    self._kinds[kind] = XattrLoss(item.attribute, os.strerror(number), device, path)

    def take(self) -> list[XattrLoss]:
        """What was gathered since the last call."""
        if not self._kinds:
            return []
        with self._mutex:
            taken, self._kinds = list(self._kinds.values()), {}
        return taken
