"""The first part of a check: keys, locks, snapshots, indexes and the list of packs are read by the master itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from argosy.errors import ArgosyError, Damaged, StorageNotFound
from argosy.operations.check.inventory import Inventory, PackEntry, PackMark
from argosy.operations.check.options import CheckObserver, CheckResult, Part, Problem
from argosy.operations.key_files import load_key_file
from argosy.repository.layout import FileKind, id_of_name, object_name
from argosy.repository.lock_files import describe, is_stale, load_lock
from argosy.repository.process_identity import current_identity
from argosy.repository.repository import Repository
from argosy.repository.snapshots import StoredSnapshot, load_snapshot
from argosy.restic_format.index import PackListing

# Indexes fetched ahead of the one that is noted: hides a remote store's latency. One of 50,000 blobs takes 10 MB.
_AHEAD = 4

Listed = list[PackListing] | ArgosyError


class RepositoryReader:
    """Reads and compares; what is wrong goes to ``problem``."""

    def __init__(
        self, repository: Repository, observer: CheckObserver, result: CheckResult, problem: Callable[[Problem], None]
    ) -> None:
        self._repository = repository
        self._observer = observer
        self._result = result
        self._problem = problem

    def check_keys(self) -> None:
        """Every key file must be readable: the one that opened the repository may be lost next."""
        for key_id in self._repository.list_ids(FileKind.KEY):
            try:
                load_key_file(self._repository.storage, key_id)
            except StorageNotFound:
                continue  # removed since the listing
            except Damaged as error:
                self._problem(_problem(Part.KEY, FileKind.KEY, key_id, error))

    def check_locks(self, own: bytes) -> None:
        """Locks besides our own: one that cannot be read stops every command; a stale one is a hint."""
        for lock_id, size_bytes in list(self._repository.list_files(FileKind.LOCK)):
            if lock_id == own or not size_bytes:
                continue
            try:
                lock = load_lock(self._repository, lock_id).file
            except StorageNotFound:
                continue
            except Damaged as error:
                self._problem(_problem(Part.LOCK, FileKind.LOCK, lock_id, error))
            else:
                if is_stale(lock, time.time_ns(), current_identity()):
                    self._observer.hint(
                        f"stale {describe(lock, time.time_ns())}: its holder is gone; `argosy unlock` removes it"
                    )

    def snapshots(self, snapshot_ids: Sequence[bytes]) -> Iterator[StoredSnapshot]:
        """Every snapshot that can be read."""
        for snapshot_id in snapshot_ids:
            try:
                stored = load_snapshot(self._repository, snapshot_id)
            except ArgosyError as error:
                self._problem(_problem(Part.SNAPSHOT, FileKind.SNAPSHOT, snapshot_id, error))
            else:
                self._result.snapshots += 1
                yield stored

    def fill(self, inventory: Inventory, index_ids: Sequence[bytes]) -> list[bytes]:
        """Note every index that can be read; returns those that cannot."""
        unreadable = []
        for index_id, packs in loaded_ahead(self._repository, index_ids):
            if isinstance(packs, ArgosyError):
                unreadable.append(index_id)
                self._problem(_problem(Part.INDEX, FileKind.INDEX, index_id, packs))
                continue
            name = f"index {index_id.hex()}"
            for reason in inventory.add_index(index_id, packs, self._listed_twice(inventory, name)):
                self._problem(Problem(Part.INDEX, name, reason, index_id))
        return unreadable

    def compare_packs(self, inventory: Inventory, *, complete: bool) -> None:
        """Each pack that an index lists must be there with the right size; others are counted."""
        repository, result = self._repository, self._result
        for info in repository.storage.list(FileKind.PACK.prefix):
            pack_id = id_of_name(info.name)
            if pack_id is None:
                continue
            entry = inventory.pack(pack_id)
            if info.name != _place(pack_id):
                self._observer.hint(f"{info.name} is in the wrong directory; its place is {_place(pack_id)}")
            elif entry is None:
                result.unindexed_packs += 1
                self._observer.detail(f"pack {pack_id.hex()} is in no index")
            elif entry.size_bytes == info.size_bytes:
                inventory.mark(entry, PackMark.PRESENT)
            else:
                inventory.mark(entry, PackMark.PRESENT | PackMark.DAMAGED)
                reason = f"it has {info.size_bytes} bytes, not the {entry.size_bytes} that its index tells"
                self._problem(Problem(Part.PACK, f"pack {pack_id.hex()}", reason, pack_id))
        for entry in inventory.packs():
            result.packs += 1
            if PackMark.PRESENT not in entry.marks:
                index_id = inventory.index_ids[entry.index_no]
                reason = f"it does not exist, but index {index_id.hex()} lists it"
                self._problem(Problem(Part.PACK, f"pack {entry.id.hex()}", reason, entry.id))
            if PackMark.MIXED in entry.marks:
                result.suggest_prune = True
                self._observer.hint(f"pack {entry.id.hex()} holds trees and data; `argosy prune` separates them")
        if result.unindexed_packs and complete:
            result.suggest_prune = True
            self._observer.hint(
                f"{result.unindexed_packs} packs are in no index: left by an interrupted backup, most likely;"
                " `argosy prune` removes them"
            )

    def _listed_twice(self, inventory: Inventory, name: str) -> Callable[[PackEntry, bool], None]:
        def tell(entry: PackEntry, agrees: bool) -> None:
            first = f"index {inventory.index_ids[entry.index_no].hex()}"
            self._result.suggest_repair_index = True
            if agrees:
                self._observer.hint(
                    f"pack {entry.id.hex()} is listed twice, in {first} and {name}; `argosy repair index` mends that"
                )
            else:
                reason = f"it lists pack {entry.id.hex()} differently than {first} does"
                self._problem(Problem(Part.INDEX, name, reason, entry.id))

        return tell


def loaded_ahead(repository: Repository, index_ids: Sequence[bytes]) -> Iterator[tuple[bytes, Listed]]:
    """Each index's packs, or why it cannot be read; of a remote repository a few are fetched while one is used."""

    def load(index_id: bytes) -> Listed:
        try:
            return repository.load_listing(index_id)
        except ArgosyError as error:
            return error

    if repository.storage.is_local or len(index_ids) < 2:
        for index_id in index_ids:
            yield index_id, load(index_id)
        return
    with ThreadPoolExecutor(_AHEAD, thread_name_prefix="load-index") as threads:
        waiting: list[tuple[bytes, Future[Listed]]] = []
        try:
            for index_id in index_ids:
                waiting.append((index_id, threads.submit(load, index_id)))
                if len(waiting) > _AHEAD:
                    first_id, first = waiting.pop(0)
                    yield first_id, first.result()
            while waiting:
                first_id, first = waiting.pop(0)
                yield first_id, first.result()
        finally:
            for _, future in waiting:
                future.cancel()


def _place(pack_id: bytes) -> str:
    return object_name(FileKind.PACK, pack_id)


def _problem(part: Part, kind: FileKind, identity: bytes, error: ArgosyError) -> Problem:
    """A problem of a whole file; the error's own words start with its name, in some form."""
    what = f"{kind.label} {identity.hex()}"
    reason = error.message
    for name in (what, f"{kind.label} {identity.hex()[:8]}"):
        reason = reason.removeprefix(f"{name}: ")
    return Problem(part, what, reason, identity)
