"""Attributes that could not be read are gathered by kind, with the first path and a count."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from argosy.filesystem.metadata import UnreadableXattr
from argosy.filesystem.xattr_losses import XattrLoss, XattrLosses


def lost(attribute: str, number: int = errno.EACCES) -> list[UnreadableXattr]:
    return [UnreadableXattr(attribute, OSError(number, os.strerror(number)))]


def test_equal_kinds_are_one_with_a_count(tmp_path: Path) -> None:
    losses = XattrLosses()
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        losses.add(fd, b"first", 7, lost("user.a"))
        losses.add(fd, b"second", 7, lost("user.a"))
        losses.add(fd, b"", 7, lost("user.a", errno.EIO))
        losses.add(fd, b"other", 8, lost("user.a"))
    finally:
        os.close(fd)
    place = os.fsencode(tmp_path)
    assert losses.take() == [
        XattrLoss("user.a", "Permission denied", 7, place + b"/first", 2),
        XattrLoss("user.a", "Input/output error", 7, place),
        XattrLoss("user.a", "Permission denied", 8, place + b"/other"),
    ]
    assert losses.take() == []


def test_kinds_beyond_the_limit_are_only_counted(tmp_path: Path) -> None:
    """A source with a million attribute names costs no memory."""
    losses = XattrLosses()
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        for number in range(250):
            losses.add(fd, b"f", 7, lost(f"user.{number}"))
    finally:
        os.close(fd)
    taken = losses.take()
    assert len(taken) == 100
    assert sum(loss.count for loss in taken) == 250
