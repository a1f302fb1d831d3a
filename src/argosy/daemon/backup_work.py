"""A backup as a master runs it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import cast

import msgspec

from argosy.archiver.targets import resolve_targets
from argosy.daemon.kinds import BACKUP
from argosy.daemon.protocol import BackupOrder, Request, options_of
from argosy.daemon.runs import Run
from argosy.daemon.sight import Sight, look_at, sample_paths
from argosy.daemon.work import BATCH_BYTES, JobWork, Surroundings
from argosy.operations.backup.options import BackupObserver, BackupResult
from argosy.operations.backup.run import run_backup
from argosy.operations.init import open_or_create
from argosy.operations.session import Access
from argosy.repository.repository import Repository
from argosy.storage.interface import Storage


class BackupWork(JobWork):
    """See ``JobWork``. UsageError if the order's options make no sense."""

    kind = BACKUP

    def __init__(self, request: Request, order: BackupOrder, surroundings: Surroundings) -> None:
        super().__init__(request, surroundings)
        own = tuple(os.fsencode(path) for path in (surroundings.state_directory, surroundings.cache_directory))
        options = options_of(order, more_paths=own)
        self._create = order.create
        self._options = msgspec.structs.replace(
            options,
            host=options.host or os.uname().nodename,
            batch_bytes=min(options.batch_bytes, BATCH_BYTES),
        )

    @property
    def paths(self) -> list[bytes]:
        """The sources, as given."""
        return list(self._options.paths)

    @property
    def words(self) -> str:
        """What is done, in words."""
        return f"a backup to {self.location}"

    def carry_out(self, run: Run) -> BackupResult:
        """Back up; the job's own file keeps what happens."""
        observer = cast("BackupObserver", run.observer())
        observer.begun = run.goes_on_with
        access = self._access(run)
        return run_backup(
            access,
            msgspec.structs.replace(self._options, workers=self._surroundings.workers(), job_id=run.job),
            self._surroundings.state_directory,
            observer,
            create=self._opener(access, observer) if self._create else None,
            make_engine=self._surroundings.make_engine,
        )

    def look(self) -> Sight:
        """The sources' roots and some entries of each."""
        options = self._options
        targets = resolve_targets(options.paths, options.working_directory, shown_as=options.shown_as)
        return Sight(look_at(sample_paths(target.path for target in targets)), self._locks())

    def _opener(self, access: Access, observer: BackupObserver) -> Callable[[Storage], Repository]:
        return open_or_create(
            access,
            self._surroundings.state_directory,
            access.password,
            lambda made: observer.message(f"created repository {made.id[:10]} at {made.location}"),
            dry_run=self._options.dry_run,
        )
