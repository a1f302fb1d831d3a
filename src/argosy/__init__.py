"""Argosy: scale-out backup of unstructured data in restic's repository format. The names below are the Python API."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argosy.api import Entry, Repository, Snapshot
    from argosy.errors import ArgosyError
    from argosy.operations.backup.options import BackupObserver, BackupResult
    from argosy.operations.check.options import CheckObserver, CheckResult
    from argosy.operations.restore.options import RestoreObserver, RestoreResult
    from argosy.operations.verify.options import VerifyObserver, VerifyResult
    from argosy.repository.snapshots import SnapshotFilter
    from argosy.storage.options import StorageOptions

__version__ = "0.1.0"

__all__ = [
    "ArgosyError",
    "BackupObserver",
    "BackupResult",
    "CheckObserver",
    "CheckResult",
    "Entry",
    "Repository",
    "RestoreObserver",
    "RestoreResult",
    "Snapshot",
    "SnapshotFilter",
    "StorageOptions",
    "VerifyObserver",
    "VerifyResult",
]

_HOMES = {
    "ArgosyError": "errors",
    "Entry": "api",
    "Repository": "api",
    "Snapshot": "api",
    "SnapshotFilter": "repository.snapshots",
    "StorageOptions": "storage.options",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, when it is asked for: `argosy --version` needs none of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    verb = name.removesuffix("Observer").removesuffix("Result").lower()
    home = _HOMES.get(name, f"operations.{verb}.options")
    return getattr(import_module(f"argosy.{home}"), name)
