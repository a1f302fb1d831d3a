"""An open repository for one operation: storage, keys, lock, lookup, closed in order whatever happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from argosy.errors import Interrupted, RepositoryLocked, UsageError
from argosy.repository.cache import DEFAULT_LIMIT_BYTES, SealedCache, repository_cache_directory
from argosy.repository.early_key import EarlyKey
from argosy.repository.layout import FileKind
from argosy.repository.locks import RepositoryLock, acquire
from argosy.repository.repository import Repository, open_repository, open_with_key
from argosy.storage.discarding import DiscardingStorage
from argosy.storage.interface import Storage
from argosy.storage.open import open_storage
from argosy.storage.options import StorageOptions

# What a session opens only when asked is imported then: the key's derivation, which most commands wait for, begins the
# sooner.
if TYPE_CHECKING:
    from argosy.repository.blobs import BlobReader
    from argosy.repository.lookup import DedupLookup

LOOKUP_NAME = "lookup.sqlite"

_LOOK_SECONDS = 0.2


class Access(msgspec.Struct, frozen=True):
    """How to get at a repository. ``password`` is asked for late, because init may have to ask twice.

    ``early_key`` is the key that this password opens, where it is being derived already.
    While another's lock is waited for ``on_wait`` has heard, in words, whose it is, and ``stop_requested`` is asked.
    """

    location: str
    password: Callable[[], bytes]
    cache_directory: Path
    storage_options: StorageOptions = msgspec.field(default_factory=StorageOptions)
    key_hint: str | None = None
    no_lock: bool = False
    retry_lock_seconds: float = 0.0
    early_key: EarlyKey | None = None
    on_wait: Callable[[str], None] = lambda _: None
    stop_requested: Callable[[], bool] = lambda: False
    cache_limit_bytes: int = DEFAULT_LIMIT_BYTES


def open_accessed(storage: Storage, access: Access) -> Repository:
    """The repository in ``storage``, which is where ``access`` says; errors as ``open_repository``."""
    found = None if access.early_key is None else access.early_key.wait()
    if found is not None:
        return open_with_key(storage, *found)
    return open_repository(storage, access.password(), access.key_hint)


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
        from argosy.repository.lookup import DedupLookup

        directory = repository_cache_directory(self.access.cache_directory, self.repository.id)
        lookup = DedupLookup(directory / LOOKUP_NAME, self.repository.key, job=job)
        self._stack.callback(lookup.close)
        lookup.synchronize(self.repository.list_ids(FileKind.INDEX), self.repository.load_index)
        return lookup

    def blob_reader(self, lookup: DedupLookup) -> BlobReader:
        """Reads blobs, verified by MAC and hash."""
        from argosy.repository.blobs import BlobReader

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
        repository = create(storage) if create is not None else open_accessed(storage, access)
        cache_directory = repository_cache_directory(access.cache_directory, repository.id)
        repository.use_cache(SealedCache(cache_directory, access.cache_limit_bytes))
        held = None
        if lock and not access.no_lock:
            if confirm or access.retry_lock_seconds:
                # Whoever can wait is given a lock that stands: a conflict in its first 200 ms is waited for, too.
                held = _acquire(repository, exclusive, access, on_refresh)
            else:
                held = RepositoryLock.begin(repository, exclusive=exclusive, on_refresh=on_refresh)
            stack.callback(held.release)
        yield Session(access, storage, repository, held, stack)


def _acquire(
    repository: Repository, exclusive: bool, access: Access, on_refresh: Callable[[float], None] | None
) -> RepositoryLock:
    """See ``acquire``; Interrupted if a stop is asked for meanwhile."""

    def on_wait(error: RepositoryLocked) -> None:
        access.on_wait(f"{error.message}; waiting for it, {access.retry_lock_seconds:,.0f} seconds at most")

    def sleep(seconds: float) -> None:
        ends_at = time.monotonic() + seconds
        while (left_seconds := ends_at - time.monotonic()) > 0:
            if access.stop_requested():
                raise Interrupted("stopped on request while another's lock was waited for", hint="Nothing was begun.")
            time.sleep(min(left_seconds, _LOOK_SECONDS))

    return acquire(
        repository, exclusive, access.retry_lock_seconds, on_refresh=on_refresh, on_wait=on_wait, sleep=sleep
    )
