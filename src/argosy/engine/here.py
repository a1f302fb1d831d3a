"""The engine of a job that has no cluster, where its work may be done by threads."""

from __future__ import annotations

from argosy import native
from argosy.engine.interface import Engine


def make_engine_here(workers: int, name: str) -> Engine:
    """See ``interface.MakeEngine``. Threads where the native kernel works for them, without the interpreter's lock.

    Processes otherwise. Not for handlers whose work is Python's own, nor for those that a damaged file could crash.
    """
    if native.kernel() is None:
        from argosy.engine.local import make_local_engine

        return make_local_engine(workers, name)
    from argosy.engine.threads.engine import ThreadEngine

    return ThreadEngine(workers, name=name)
