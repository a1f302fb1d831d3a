"""`argosy repair index`: indexes that list every pack that is there, and what is in it, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import msgspec

from argosy.errors import Damaged, Interrupted, StorageNotFound
from argosy.operations.repair.listed_packs import ListedPacks
from argosy.operations.repair.options import Loss, RepairObserver
from argosy.operations.session import Access, Session, open_session, refuse_no_lock
from argosy.repository.index_writer import write_indexes
from argosy.repository.layout import FileKind
from argosy.repository.repository import Repository
from argosy.restic_format.index import IndexedPack
from argosy.restic_format.pack import pack_size_bytes

_READ_AT_ONCE = 8
# Headers that are read before anybody looks whether to stop.
_HEADERS_A_TURN = 256


class IndexRepair(msgspec.Struct):
    """What was done. ``dropped``: packs that an index listed and that are not there; what was in them is lost, unless
    other packs hold it. ``damaged``: packs whose own header cannot be read, with the reason; ``kept`` are those of them
    that stay listed as they were, since nothing else tells what is in them."""

    indexes_unreadable: list[bytes] = msgspec.field(default_factory=list)
    indexes_removed: int = 0
    indexes_written: int = 0
    packs_read: int = 0
    dropped: list[bytes] = msgspec.field(default_factory=list)
    damaged: dict[bytes, str] = msgspec.field(default_factory=dict)
    kept: set[bytes] = msgspec.field(default_factory=set)

    @property
    def exit_code(self) -> int:
        """0, or 1 if packs are damaged: `repair packs` is for them."""
        return 1 if self.damaged else 0


class IndexRepairOptions(msgspec.Struct, frozen=True):
    """``read_all_packs``: believe no index. ``crash_point`` is called where it may be killed."""

    read_all_packs: bool = False
    crash_point: Callable[[str], None] = lambda _where: None


def run_repair_index(access: Access, options: IndexRepairOptions, observer: RepairObserver) -> IndexRepair:
    """Mend the indexes. RepositoryLocked if anybody else uses the repository; Interrupted if asked to stop."""
    refuse_no_lock(access, "repair index")
    with open_session(access, exclusive=True) as session:
        return repair_index_in(session, options, observer)


def repair_index_in(session: Session, options: IndexRepairOptions, observer: RepairObserver) -> IndexRepair:
    """The same in a session whose lock is exclusive."""
    return _Repair(session, options, observer).run()


class _Repair:
    def __init__(self, session: Session, options: IndexRepairOptions, observer: RepairObserver) -> None:
        assert session.lock is not None, "--no-lock is refused"
        self._repository = session.repository
        self._check_lock = session.lock.check
        self._options = options
        self._observer = observer
        self._result = IndexRepair()
        # Packs that are listed in an impossible way, or in two.
        self._doubtful: set[bytes] = set()

    def run(self) -> IndexRepair:
        """See ``run_repair_index``."""
        observer, result = self._observer, self._result
        observer.message("loading indexes")
        listed = ListedPacks.load(self._repository, self._on_damaged)
        present = dict(self._repository.list_files(FileKind.PACK))
        result.dropped = sorted((listed.ids() | self._doubtful) - present.keys())
        for pack_id in result.dropped:
            observer.lost(Loss("it is not there; no index lists it any more", pack=pack_id))
        found = list(self._read_headers(listed, present))
        leaving = {pack.id for pack in found} | set(result.dropped) | (self._doubtful - result.kept)
        self._replace(listed, leaving, found)
        return result

    def _on_damaged(self, index_id: bytes, pack: IndexedPack | None, error: Damaged) -> None:
        self._observer.problem(Damaged(error.message))
        if pack is None:
            self._result.indexes_unreadable.append(index_id)
        else:
            self._doubtful.add(pack.id)

    def _read_headers(self, listed: ListedPacks, present: dict[bytes, int]) -> Iterator[IndexedPack]:
        """What the headers of packs list, where no index says the same."""
        to_read = present if self._options.read_all_packs else self._not_listed_rightly(listed, present)
        if to_read:
            self._observer.message(f"reading the headers of {len(to_read)} packs")
        for pack_id, header in _headers(self._repository, to_read, self._observer.stop_requested):
            if isinstance(header, Damaged):
                self._take_damaged(pack_id, header, is_listed=pack_id in listed)
                continue
            self._result.packs_read += 1
            if pack_id in self._doubtful or pack_id not in listed or listed.blobs(pack_id) != header.blobs:
                yield header

    def _not_listed_rightly(self, listed: ListedPacks, present: dict[bytes, int]) -> dict[bytes, int]:
        """Packs whose header must be read, with their sizes in bytes."""
        right = {pack_id for pack_id, blobs in listed if present.get(pack_id) == pack_size_bytes(blobs)}
        right -= self._doubtful
        return {pack_id: size_bytes for pack_id, size_bytes in present.items() if pack_id not in right}

    def _take_damaged(self, pack_id: bytes, error: Damaged, *, is_listed: bool) -> None:
        """A pack whose header cannot be read stays as it is listed: nothing else tells what is in it."""
        self._result.damaged[pack_id] = error.message
        if is_listed:
            self._result.kept.add(pack_id)
            hint = f"It stays as it is listed: `argosy repair packs {pack_id.hex()}` saves what is whole."
            self._observer.problem(Damaged(error.message, hint=hint))
        else:
            self._observer.lost(Loss(f"nothing tells what is in it ({error.message})", pack=pack_id))

    def _replace(self, listed: ListedPacks, leaving: set[bytes], found: Sequence[IndexedPack]) -> None:
        """Store the new indexes, then remove those that they replace."""
        old = listed.indexes_to_replace(leaving)
        if not old and not found:
            return
        self._observer.message(f"replacing {len(old)} indexes")
        written = write_indexes(self._repository, chain(listed.staying(old, leaving), found), check=self._check_lock)
        # Safe to die here: packs are listed twice, and the next repair or prune lists them once.
        self._options.crash_point("new indexes are stored")
        for index_id in old:
            self._check_lock()
            self._repository.delete(FileKind.INDEX, index_id)
            self._options.crash_point("an index is deleted")
        self._result.indexes_written, self._result.indexes_removed = len(written), len(old)


def _headers(
    repository: Repository, packs: dict[bytes, int], stop_requested: Callable[[], bool]
) -> Iterator[tuple[bytes, IndexedPack | Damaged]]:
    """What the header of each pack lists, or why it cannot be read. Several are read at once."""

    def load(pack_id: bytes) -> tuple[bytes, IndexedPack | Damaged]:
        try:
            return pack_id, IndexedPack(pack_id, repository.load_pack_header(pack_id, packs[pack_id]))
        except (Damaged, StorageNotFound) as error:
            return pack_id, Damaged(error.message, hint=error.hint)

    ids = sorted(packs)
    with ThreadPoolExecutor(_READ_AT_ONCE, thread_name_prefix="read-header") as threads:
        for at in range(0, len(ids), _HEADERS_A_TURN):
            if stop_requested():
                raise Interrupted("stopped on request", hint="Nothing was changed. Run it again.")
            yield from threads.map(load, ids[at : at + _HEADERS_A_TURN])
