"""`argosy repair packs`: what is sound in damaged packs goes into new ones, and the damaged ones go.

A pack is read whole and kept as a file beside, whatever is in it. Each blob that an index or the pack's own header
places in it is tried: signature, length and hash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import msgspec

from argosy.errors import ArgosyError, Damaged, Interrupted, RepositoryError, StorageNotFound, UsageError
from argosy.operations.repair.listed_packs import ListedPacks
from argosy.operations.repair.losses import tell_losses
from argosy.operations.repair.options import Loss, RepairObserver
from argosy.operations.saving import BlobSaver, SavingOptions
from argosy.operations.session import Access, Session, open_session, refuse_no_lock
from argosy.repository.encoder import EncodedBlob, decode_blob
from argosy.repository.index_writer import write_indexes
from argosy.repository.layout import FileKind, object_name
from argosy.repository.repository import Repository
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.index import IndexedPack

BlobKey = tuple[BlobType, bytes]


class PacksRepairOptions(msgspec.Struct, frozen=True):
    """``copies_directory`` takes a copy of each pack as it was, ``pack-ID``."""

    pack_ids: Sequence[bytes]
    copies_directory: Path
    saving: SavingOptions = msgspec.field(default_factory=SavingOptions)
    crash_point: Callable[[str], None] = lambda _where: None


class PacksRepair(msgspec.Struct):
    """What was done. ``lost`` blobs were in the packs and are in no other; ``copies`` are the files written."""

    packs_removed: int = 0
    blobs_saved: int = 0
    lost: set[BlobKey] = msgspec.field(default_factory=set)
    copies: list[Path] = msgspec.field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0, or 1 if something is lost."""
        return 1 if self.lost else 0


def run_repair_packs(access: Access, options: PacksRepairOptions, observer: RepairObserver) -> PacksRepair:
    """Save what can be saved of the packs, and remove them. Files that miss something then are named.

    RepositoryError, and nothing is changed, for a pack that is neither there nor in an index, Damaged if an index
    cannot be read; RepositoryLocked if anybody else uses the repository.
    """
    refuse_no_lock(access, "repair packs")
    if not options.pack_ids:
        raise UsageError("no pack is named", hint="`argosy check --read-data` names the damaged ones.")
    with open_session(access, exclusive=True) as session:
        return repair_packs_in(session, options, observer)


def repair_packs_in(session: Session, options: PacksRepairOptions, observer: RepairObserver) -> PacksRepair:
    """The same in a session whose lock is exclusive."""
    repair = _Repair(session, options, observer).run()
    if repair.lost:
        observer.message(f"looking for the files that held {len(repair.lost)} lost blobs")
        tell_losses(session, observer)
    return repair


