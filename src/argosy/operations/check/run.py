"""A check from its options to its result: the repository is opened and locked, then ``work`` has its way.

While a key is derived from the password, which takes a tenth of a second in C, the modules of the work are imported in
a thread of their own, and the native kernel is loaded.
"""

from __future__ import annotations

from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from argosy import native
from argosy.operations.early_import import imported_meanwhile
from argosy.operations.session import Access, open_session

if TYPE_CHECKING:
    from argosy.engine.interface import MakeEngine
    from argosy.operations.check.options import CheckObserver, CheckOptions, CheckResult

_WORK = "argosy.operations.check.work"


def run_check(
    access: Access,
    options: CheckOptions,
    observer: CheckObserver,
    *,
    state_directory: Path | None = None,
    make_engine: MakeEngine | None = None,
) -> CheckResult:
    """Check a repository. What is wrong with it is told to the observer and counted in the result.

    What is read is noted in ``state_directory``; without one a check starts from the beginning, and none is rolling.
    ``make_engine`` makes what carries the tasks; without it this machine does.

    Raises ArgosyError only where the check itself cannot go on: no key opens the repository, it is locked, the lock
    was lost, the listings fail; Interrupted if asked to stop.
    """
    if not access.no_lock:
        observer.message("create exclusive lock for repository")
    with imported_meanwhile(_load), open_session(access, exclusive=True, confirm=False) as session:
        if not options.with_cache:
            session.repository.cache = None
        from argosy.operations.check.work import Check  # see the module's docstring

        with ExitStack() as stack:
            return Check(session, options, observer, state_directory, make_engine, stack).run()


def _load() -> None:
    import_module(_WORK)
    native.kernel()
