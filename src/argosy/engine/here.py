"""The engines of a job that has no cluster: threads where they may do its work, and processes that start ahead."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from argosy import native
from argosy.engine.interface import Engine, MakeEngine

if TYPE_CHECKING:
    from argosy.engine.nursery import Nursery


def make_engine_here(workers: int, name: str) -> Engine:
    """See ``interface.MakeEngine``. Threads where the native kernel works for them, without the interpreter's lock.

    Processes otherwise. Not for handlers whose work is Python's own, nor for those that a damaged file could crash.
    """
    if native.kernel() is None:
        from argosy.engine.local import make_local_engine

        return make_local_engine(workers, name)
    from argosy.engine.threads.engine import ThreadEngine

    return ThreadEngine(workers, name=name)


def engine_ahead(
    handler: str, workers: int, name: str, nursery: Nursery | None, stack: ExitStack, *, count: int
) -> MakeEngine:
    """What gives the engine of this machine's processes that is made now: ``count`` of its ``workers`` start at once.

    They import what they need while the repository is opened. ``nursery`` as ``LocalEngine`` takes it; ``stack`` ends
    the engine.
    """
    from argosy.engine.local import make_local_engine

    engine = make_local_engine(workers, name, nursery)
    stack.callback(engine.cancel)
    engine.prepare(handler, count)
    return lambda _workers, _name: engine