class _Repair:
    def __init__(self, session: Session, options: PacksRepairOptions, observer: RepairObserver) -> None:
        assert session.lock is not None, "--no-lock is refused"
        self._repository = session.repository
        self._check_lock = session.lock.check
        self._options = options
        self._observer = observer
        self._result = PacksRepair()
        # What indexes say of a pack beyond what ListedPacks keeps: the first that is possible.
        self._also_listed: dict[bytes, list[PackedBlob]] = {}

    def run(self) -> PacksRepair:
        """See ``run_repair_packs``."""
        self._observer.message("loading indexes")
        listed = ListedPacks.load(self._repository, self._on_damaged_index)
        present = dict(self._repository.list_files(FileKind.PACK))
        wanted = list(dict.fromkeys(self._options.pack_ids))
        self._refuse_unknown(wanted, listed.ids() | self._also_listed.keys() | present.keys())
        damaged: set[BlobKey] = set()
        saved: set[BlobKey] = set()
        with BlobSaver(self._repository, self._options.saving, self._check_lock) as saver:
            for pack_id in wanted:
                if self._observer.stop_requested():
                    raise Interrupted("stopped on request", hint="Nothing was removed. Run it again.")
                for key, blob in self._blobs(pack_id, listed, present.get(pack_id)):
                    if blob is None:
                        damaged.add(key)
                    elif key not in saved:
                        saver.add(blob)
                        saved.add(key)
            new_packs = saver.flush()
        self._result.blobs_saved = len(saved)
        self._result.lost = damaged - saved - _elsewhere(listed, damaged - saved, set(wanted))
        self._options.crash_point("new packs are stored")
        # Safe to die here: the damaged packs and their indexes are as they were.
        self._replace(listed, set(wanted), [IndexedPack(pack.id, pack.blobs) for pack in new_packs], present)
        return self._result

    def _on_damaged_index(self, _index_id: bytes, pack: IndexedPack | None, error: Damaged) -> None:
        if pack is None:
            raise Damaged(error.message, hint="Nothing was changed. Run `argosy repair index` first.")
        self._also_listed.setdefault(pack.id, []).extend(pack.blobs)

    def _refuse_unknown(self, wanted: Sequence[bytes], known: set[bytes]) -> None:
        if unknown := [pack_id.hex() for pack_id in wanted if pack_id not in known]:
            raise RepositoryError(
                f"no such pack is there or in an index: {', '.join(unknown)}",
                hint="Nothing was changed. `argosy list packs` prints the ids.",
            )

    def _blobs(
        self, pack_id: bytes, listed: ListedPacks, size_bytes: int | None
    ) -> Iterator[tuple[BlobKey, EncodedBlob | None]]:
        """Each blob that should be in a pack, sealed as it stands there, or None if it is not sound."""
        data = self._read(pack_id) if size_bytes is not None else b""
        places = dict.fromkeys(listed.blobs(pack_id) if pack_id in listed else ())
        places |= dict.fromkeys(self._also_listed.get(pack_id, ()))
        places |= dict.fromkeys(self._header(pack_id, size_bytes))
        if not places:
            self._observer.lost(Loss("nothing tells what is in it", pack=pack_id))
        for blob in places:
            yield (blob.type, blob.id), _sound(self._repository, data, blob)

    def _read(self, pack_id: bytes) -> bytes:
        """A pack's bytes, right or not; they are kept in a file, too."""
        try:
            data = self._repository.storage.get(object_name(FileKind.PACK, pack_id))
        except StorageNotFound:
            return b""
        path = self._options.copies_directory / f"pack-{pack_id.hex()}"
        _keep(path, data)
        self._result.copies.append(path)
        return data

    def _header(self, pack_id: bytes, size_bytes: int | None) -> list[PackedBlob]:
        if size_bytes is None:
            return []
        try:
            return self._repository.load_pack_header(pack_id, size_bytes)
        except (Damaged, StorageNotFound):
            return []

    def _replace(
        self, listed: ListedPacks, leaving: set[bytes], new_packs: Sequence[IndexedPack], present: dict[bytes, int]
    ) -> None:
        crash_point = self._options.crash_point
        old = listed.indexes_to_replace(leaving)
        write_indexes(self._repository, chain(listed.staying(old, leaving), new_packs), check=self._check_lock)
        crash_point("new indexes are stored")
        # Safe to die here: what was saved is listed twice, which the next prune puts in order.
        for index_id in old:
            self._check_lock()
            self._repository.delete(FileKind.INDEX, index_id)
        crash_point("old indexes are deleted")
        # Safe to die here: the damaged packs are in no index.
        for pack_id in sorted(leaving & present.keys()):
            self._check_lock()
            self._repository.delete(FileKind.PACK, pack_id)
            self._result.packs_removed += 1
            crash_point("a pack is deleted")


def _sound(repository: Repository, data: bytes, blob: PackedBlob) -> EncodedBlob | None:
    sealed = data[blob.offset : blob.offset + blob.length]
    try:
        decode_blob(repository.opener(), blob.id, sealed, blob.uncompressed_length, "blob")
    except Damaged:
        return None
    return EncodedBlob(blob.id, blob.type, sealed, blob.uncompressed_length)


def _elsewhere(listed: ListedPacks, keys: set[BlobKey], without: set[bytes]) -> set[BlobKey]:
    """Those of the blobs that other packs hold as well."""
    if not keys:
        return set()
    return {
        key
        for pack_id, blobs in listed
        if pack_id not in without
        for blob in blobs
        if (key := (blob.type, blob.id)) in keys
    }


def _keep(path: Path, data: bytes) -> None:
    """Write a file that must not be there yet, unless it holds the same."""
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError as error:
        if path.read_bytes() != data:
            raise ArgosyError(f"{path} is there already", hint="Nothing was removed. Move it away.") from error
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ArgosyError(
            f"the copy {path} cannot be written: {error.strerror}",
            hint="Nothing was removed. Run it in a directory with room for the packs.",
        ) from error
