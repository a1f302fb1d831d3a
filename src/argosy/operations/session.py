"""An open repository for one operation: storage, keys, lock, lookup, closed in order whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from argosy.errors import UsageError
from argosy.repository.blobs import BlobReader
from argosy.repository.cache import DEFAULT_LIMIT_BYTES, SealedCache, repository_cache_directory
from argosy.repository.layout import FileKind
from argosy.repository.locks import RepositoryLock, acquire
from argosy.repository.lookup import DedupLookup
from argosy.repository.repository import Repository, open_repository
from argosy.storage.discarding import DiscardingStorage
from argosy.storage.interface import Storage
from argosy.storage.open import open_storage
from argosy.storage.options import StorageOptions

LOOKUP_NAME = "lookup.sqlite"


class Access(msgspec.Struct, frozen=True):
    """How to get at a repository. ``password`` is asked for late, because init may have to ask twice."""

    location: str
    password: Callable[[], bytes]
    cache_directory: Path
    storage_options: StorageOptions = msgspec.field(default_factory=StorageOptions)
    key_hint: str | None = None
    no_lock: bool = False
    retry_lock_seconds: float = 0.0
    cache_limit_bytes: int = DEFAULT_LIMIT_BYTES


def refuse_no_lock(access: Access, verb: str, *, dry_run: bool | None = None) -> None:
    """UsageError for --no-lock with a verb that changes the repository; ``dry_run`` None: it knows no dry run."""
    if access.no_lock and not dry_run:
        hint = "Leave out --no-lock." if dry_run is None else "Leave out --no-lock, or add --dry-run."
        raise UsageError(f"{verb} needs its lock", hint=hint)


class Session(msgspec.Struct):
    """What an operation works with. ``lookup`` and ``blobs`` come with ``open_lookup``."""

    access: Access
    storage: Storage
    repository: Repository
    lock: RepositoryLock | None
    _stack: ExitStack

    def open_lookup(self, *, job: str = "") -> DedupLookup:
        """The dedup lookup, made equal to the repository's indexes (removals first)."""
        directory = repository_cache_directory(self.access.cache_directory, self.repository.id)
        lookup = DedupLookup(directory / LOOKUP_NAME, self.repository.key, job=job)
        self._stack.callback(lookup.close)
        lookup.synchronize(self.repository.list_ids(FileKind.INDEX), self.repository.load_index)
        return lookup

    def blob_reader(self, lookup: DedupLookup) -> BlobReader:
        """Reads blobs, verified by MAC and hash."""
        return BlobReader(self.repository, lookup)


@contextmanager
def open_session(
    access: Access,
    *,
    exclusive: bool = False,
    lock: bool = True,
    create: Callable[[Storage], Repository] | None = None,
    on_refresh: Callable[[float], None] | None = None,
    confirm: bool = True,
    discard_writes: bool = False,
) -> Iterator[Session]:
    """Open the repository, lock it (unless ``no_lock``), and undo both at the end.

    ``create`` makes the repository; it is called instead of opening one. ``discard_writes`` is for dry runs. With
    ``confirm`` False the caller confirms the lock itself, before it writes: what it reads meanwhile overlaps with the
    200 ms that a lock must stand alone. While another lock conflicts it is tried for ``retry_lock_seconds``.
    """
    with ExitStack() as stack:
        storage = open_storage(access.location, access.storage_options)
        if discard_writes:
            storage = DiscardingStorage(storage)
        stack.callback(storage.close)
        if create is not None:
            repository = create(storage)
        else:
            repository = open_repository(storage, access.password(), access.key_hint)
        cache_directory = repository_cache_directory(access.cache_directory, repository.id)
        repository.use_cache(SealedCache(cache_directory, access.cache_limit_bytes))
        held = None
        if lock and not access.no_lock:
            if confirm or access.retry_lock_seconds:
                # Whoever can wait is given a lock that stands: a conflict in its first 200 ms is waited for, too.
                held = acquire(repository, exclusive, access.retry_lock_seconds, on_refresh=on_refresh)
            else:
                held = RepositoryLock.begin(repository, exclusive=exclusive, on_refresh=on_refresh)
            stack.callback(held.release)
        yield Session(access, storage, repository, held, stack)
