"""What a member does with a job's setup before its workers begin: prove what it sees, and use what is its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from argosy.archiver.messages import WorkerSetup, decode, encode
from argosy.archiver.path_map import PathMap
from argosy.daemon.sight import Sight, first_difference, look_at, refusal
from argosy.daemon.tailoring import with_credentials
from argosy.errors import EngineError
from argosy.operations.backup.handler import HANDLER as BACKUP
from argosy.operations.session import LOOKUP_NAME
from argosy.repository.cache import repository_cache_directory
from argosy.repository.layout import FileKind
from argosy.repository.lookup import DedupLookup
from argosy.repository.repository import Repository, open_granted
from argosy.restic_format.config import decode_config
from argosy.restic_format.crypto import MasterKey
from argosy.storage.interface import Storage
from argosy.storage.open import open_storage
from argosy.storage.options import StorageOptions

HANDLERS = (BACKUP,)
"""What the workers of a member run, and nothing else."""

_LOOKS = 3

Ask = Callable[[], Sight]
"""Asks the master what it sees at this moment."""
Credentials = Callable[[str], Mapping[str, str]]
"""Those for the store at a location."""


class Fitter:
    """Fits setups to this machine. Called from a session's thread."""

    def __init__(
        self,
        member: str,
        cache_directory: Path,
        ask: Ask,
        maps: Sequence[tuple[bytes, bytes]] = (),
        credentials: Credentials | None = None,
    ) -> None:
        """``maps`` are pairs of the master's path and this machine's. ``credentials`` are this machine's own."""
        self._member = member
        self._cache_directory = cache_directory
        self._ask = ask
        self._maps = list(maps)
        self._credentials = credentials

    def fit(self, handler: str, setup: bytes) -> bytes:
        """The setup for this machine's workers. ArgosyError if it sees something else than the master."""
        if handler != BACKUP:
            raise EngineError(f"{self._member} cannot run {handler}", hint="Install the same version everywhere.")
        wanted = decode(setup, WorkerSetup)
        if self._credentials is not None:
            wanted = decode(with_credentials(handler, setup, self._credentials(wanted.location)), WorkerSetup)
        key, config = MasterKey.from_bytes(wanted.master_key), decode_config(wanted.repository_config)
        storage = open_storage(wanted.location, wanted.storage_options)
        try:
            repository = open_granted(storage, key, config)
            self._compare(repository)
            lookup = self._synchronized_lookup(repository, wanted.job_id)
        finally:
            storage.close()
        return encode(msgspec.structs.replace(wanted, lookup_path=str(lookup), elsewhere=True, maps=self._maps))

    def _compare(self, repository: Repository) -> None:
        """Prove that the same source and repository are here (R10). What changes meanwhile is looked at again."""
        difference = ""
        for _ in range(_LOOKS):
            theirs = self._ask()
            here = PathMap(self._maps).here
            ours = Sight(look_at((entry.path for entry in theirs.entries), here), _lock_names(repository.storage))
            difference = first_difference(theirs, ours)
            if not difference:
                return
        raise refusal(self._member, difference)

    def _synchronized_lookup(self, repository: Repository, job_id: str) -> Path:
        """This machine's own lookup, equal to the repository's indexes (R4)."""
        directory = repository_cache_directory(self._cache_directory, repository.id)
        lookup = DedupLookup(directory / LOOKUP_NAME, repository.key, job=job_id)
        try:
            lookup.synchronize(repository.list_ids(FileKind.INDEX), repository.load_index)
        finally:
            lookup.close()
        return lookup.path


def lock_names_at(location: str, options: StorageOptions) -> list[str]:
    """The names of a repository's locks at this moment."""
    storage = open_storage(location, options)
    try:
        return _lock_names(storage)
    finally:
        storage.close()


def _lock_names(storage: Storage) -> list[str]:
    prefix = f"{FileKind.LOCK.value}/"
    return sorted(found.name.removeprefix(prefix) for found in storage.list(prefix))
