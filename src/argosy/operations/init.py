"""Making a repository: on purpose (``init``), or because a backup found none (``backup --init``, R8)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from argosy.errors import RepositoryMissing, StorageNotFound
from argosy.operations.jobs import find_jobs, open_history
from argosy.operations.session import Access, open_accessed, open_session
from argosy.repository.layout import CONFIG_NAME
from argosy.repository.repository import Repository, init_repository
from argosy.restic_format.config import make_config
from argosy.restic_format.crypto import MasterKey
from argosy.storage.interface import Storage
from argosy.storage.open import open_storage

_ALL = 1 << 31


class InitResult(msgspec.Struct, frozen=True):
    """A new repository: its id in hex, and where it lies."""

    id: str
    location: str


def run_init(access: Access, like: Access | None = None) -> InitResult:
    """Make a repository that ``access.password`` opens. RepositoryExists if anything of one is there.

    It cuts files as the repository ``like`` does, so that blobs copied from there and backed up here are the same.
    """
    polynomial = None if like is None else _polynomial(like)
    storage = open_storage(access.location, access.storage_options)
    try:
        repository = init_repository(storage, access.password(), polynomial=polynomial)
        return InitResult(repository.id, storage.location)
    finally:
        storage.close()


def _polynomial(access: Access) -> int:
    with open_session(access, lock=False) as session:
        return session.repository.polynomial


def open_or_create(
    access: Access,
    state_directory: Path,
    new_password: Callable[[], bytes],
    created: Callable[[InitResult], None],
    *,
    dry_run: bool = False,
) -> Callable[[Storage], Repository]:
    """What ``open_session`` may call to open the repository, or to make it where there is none.

    RepositoryMissing where this host has used a repository before: one should be there then, and a backup into a new
    one would hide that it is not (a disk that is not mounted, another bucket). With ``dry_run`` the new one exists in
    memory alone.
    """

    def open_it(storage: Storage) -> Repository:
        if _has_config(storage):
            return open_accessed(storage, access)
        last_used = _last_use(state_directory, storage.location)
        if last_used is not None:
            raise RepositoryMissing(
                f"there is no repository at {storage.location}, but this machine used one there on"
                f" {time.strftime('%Y-%m-%d', time.localtime(last_used))}, so --init makes no new one",
                hint="Is the disk mounted, the location right? If it is gone for good, run `argosy init` first.",
            )
        if dry_run:
            return Repository(storage, MasterKey.generate(os.urandom), make_config(os.urandom))
        repository = init_repository(storage, new_password())
        created(InitResult(repository.id, storage.location))
        return repository

    return open_it


def _has_config(storage: Storage) -> bool:
    try:
        storage.size(CONFIG_NAME)
    except StorageNotFound:
        return False
    return True


def _last_use(state_directory: Path, location: str) -> float | None:
    """When a job of this machine last had a repository at the location (Unix seconds); None: never."""
    return max((when for used, when in _uses(state_directory) if used == location), default=None)


def _uses(state_directory: Path) -> Iterator[tuple[str, float]]:
    for found in find_jobs(state_directory):
        yield found.record.location, found.active
    if os.path.exists(state_directory / "history.sqlite"):
        for job in open_history(state_directory).all(most=_ALL):
            yield job.location, job.ended
