"""A small library in C for the work that is done once for each blob, and the way to it.

What it is. Plain C (the ``*.c`` of this folder) in one shared library, loaded by ctypes: it needs no header of
Python, so one build serves every Python, and a call runs without the interpreter's lock. ``build.py`` compiles it if
the machine has a C compiler; ``bindings.py`` is the door. libcrypto 3 and zstd are found when it is loaded.

Promises. Whoever calls it has the same work done in Python beside it, takes that whenever ``kernel()`` is None, and
both give the same results: contract tests run on both. The kernel only ever says that a blob is sound; whatever it
does not find so is looked at again in Python, which has the last word and the words of the error.

Not guaranteed. That it is there: no compiler, no library, another version, or the user's wish (``turn_off``) leave it
out. ``status()`` says which, and ``argosy version`` shows it. Compressed frames may differ from Python's in their
bytes, because the two may use different versions of zstd; ids and trees never do.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argosy.native.bindings import Kernel, Session

NEVER, SHORTER, ALWAYS = range(3)
"""When to compress; SHORTER: where that makes a blob shorter."""

_loading = threading.Lock()  # the library is made ready by one thread
_loaded: Kernel | None = None
_reason = ""  # why there is no kernel; "" while nobody has asked
_wanted = True


def kernel() -> Kernel | None:
    """The kernel, loaded when it is first asked for; None if this process goes without."""
    global _loaded, _reason
    if _loaded is None and not _reason:
        with _loading:
            if _loaded is None and not _reason:
                from argosy.native.bindings import KernelAbsent, load_kernel

                try:
                    _loaded = load_kernel()
                except KernelAbsent as error:
                    _reason = str(error)
    return _loaded


def session(material: bytes) -> Session | None:
    """A session under a key (64 bytes) for the calling thread, or None without a kernel."""
    loaded = kernel()
    if loaded is None:
        return None
    from argosy.native.bindings import Session

    return Session(loaded, material)


def turn_off(reason: str) -> None:
    """Go without the kernel from now on. What has it already keeps it: call this first of all."""
    global _loaded, _reason, _wanted
    _loaded, _reason, _wanted = None, reason, False


def is_wanted() -> bool:
    """Whether nobody has turned it off; a process that this one starts does likewise."""
    return _wanted


def status() -> tuple[bool, str]:
    """Whether the kernel is in use, and its versions or else the reason."""
    loaded = kernel()
    return (False, _reason) if loaded is None else (True, loaded.versions)
