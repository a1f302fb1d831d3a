"""A module of handlers for a nursery that cannot fork: what imports it gets EAGAIN instead of a child."""

from __future__ import annotations

import errno
import os

from tests.support.engine_handlers import make_scripted

__all__ = ["make_scripted"]


def _refuse() -> int:
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


os.fork = _refuse
