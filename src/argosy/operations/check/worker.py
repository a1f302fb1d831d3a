"""A worker's half of a check: looks at trees and reads packs. It needs no state: every task says all there is to know.

A local repository is read in the worker's main thread: there is one worker for each processor. A remote one is read by
several threads, so that requests overlap with each other and with hashing, which runs without the interpreter's lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from argosy import native
from argosy.engine.interface import Outlet, Task
from argosy.engine.task_threads import TaskThreads
from argosy.errors import ArgosyError, EngineError
from argosy.operations.check.messages import (
    PROTOCOL,
    PacksRead,
    TreeFound,
    TreesFound,
    TreeWork,
    Work,
    WorkerSetup,
    decode_setup,
    decode_work,
    encode,
)
from argosy.operations.check.pack_checks import PackReader
from argosy.operations.check.tree_checks import look_at_tree
from argosy.operations.heap import keep_freed_memory
from argosy.operations.tree_names import read_tree_names
from argosy.repository.blob_location import Location
from argosy.repository.blobs import BlobReader
from argosy.repository.cache import SealedCache
from argosy.repository.repository import Repository
from argosy.repository.streamed_blob import HugeTree
from argosy.restic_format.blob import BlobType
from argosy.restic_format.config import decode_config
from argosy.restic_format.crypto import MasterKey
from argosy.storage.open import open_storage

_REMOTE_THREADS = 4
# Of remote tree packs that stay in memory, because their other trees are wanted soon.
_REMOTE_TREE_PACK_BYTES = 32 * 1024 * 1024
# A message grows to about this before it is sent.
_PART_BYTES = 256 * 1024


def check_worker(setup: bytes, outlet: Outlet) -> CheckWorker:
    """The engine's factory of workers."""
    if native.kernel() is None:  # which keeps its memory itself, and may do so in a process that is not all ours
        keep_freed_memory()
    return CheckWorker(decode_setup(setup), outlet)


class CheckWorker:
    """An engine handler (see ``engine.interface.Handler``)."""

    def __init__(self, setup: WorkerSetup, outlet: Outlet) -> None:
        if setup.protocol != PROTOCOL:
            raise EngineError(
                f"the master speaks protocol {setup.protocol}, this worker {PROTOCOL}", hint="Install the same version."
            )
        self._outlet = outlet
        self._storage = open_storage(setup.location, setup.storage_options)
        key, config = MasterKey.from_bytes(setup.master_key), decode_config(setup.repository_config)
        self._repository = Repository.from_grant(self._storage, key, config)
        if setup.cache_directory:
            self._repository.use_cache(SealedCache(Path(setup.cache_directory), setup.cache_limit_bytes))
        self._packs = PackReader(self._repository)
        self._threads = TaskThreads(outlet, 1 if self._storage.is_local else _REMOTE_THREADS)
        self._places: dict[bytes, list[Location]] = {}
        self._reader = BlobReader(self._repository, _Places(self._places), memory_bytes=2 * _REMOTE_TREE_PACK_BYTES)

    def work(self, task: Task) -> None:
        """Do a task, or hand it to a thread once one is free."""
        work = decode_work(task.payload)
        self._threads.run(task.id, partial(self._do, task.id, work))

    def notice(self, payload: bytes) -> None:
        """Nothing is broadcast in a check."""

    def idle(self) -> None:
        """Nothing is held back: a thread completes its task itself."""

    def close(self) -> None:
        """End in order."""
        self._threads.close()
        self._packs.close()
        self._storage.close()

    def _do(self, task_id: int, work: Work) -> None:
        if isinstance(work, TreeWork):
            self._look_at_trees(task_id, work)
        else:
            packs = [self._packs.read(*pack) for pack in work.packs]
            self._outlet.complete(task_id, encode(PacksRead(packs)))

    def _look_at_trees(self, task_id: int, work: TreeWork) -> None:
        found: list[TreeFound] = []
        size_bytes = 0
        for tree in self._trees(work):
            for part in _parts(tree):
                found.append(part)
                size_bytes += len(part.contents) + len(part.subtrees)
                if size_bytes >= _PART_BYTES:
                    self._outlet.progress(task_id, encode(TreesFound(found)))
                    found, size_bytes = [], 0
        self._outlet.complete(task_id, encode(TreesFound(found)))

    def _trees(self, work: TreeWork) -> Iterator[TreeFound]:
        left = dict(work.trees)
        self._places.update(left)
        try:
            for tree_id, found in self._read_trees(list(left)):
                yield from self._tree_alone(tree_id) if found is None else (found,)
                del left[tree_id]
        except ArgosyError:
            # One of them cannot be read: the rest is tried one by one.
            for tree_id in left:
                yield from self._tree_alone(tree_id)
        finally:
            for tree_id, _ in work.trees:
                self._places.pop(tree_id, None)

    def _read_trees(self, tree_ids: list[bytes]) -> Iterator[tuple[bytes, TreeFound | None]]:
        """What many trees name; None where one is to be looked at by itself."""
        session = self._repository.native_session()
        if session is None:
            for tree_id, parts in self._reader.load_trees(tree_ids):
                whole = None if isinstance(parts, HugeTree) else next(look_at_tree(tree_id, parts))
                yield tree_id, whole
            return
        for tree_id, names in read_tree_names(self._reader, session, tree_ids):
            yield tree_id, None if names is None else TreeFound(tree_id, *names)

    def _tree_alone(self, tree_id: bytes) -> Iterator[TreeFound]:
        try:
            parts = self._reader.load_tree(tree_id)
        except ArgosyError as error:
            yield TreeFound(tree_id, problems=[error.message.removeprefix(f"tree {tree_id.hex()} ")])
            return
        yield from look_at_tree(tree_id, parts)


class _Places:
    """The places that came with the tasks under way."""

    def __init__(self, places: Mapping[bytes, list[Location]]) -> None:
        self._places = places

    def find(self, blob_id: bytes, blob_type: int = BlobType.TREE, /) -> list[Location]:
        """Every place of a tree."""
        del blob_type
        return self._places[blob_id]


def _parts(tree: TreeFound) -> Iterator[TreeFound]:
    """A tree's findings in pieces that a message can hold."""
    if len(tree.contents) + len(tree.subtrees) <= _PART_BYTES:
        yield tree
        return
    yield TreeFound(tree.id, problems=tree.problems)
    for at in range(0, len(tree.subtrees), _PART_BYTES):
        yield TreeFound(tree.id, subtrees=tree.subtrees[at : at + _PART_BYTES])
    for at in range(0, len(tree.contents), _PART_BYTES):
        yield TreeFound(tree.id, contents=tree.contents[at : at + _PART_BYTES])
