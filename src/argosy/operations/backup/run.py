"""A backup from its options to its result: the repository is opened and locked, then ``work`` has its way.

While a key is derived from the password, which takes a tenth of a second in C, the modules of the work are imported in
a thread of their own, and a first worker starts: it will be there when the scan has found something.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path

from argosy.archiver.targets import Target, resolve_targets
from argosy.engine.here import engine_ahead
from argosy.engine.interface import MakeEngine
from argosy.engine.local import worker_count
from argosy.engine.nursery import Nursery
from argosy.errors import SourceShrunk
from argosy.operations.backup.handler import HANDLER
from argosy.operations.backup.options import BackupObserver, BackupOptions, BackupResult
from argosy.operations.early_import import imported_meanwhile
from argosy.operations.jobs import prepare_state_directory
from argosy.operations.session import Access, open_session
from argosy.repository.repository import Repository
from argosy.storage.interface import Storage

CreateRepository = Callable[[Storage], Repository]

_WORK = "argosy.operations.backup.work"


def run_backup(
    access: Access,
    options: BackupOptions,
    state_directory: Path,
    observer: BackupObserver,
    *,
    create: CreateRepository | None = None,
    make_engine: MakeEngine | None = None,
    nursery: Nursery | None = None,
) -> BackupResult:
    """Back up ``options.paths``; ``create`` makes the repository instead of opening one.

    ``make_engine`` makes what carries the batches; without it the worker processes of this machine do, from
    ``nursery`` if one was started for ``HANDLER`` before.

    Raises ArgosyError; Interrupted means that the job can be resumed by the same call.
    """
    targets = resolve_targets(options.paths, options.working_directory, shown_as=options.shown_as)
    _refuse_empty_roots(targets, allowed=options.allow_shrink)
    with ExitStack() as stack:
        workers, name = options.workers or worker_count(), options.host or "local"
        make = make_engine or engine_ahead(HANDLER, workers, name, nursery, stack, count=1)
        stack.enter_context(imported_meanwhile(lambda: import_module(_WORK)))
        if options.dry_run:
            import tempfile

            temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="argosy-dry-run-"))
            state_directory = Path(temporary)
        prepare_state_directory(state_directory)
        listeners: list[Callable[[], None]] = []
        session = stack.enter_context(
            open_session(
                access,
                create=create,
                confirm=False,
                discard_writes=options.dry_run,
                on_refresh=lambda _seconds: _tell(listeners),
            )
        )
        from argosy.operations.backup.work import Backup  # see the module's docstring

        return Backup(session, options, targets, state_directory, observer, listeners, make).run(stack)


def _tell(listeners: list[Callable[[], None]]) -> None:
    for listener in listeners:
        listener()


def _refuse_empty_roots(targets: list[Target], *, allowed: bool) -> None:
    """An empty directory is what a share looks like that is not mounted (R8)."""
    for target in targets:
        with suppress(NotADirectoryError, PermissionError, FileNotFoundError), os.scandir(target.path) as listing:
            if next(listing, None) is None and not allowed:
                raise SourceShrunk(
                    f"the source {os.fsdecode(target.path)} is empty",
                    hint="If the share is not mounted, mount it. If it is really empty, add --allow-shrink.",
                )
