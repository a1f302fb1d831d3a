"""Operations composed of several: what the command line calls where one verb is two operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from argosy.operations.forget.run import ForgetOptions, ForgetPlan, ForgetResult, forget_in, refuse_misuse
from argosy.operations.prune.options import PruneObserver, PruneOptions
from argosy.operations.prune.run import prune_in
from argosy.operations.session import Access, open_session


def forget_and_prune(
    access: Access,
    forget: ForgetOptions,
    prune: PruneOptions,
    show_plan: Callable[[ForgetPlan], None],
    show_result: Callable[[ForgetResult], None],
    observer: PruneObserver,
) -> ForgetResult:
    """Remove snapshots, and if any went, what no other uses, under one exclusive lock.

    Errors are those of ``run_forget`` and ``run_prune``; if the prune fails, the snapshots are gone already.
    """
    refuse_misuse(forget, no_lock=access.no_lock)
    with open_session(access, exclusive=True) as session:
        result = forget_in(session, forget, show_plan)
        show_result(result)
        if result.removed_ids:
            prune_in(session, replace(prune, without=frozenset(result.removed_ids)), observer)
        return result
