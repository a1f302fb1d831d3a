"""Calls that keep the interpreter's lock: those that take a microsecond or less.

Giving it away for each costs as much, and where other threads wait for it a hundred times that.
"""

from __future__ import annotations

import ctypes
from functools import cache


@cache
def keeping_lock(library: ctypes.CDLL) -> ctypes.CDLL:
    """The same library, whose functions are called with the lock held."""
    return ctypes.PyDLL(library._name)
