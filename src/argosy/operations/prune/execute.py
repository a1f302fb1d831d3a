"""Carries out a plan, in the order that leaves a whole repository whenever it dies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

from argosy.engine.interface import MakeEngine
from argosy.errors import Damaged
from argosy.operations.prune.blob_marks import BlobMarks
from argosy.operations.prune.contents import PackContents
from argosy.operations.prune.copying import Copying
from argosy.operations.prune.options import PruneObserver, PruneOptions
from argosy.operations.prune.plan import PrunePlan
from argosy.operations.prune.repacking import PackShare
from argosy.operations.session import Session
from argosy.repository.index_writer import write_indexes_of_headers
from argosy.repository.layout import FileKind
from argosy.repository.locks import RepositoryLock
from argosy.repository.pack_builder import BuiltPack
from argosy.restic_format.index import PackListing
from argosy.restic_format.pack import count_blobs

T = TypeVar("T")

_DELETED_AT_ONCE = 8
# Marks of blobs, once it is known which packs go: whether a copy must still be made.
_NEEDED = 0
_DONE = 1


class Execution:
    """One run. ``stop`` raises when it is to end."""

    def __init__(
        self,
        session: Session,
        options: PruneOptions,
        observer: PruneObserver,
        make_engine: MakeEngine,
        lock: RepositoryLock,
        stop: Callable[[], None],
    ) -> None:
        self._session = session
        self._repository = session.repository
        self._options = options
        self._observer = observer
        self._make_engine = make_engine
        self._lock = lock
        self._stop = stop
        self._stored: list[BuiltPack] = []

    def run(self, plan: PrunePlan, contents: PackContents, used: BlobMarks) -> None:
        """Do it all. Damaged, and nothing that is needed is gone, if a blob cannot be read."""
        if plan.unfinished:
            # First, since it makes room for what is repacked.
            self._observer.detail(f"deleting {len(plan.unfinished)} unfinished files of killed writers")
            self._delete_each(sorted(file.name for file in plan.unfinished), self._repository.storage.delete)
        # Safe to die here: no object has such a name, and the next prune finds the rest.
        if not plan.spares_packs:
            self._run_on_packs(plan, contents, used)

    def _run_on_packs(self, plan: PrunePlan, contents: PackContents, used: BlobMarks) -> None:
        crash_point = self._options.crash_point
        if plan.unindexed:
            self._observer.detail(f"deleting {len(plan.unindexed)} packs that no index lists")
            self._delete(FileKind.PACK, plan.unindexed)
        crash_point("packs in no index are deleted")
        if plan.repack:
            self._observer.detail(f"repacking {len(plan.repack)} packs")
            self._repack(plan, contents, used)
        crash_point("new packs are stored")
        # Safe to die here: what is in no index is deleted by the next prune, and the old packs are all there.
        old_indexes = contents.indexes_to_replace(plan.leaving)
        if old_indexes:
            self._observer.detail(f"replacing {len(old_indexes)} indexes")
            listed = chain(
                ((pack.id, pack.header) for pack in contents.staying(old_indexes, plan.leaving)),
                ((pack.id, pack.header) for pack in self._stored),
            )
            write_indexes_of_headers(self._repository, listed, check=self._lock.check)
        crash_point("new indexes are stored")
        # Safe to die here: blobs are listed twice, and the next prune takes one of the copies for unused.
        self._delete(FileKind.INDEX, old_indexes)
        crash_point("old indexes are deleted")
        # Safe to die here: the old packs are in no index any more.
        old_packs = plan.remove | plan.repack
        if old_packs:
            self._observer.detail(f"deleting {len(old_packs)} old packs")
            self._delete(FileKind.PACK, old_packs)
        crash_point("old packs are deleted")

    def _repack(self, plan: PrunePlan, contents: PackContents, used: BlobMarks) -> None:
        """Copy what is needed of the packs into new ones, each blob once."""
        wanted = _wanted(plan, contents, used)
        needed = sum(flags.count(1) for flags in wanted.values())
        copying = Copying(
            self._session, self._options, self._observer, self._make_engine, self._lock, self._on_stored, self._stop
        )
        packs = sum(1 in flags for flags in wanted.values())
        copying.run(_shares(contents, wanted), packs, plan.stats.to_repack.size_bytes)
        copied = sum(count_blobs(pack.header) for pack in self._stored)
        if copied != needed:
            raise Damaged(
                f"{needed} blobs were to be repacked, and {copied} were",
                hint="Nothing was deleted that is needed. This is a bug: report it.",
            )

    def _on_stored(self, pack: BuiltPack) -> None:
        self._stored.append(pack)
        self._options.crash_point("a new pack is stored")

    def _delete(self, kind: FileKind, ids: Collection[bytes]) -> None:
        self._delete_each(sorted(ids), lambda identity: self._repository.delete(kind, identity))

    def _delete_each(self, ordered: Sequence[T], delete: Callable[[T], None]) -> None:
        def delete_one(what: T) -> None:
            self._lock.check()
            delete(what)
            self._options.crash_point("a file is deleted")

        if self._repository.storage.is_local:
            for what in ordered:
                delete_one(what)
        else:
            with ThreadPoolExecutor(_DELETED_AT_ONCE, thread_name_prefix="delete") as threads:
                list(threads.map(delete_one, ordered))


def _wanted(plan: PrunePlan, contents: PackContents, used: BlobMarks) -> dict[bytes, bytearray]:
    """What is needed of each pack to be repacked, and of none before it nor of one that stays: a byte for each blob.

    ``used`` is empty then, since its memory is needed for the copying.
    """
    repacked = [contents[pack_id] for pack_id in sorted(plan.repack)]
    for pack in repacked:
        used.change(pack.header, None, _NEEDED, count_blobs(pack.header))
    for pack_id in plan.keep:
        header = contents[pack_id].header
        used.change(header, _NEEDED, _DONE, count_blobs(header))
    wanted = {pack.id: used.change(pack.header, _NEEDED, _DONE, count_blobs(pack.header)) for pack in repacked}
    used.clear()
    return wanted


def _shares(contents: PackContents, wanted: Mapping[bytes, bytearray]) -> Iterator[tuple[PackShare, PackListing]]:
    for pack_id, flags in wanted.items():
        pack = contents.take(pack_id)
        if 1 in flags:
            yield PackShare(pack_id, pack.header, flags), pack
