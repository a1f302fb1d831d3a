"""On what a test's jobs run: the workers of this machine, or a cluster's members. ``tests/e2e/engines.py`` chooses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from argosy.operations.backup.options import BackupObserver, BackupOptions, BackupResult
from argosy.operations.backup.run import run_backup
from argosy.operations.check.options import CheckObserver, CheckOptions, CheckResult
from argosy.operations.check.run import run_check
from argosy.operations.restore.options import RestoreObserver, RestoreOptions, RestoreResult
from argosy.operations.restore.run import run_restore
from argosy.operations.session import Access


class Machines(Protocol):
    """Runs backups, restores and checks from this process, and says how the program is told to run them there.

    ``is_cluster``: over members; ``used`` counts the jobs and commands that were sent there.
    """

    is_cluster: bool
    used: int

    def backup(self, access: Access, options: BackupOptions, state: Path, observer: BackupObserver) -> BackupResult: ...

    def restore(self, access: Access, options: RestoreOptions, observer: RestoreObserver) -> RestoreResult: ...

    def check(self, access: Access, options: CheckOptions, observer: CheckObserver) -> CheckResult: ...

    def flags(self) -> Sequence[str | Path]:
        """What a command that runs a job takes besides."""
        ...


class OneMachine:
    """The worker processes of this machine, as without a cluster."""

    is_cluster = False

    def __init__(self) -> None:
        self.used = 0

    def backup(self, access: Access, options: BackupOptions, state: Path, observer: BackupObserver) -> BackupResult:
        return run_backup(access, options, state, observer)

    def restore(self, access: Access, options: RestoreOptions, observer: RestoreObserver) -> RestoreResult:
        return run_restore(access, options, observer)

    def check(self, access: Access, options: CheckOptions, observer: CheckObserver) -> CheckResult:
        return run_check(access, options, observer)

    def flags(self) -> Sequence[str | Path]:
        return ()


ONE_MACHINE = OneMachine()
