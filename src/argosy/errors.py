"""Every error that Argosy raises on purpose, its exit code, and what the user can do next.

    ArgosyError (1)
    ├── UsageError (1)              a flag, value or combination that makes no sense
    ├── SourceError (1)             the source as a whole cannot be trusted
    │   ├── SourceGone              it is missing, or went away while it was read
    │   └── SourceShrunk            it is empty, or far smaller than its parent snapshot
    ├── RepositoryError (1)
    │   ├── RepositoryMissing (10)
    │   ├── RepositoryExists (1)
    │   ├── RepositoryLocked (11)
    │   ├── WrongPassword (12)
    │   ├── SnapshotMissing (1)
    │   ├── Damaged (1)             bytes whose MAC, hash or shape does not hold
    │   └── LeaseLost (1)           the lock could not be kept; writing had to stop
    ├── StorageError (1)            the store below the repository
    │   ├── StorageNotFound
    │   ├── StorageExists
    │   ├── StorageDenied
    │   ├── StorageFull
    │   └── StorageUnavailable      after all retries
    ├── StateError (1)              the state directory and the job files in it
    │   ├── StateBusy               another process runs this job
    │   ├── StateNewer              written by a newer Argosy
    │   ├── StateUnsuitable         a network file system, or not private
    │   └── StateFull
    ├── CertificateError (1)        a cluster's certificates: none, taken, revoked, expired, damaged, not private
    ├── EngineError (1)             workers cannot be started or kept alive
    ├── RestoreError (1)            the target cannot be written
    │   └── TargetLost              it went away while it was written to
    └── Interrupted (130)           stopped on request; resumable

Exit codes 3 (some source data could not be read) and 4 (`verify` found differences) are results, not errors: the
operation returns them.
"""

from __future__ import annotations


class ArgosyError(Exception):
    """A failure with a message for the user.

    ``hint`` is the next step, printed on a line of its own. ``exit_code`` is the process's.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ArgosyError):
    """The command was given something that makes no sense."""


class SourceError(ArgosyError):
    """The source as a whole cannot be trusted."""


class SourceGone(SourceError):
    """The source is missing, or went away while it was read."""


class SourceShrunk(SourceError):
    """The source is empty, or holds far less than its parent snapshot."""


class RepositoryError(ArgosyError):
    """The repository cannot serve the request."""


class RepositoryMissing(RepositoryError):
    """There is no repository at the location."""

    exit_code = 10


class RepositoryExists(RepositoryError):
    """A repository is already at the location."""


class RepositoryLocked(RepositoryError):
    """Another process holds a lock that conflicts."""

    exit_code = 11


class WrongPassword(RepositoryError):
    """No key of the repository opens with the password."""

    exit_code = 12


class SnapshotMissing(RepositoryError):
    """No snapshot, or more than one, matches what was asked for."""


class Damaged(RepositoryError):
    """Bytes whose MAC, hash or shape does not hold. The message names the file or blob."""


class LeaseLost(RepositoryError):
    """The repository's lock could not be refreshed in time, so writing had to stop."""


class StorageError(ArgosyError):
    """The store below the repository failed."""


class StorageNotFound(StorageError):
    """The named object does not exist."""


class StorageExists(StorageError):
    """The named object exists and was to be created."""


class StorageDenied(StorageError):
    """The store refused the credentials or the operation."""


class StorageFull(StorageError):
    """The store has no room left."""


class StorageUnavailable(StorageError):
    """The store did not answer, after all retries."""


class StateError(ArgosyError):
    """The state directory, or a job file in it, cannot be used."""


class StateBusy(StateError):
    """Another process runs this job."""


class StateNewer(StateError):
    """The job file was written by a newer Argosy."""


class StateUnsuitable(StateError):
    """The state directory lies on a network file system or is not private."""


class StateFull(StateError):
    """The state directory's file system has no room left."""


class CertificateError(ArgosyError):
    """A certificate, key or join file is missing, not private, damaged, expired, revoked or not to be had."""


class EngineError(ArgosyError):
    """Workers cannot be started or kept alive."""


class RestoreError(ArgosyError):
    """The restore target cannot be written."""


class TargetLost(RestoreError):
    """The restore target went away while it was written to: on this machine, perhaps not on others."""


class Interrupted(ArgosyError):
    """The job was stopped on request and can be resumed."""

    exit_code = 130


def error_named(kind: str, message: str, hint: str) -> ArgosyError:
    """The error of a class by its name, as another process raised it; an ArgosyError if there is no such class here."""
    found = globals().get(kind)
    if isinstance(found, type) and issubclass(found, ArgosyError):
        return found(message, hint=hint)
    return ArgosyError(message, hint=hint)
