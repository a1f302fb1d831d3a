"""What a member does with a job's setup before its workers begin: prove what it sees, and use what is its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from argosy.archiver import messages as backup
from argosy.archiver.path_map import PathMap
from argosy.daemon.sight import Sight, first_difference, look_at, refusal
from argosy.daemon.tailoring import Credentials, Setup, with_credentials
from argosy.daemon.target_sight import target_difference
from argosy.errors import EngineError
from argosy.operations.backup.handler import HANDLER as BACKUP
from argosy.operations.check import messages as check
from argosy.operations.check.handler import HANDLER as CHECK
from argosy.operations.prune import messages as prune
from argosy.operations.prune.copying import HANDLER as PRUNE
from argosy.operations.restore.handler import HANDLER as RESTORE
from argosy.operations.restore.run import protected_directories
from argosy.operations.session import LOOKUP_NAME
from argosy.operations.verify import messages as verify
from argosy.operations.verify.run import HANDLER as VERIFY
from argosy.repository.cache import repository_cache_directory
from argosy.repository.layout import FileKind
from argosy.repository.lookup import DedupLookup
from argosy.repository.repository import Repository, open_granted
from argosy.restic_format.config import decode_config
from argosy.restic_format.crypto import MasterKey
from argosy.restorer import messages as restore
from argosy.storage.interface import Storage
from argosy.storage.open import open_storage
from argosy.storage.options import StorageOptions

_LOOKS = 3

Ask = Callable[[], Sight]
"""Asks the master what it sees at this moment."""


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
        self._fitting: dict[str, Callable[[bytes], bytes]] = {
            BACKUP: self._fit_backup,
            RESTORE: self._fit_restore,
            CHECK: self._fit_check,
            PRUNE: self._fit_prune,
            VERIFY: self._fit_verify,
        }

    def fit(self, handler: str, setup: bytes) -> bytes:
        """The setup for this machine's workers. ArgosyError if it sees something else than the master."""
        if handler not in self._fitting:
            raise EngineError(f"{self._member} cannot run {handler}", hint="Install the same version everywhere.")
        if self._credentials is not None:
            setup = with_credentials(handler, setup, self._credentials)
        return self._fitting[handler](setup)

    def _fit_backup(self, setup: bytes) -> bytes:
        wanted = backup.decode(setup, backup.WorkerSetup)
        with self._proved_repository(wanted) as repository:
            lookup = self._synchronized_lookup(repository, wanted.job_id)
        return backup.encode(msgspec.structs.replace(wanted, lookup_path=str(lookup), elsewhere=True, maps=self._maps))

    def _fit_restore(self, setup: bytes) -> bytes:
        wanted = restore.decode(setup, restore.WorkerSetup)
        settings = wanted.settings
        with self._proved_repository(wanted) as repository:
            lookup = self._synchronized_lookup(repository)
            if settings.delete:
                # Devices have other numbers here.
                protected = protected_directories(repository.storage, self._cache_directory)
                settings = msgspec.structs.replace(settings, protected=protected)
        target = PathMap(self._maps).here(wanted.target)
        return restore.encode(
            msgspec.structs.replace(wanted, lookup_path=str(lookup), target=target, settings=settings)
        )

    def _fit_check(self, setup: bytes) -> bytes:
        wanted = check.decode_setup(setup)
        with self._proved_repository(wanted) as repository:
            cache = repository_cache_directory(self._cache_directory, repository.id) if wanted.cache_directory else ""
        return check.encode(msgspec.structs.replace(wanted, cache_directory=str(cache)))

    def _fit_prune(self, setup: bytes) -> bytes:
        with self._proved_repository(prune.decode_setup(setup)):
            return setup

    def _fit_verify(self, setup: bytes) -> bytes:
        """Its workers need the source, and nothing of the repository."""
        wanted = verify.decode(setup, verify.WorkerSetup)
        self._compare(list)
        source = PathMap(self._maps).here(wanted.source)
        return verify.encode(msgspec.structs.replace(wanted, source=source, elsewhere=True))

    @contextmanager
    def _proved_repository(self, setup: Setup) -> Iterator[Repository]:
        """The job's repository as it is seen here, once it is known to be the same."""
        key, config = MasterKey.from_bytes(setup.master_key), decode_config(setup.repository_config)
        storage = open_storage(setup.location, setup.storage_options)
        try:
            repository = open_granted(storage, key, config)
            self._compare(lambda: _lock_names(storage))
            yield repository
        finally:
            storage.close()

    def _compare(self, locks: Callable[[], list[str]]) -> None:
        """Prove that the same source or target, and the same repository, are here (R10).

        ``locks`` are the repository's as they are seen here. What changes meanwhile is looked at again.
        """
        difference = ""
        for _ in range(_LOOKS):
            theirs = self._ask()
            here = PathMap(self._maps).here
            ours = Sight(look_at((entry.path for entry in theirs.entries), here), locks())
            difference = first_difference(theirs, ours)
            if not difference and theirs.target is not None:
                difference = target_difference(theirs.target, here, self._member)
            if not difference:
                return
        raise refusal(self._member, difference)

    def _synchronized_lookup(self, repository: Repository, job_id: str = "") -> Path:
        """This machine's own lookup, equal to the repository's indexes (R4)."""
        directory = repository_cache_directory(self._cache_directory, repository.id)
        lookup = DedupLookup(directory / LOOKUP_NAME, repository.key, job=job_id)
        try:
            lookup.synchronize(repository.list_ids(FileKind.INDEX), repository.load_index)
        finally:
            lookup.close()
        return lookup.path


HANDLERS = (BACKUP, RESTORE, CHECK, PRUNE, VERIFY)
"""What the workers of a member run, and nothing else."""


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
