"""The work of a check, in a repository that is open and locked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from argosy.engine.here import make_engine_here
from argosy.engine.interface import Engine, MakeEngine
from argosy.engine.local import worker_count
from argosy.errors import ArgosyError, Damaged, LeaseLost, StateError
from argosy.operations.check.coordinator import Coordinator
from argosy.operations.check.handler import HANDLER
from argosy.operations.check.inventory import MOST_INDEX_BYTES, Inventory, PackMark
from argosy.operations.check.messages import PROTOCOL, PackWork, WorkerSetup, encode
from argosy.operations.check.options import CheckObserver, CheckOptions, CheckResult, Part, Problem
from argosy.operations.check.reading import RepositoryReader, loaded_ahead
from argosy.operations.check.readings import Readings
from argosy.operations.check.subset import ReadSubset
from argosy.operations.check.walk import TreeWalk
from argosy.operations.heap import give_back_freed_memory
from argosy.operations.session import LOOKUP_NAME, Session
from argosy.repository.blob_location import Location
from argosy.repository.blobs import BlobReader
from argosy.repository.cache import repository_cache_directory
from argosy.repository.layout import FileKind
from argosy.repository.lookup import DedupLookup
from argosy.restic_format.blob import BlobType
from argosy.restic_format.config import encode_config

# A task of packs: enough that its message costs nothing, little enough that the last ones end together, and that its
# packs' headers (41 bytes a blob) take no memory to speak of.
_BYTES_A_TASK = 8 * 1024 * 1024
_HEADER_BYTES_A_TASK = 256 * 1024
_PACKS_A_TASK = 64
# Of indexes up to this size, sealed, what they say of packs is kept for --read-data: about as many bytes, of 200,000
# blobs. Larger ones are read a second time for it.
_KEPT_INDEX_BYTES = 8 * 1024 * 1024
_NOT_NOTED = "what is read is not noted, so that this check would start again if it were interrupted"


class Check:
    """One run; see ``run.run_check``. Whatever is to be undone at the end goes on ``stack``."""

    def __init__(
        self,
        session: Session,
        options: CheckOptions,
        observer: CheckObserver,
        state_directory: Path | None,
        make_engine: MakeEngine | None,
        stack: ExitStack,
    ) -> None:
        self._session = session
        self._stack = stack
        self._workers = options.workers or worker_count()
        # By now the workers have ended in order, or there is no reason to wait for them.
        self._engine: Engine = (make_engine or make_engine_here)(self._workers, os.uname().nodename)
        stack.callback(self._engine.cancel)
        self._readings = _open_readings(session, options, observer, state_directory, stack)
        self._repository = session.repository
        self._options = options
        self._observer = observer
        self._result = CheckResult()
        self._broken_packs: set[bytes] = set()
        self._reader = RepositoryReader(session.repository, observer, self._result, self._problem)

    def run(self) -> CheckResult:
        """Check, and tell what is wrong."""
        repository, observer, reader = self._repository, self._observer, self._reader
        self._engine.start(encode(self._setup()), HANDLER)
        self._engine.prepare(HANDLER, self._workers)
        coordinator = Coordinator(self._engine, observer, self._result, self._problem, self._sound)
        # Snapshots before indexes, indexes before packs: what a running backup adds meanwhile is then no problem.
        snapshot_ids = repository.list_ids(FileKind.SNAPSHOT)
        observer.message("load indexes")
        inventory, index_ids, complete = self._take_inventory()
        observer.message("check all packs")
        reader.compare_packs(inventory, complete=complete)
        observer.message("check snapshots, trees and blobs")
        reader.check_keys()
        reader.check_locks(b"" if self._session.lock is None else self._session.lock.id)
        walk = self._walk(inventory, complete=complete)
        for stored in reader.snapshots(snapshot_ids):
            walk.add_snapshot(stored)
        packs: Iterator[PackWork] = iter(())
        if self._options.subset is not None:
            self._choose(inventory, self._options.subset, coordinator)
            packs = self._pack_works(inventory, index_ids)
        # Reading harms nobody, so the lock stands its time alone meanwhile.
        coordinator.run(walk, packs, self._confirm_lock)
        self._engine.close()
        return self._end(walk)

    def _confirm_lock(self) -> None:
        if self._session.lock is not None:
            self._session.lock.confirm()

    def _end(self, walk: TreeWalk) -> CheckResult:
        self._note(Readings.finish)
        result = self._result
        result.broken_packs = sorted(pack_id.hex() for pack_id in self._broken_packs)
        if walk.not_looked_at:
            self._observer.message(
                f"{walk.not_looked_at} references lead to blobs that only an unreadable index may list; they were not"
                " tested"
            )
        if self._session.lock is not None:
            try:
                self._session.lock.check()
            except LeaseLost as error:
                raise LeaseLost(
                    "the repository's lock was lost, so what this check found may be wrong",
                    hint="Run the check again while nothing else changes the repository.",
                ) from error
        return result

    def _sound(self, pack_id: bytes) -> None:
        self._note(lambda readings: readings.note(pack_id))

    def _note(self, do: Callable[[Readings], None]) -> None:
        """Only a rolling check ends when it cannot be noted what was read: any other has found what it has found."""
        if self._readings is None or self._options.subset is None:
            return
        try:
            do(self._readings)
        except (StateError, Damaged) as error:
            if self._options.subset.rolling_seconds:
                raise
            self._readings = None
            self._observer.message(f"{_NOT_NOTED}: {error.message}")

    def _problem(self, problem: Problem) -> None:
        self._result.problems += 1
        if problem.part is Part.PACK and problem.identity:
            self._broken_packs.add(problem.identity)
        if problem.part is Part.INDEX:
            self._result.suggest_repair_index = True
        self._observer.problem(problem)

    def _setup(self) -> WorkerSetup:
        access, repository = self._session.access, self._repository
        cache = repository_cache_directory(access.cache_directory, repository.id) if self._options.with_cache else ""
        return WorkerSetup(
            protocol=PROTOCOL,
            location=access.location,
            # The master reads next to nothing meanwhile.
            storage_options=access.storage_options.shared_by(self._workers),
            master_key=repository.key.material,
            repository_config=encode_config(repository.config),
            cache_directory=str(cache),
            cache_limit_bytes=access.cache_limit_bytes,
        )

    def _take_inventory(self) -> tuple[Inventory, list[bytes], bool]:
        """What the indexes say, the ids of those that could be read, and whether that is all of them."""
        sizes = dict(self._repository.list_files(FileKind.INDEX))
        size_bytes = sum(sizes.values())
        lookup = self._open_lookup() if size_bytes > MOST_INDEX_BYTES else None
        keeps_headers = self._options.subset is not None and size_bytes <= _KEPT_INDEX_BYTES
        inventory = Inventory(lookup, keeps_headers=keeps_headers)
        unreadable = self._reader.fill(inventory, sorted(sizes))
        self._repository.release_native_session()
        give_back_freed_memory()
        readable = sorted(sizes.keys() - unreadable)
        if lookup is not None:
            lookup.synchronize(readable, self._repository.load_index)
        return inventory, readable, not unreadable

    def _open_lookup(self) -> DedupLookup:
        directory = repository_cache_directory(self._session.access.cache_directory, self._repository.id)
        lookup = DedupLookup(directory / LOOKUP_NAME, self._repository.key)
        self._stack.callback(lookup.close)
        return lookup

    def _walk(self, inventory: Inventory, *, complete: bool) -> TreeWalk:
        trees = BlobReader(self._repository, _TreePlaces(inventory))
        return TreeWalk(inventory.blobs, trees.load_tree, self._problem, complete=complete)

    def _choose(self, inventory: Inventory, subset: ReadSubset, coordinator: Coordinator) -> None:
        """Mark the packs that are to be read: of those that are there, with the right size."""
        readable = [entry.size_bytes for entry in inventory.packs() if entry.is_readable]
        readings = self._readings
        if readings is None:
            choose = subset.chooser(len(readable), sum(readable))
        else:
            ids = (entry.id for entry in inventory.packs() if entry.is_readable)
            choose = readings.chooser(subset, ids, len(readable), sum(readable))
        for entry in inventory.packs():
            if not entry.is_readable or not choose(entry.id):
                continue
            if readings is not None and readings.was_read(entry.id):
                self._result.packs_read_before += 1
                continue
            inventory.mark(entry, PackMark.CHOSEN)
            coordinator.packs_to_read += 1
            coordinator.bytes_to_read += entry.size_bytes
        self._observer.message(f"{subset.description} ({coordinator.packs_to_read} of {inventory.pack_count} packs)")
        if self._result.packs_read_before:
            self._observer.message(
                f"goes on with a check that was interrupted: that has read {self._result.packs_read_before} packs"
            )

    def _pack_works(self, inventory: Inventory, index_ids: list[bytes]) -> Iterator[PackWork]:
        """The chosen packs in tasks."""
        packs: list[tuple[bytes, int, bytes]] = []
        size_bytes = header_bytes = 0
        for pack_id, header in self._headers(inventory, index_ids):
            entry = inventory.pack(pack_id)
            if entry is None or PackMark.CHOSEN not in entry.marks:
                continue
            packs.append((pack_id, entry.size_bytes, header))
            size_bytes += entry.size_bytes
            header_bytes += len(header)
            if size_bytes >= _BYTES_A_TASK or header_bytes >= _HEADER_BYTES_A_TASK or len(packs) >= _PACKS_A_TASK:
                yield PackWork(packs)
                packs, size_bytes, header_bytes = [], 0, 0
        if packs:
            yield PackWork(packs)

    def _headers(self, inventory: Inventory, index_ids: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Each pack with its header by the index that lists it first."""
        if inventory.headers is not None:
            yield from inventory.headers.items()
            return
        for index_id, packs in loaded_ahead(self._repository, index_ids):
            if isinstance(packs, ArgosyError):
                self._problem(Problem(Part.INDEX, f"index {index_id.hex()}", packs.message, index_id))
                continue
            for pack in packs:
                entry = inventory.pack(pack.id)
                if entry is not None and inventory.index_ids[entry.index_no] == index_id and not pack.impossible:
                    yield pack.id, pack.header


class _TreePlaces:
    """The inventory's places of trees, for a BlobReader."""

    def __init__(self, inventory: Inventory) -> None:
        self._blobs = inventory.blobs

    def find(self, blob_id: bytes, blob_type: int = BlobType.TREE, /) -> list[Location]:
        """Every place of a tree."""
        del blob_type
        return self._blobs.find_tree(blob_id)


def _open_readings(
    session: Session, options: CheckOptions, observer: CheckObserver, directory: Path | None, stack: ExitStack
) -> Readings | None:
    """Where to note what is read, if anything is. Only a rolling check cannot do without."""
    subset = options.subset
    if subset is None:
        return None
    try:
        if directory is None:
            raise StateError("there is no state directory", hint="Name one with --state-dir.")
        readings = Readings.open(directory, session.repository.id)
        stack.callback(readings.close)
        readings.begin(subset, resume=options.resume)
    except (StateError, Damaged) as error:
        if subset.rolling_seconds:
            raise
        observer.detail(f"{_NOT_NOTED}: {error.message}")
        return None
    return readings
