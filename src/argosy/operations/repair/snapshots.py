"""`argosy repair snapshots`: what is lost for good is taken out of the snapshots, each of which is stored anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from argosy.errors import Damaged, Interrupted
from argosy.operations.id_table import IdTable
from argosy.operations.repair.mending import Mender
from argosy.operations.repair.options import Loss, RepairObserver
from argosy.operations.saving import SavingOptions
from argosy.operations.selection import OnDamaged, select_snapshots
from argosy.operations.session import Access, Session, open_session, refuse_no_lock
from argosy.operations.snapshot_replacing import Manner, SnapshotListener, remove_snapshot, replace_snapshot
from argosy.operations.tree_rewriting import TreeRewriter
from argosy.operations.tree_saving import TreeSaver
from argosy.repository.layout import FileKind
from argosy.repository.snapshots import ALL_SNAPSHOTS, SnapshotFilter, StoredSnapshot, resolve_id

_PACKS_NAMED = 5


class SnapshotsRepairOptions(msgspec.Struct, frozen=True):
    """``names``: the start of ids, or "latest"; else all that match ``wanted``. ``forget``: the old ones go, and those
    named that cannot be read."""

    names: Sequence[str] = ()
    wanted: SnapshotFilter = ALL_SNAPSHOTS
    forget: bool = False
    dry_run: bool = False
    saving: SavingOptions = msgspec.field(default_factory=SavingOptions)
    crash_point: Callable[[str], None] = lambda _where: None


class SnapshotsRepair(msgspec.Struct):
    """``changed``: snapshots stored anew or removed (in a dry run: that would be). ``left``: those left damaged."""

    changed: int = 0
    left: int = 0

    @property
    def exit_code(self) -> int:
        """0, or 1 if some snapshot was left damaged."""
        return 1 if self.left else 0


def run_repair_snapshots(
    access: Access, options: SnapshotsRepairOptions, observer: RepairObserver, listener: SnapshotListener
) -> SnapshotsRepair:
    """Mend snapshots. What is lost of them is told, path by path.

    Damaged, and nothing is changed, if the indexes are not right; RepositoryLocked if anybody else uses the repository.
    """
    refuse_no_lock(access, "repair snapshots", dry_run=options.dry_run)
    with open_session(access, exclusive=True) as session:
        return repair_snapshots_in(session, options, observer, listener)


def repair_snapshots_in(
    session: Session, options: SnapshotsRepairOptions, observer: RepairObserver, listener: SnapshotListener
) -> SnapshotsRepair:
    """The same in a session whose lock is exclusive."""
    return _Repair(session, options, observer, listener).run()


class _Repair:
    def __init__(
        self, session: Session, options: SnapshotsRepairOptions, observer: RepairObserver, listener: SnapshotListener
    ) -> None:
        self._session = session
        self._options = options
        self._observer = observer
        self._listener = listener
        self._manner = Manner("repaired", options.forget, options.dry_run, options.crash_point)
        self._result = SnapshotsRepair()
        self._sound = IdTable()
        self._lookup = session.open_lookup()
        self._reader = session.blob_reader(self._lookup)
        self._refuse_lost_packs()

    def run(self) -> SnapshotsRepair:
        """See ``run_repair_snapshots``."""
        options = self._options
        with TreeSaver.of(self._session, self._lookup, options.saving, dry_run=options.dry_run) as trees:
            for stored in self._choose():
                if self._observer.stop_requested():
                    raise Interrupted("stopped on request", hint="Snapshots that were mended are stored. Run it again.")
                self._listener.begun(stored)
                self._mend(stored, trees)
        return self._result

    def _refuse_lost_packs(self) -> None:
        """What an index lists must be there: else files would pass for whole."""
        present = {pack_id for pack_id, _ in self._session.repository.list_files(FileKind.PACK)}
        if gone := sorted(self._lookup.pack_ids() - present):
            named = ", ".join(pack_id.hex() for pack_id in gone[:_PACKS_NAMED])
            more = f" and {len(gone) - _PACKS_NAMED} more" if len(gone) > _PACKS_NAMED else ""
            raise Damaged(
                f"the indexes list packs that are not there: {named}{more}",
                hint="Nothing was changed. Run `argosy repair index` first.",
            )

    def _choose(self) -> list[StoredSnapshot]:
        """The snapshots to look at; one that cannot be read is removed if it was named, else left."""
        repository, options = self._session.repository, self._options

        def left(snapshot_id: bytes, error: Damaged) -> None:
            hint = (
                f"`argosy repair snapshots --forget {snapshot_id.hex()}` removes it; `argosy recover` finds its files."
            )
            self._observer.problem(Damaged(error.message, hint=hint))
            self._result.left += 1

        if not options.names:
            return select_snapshots(repository, (), options.wanted, on_damaged=left)
        return [stored for name in options.names for stored in self._named(name, left)]

    def _named(self, name: str, left: OnDamaged) -> list[StoredSnapshot]:
        repository = self._session.repository
        try:
            return select_snapshots(repository, [name], self._options.wanted, on_damaged=left)
        except Damaged as error:
            snapshot_id = resolve_id(repository, name)
            if self._options.forget:
                self._remove(snapshot_id, error)
            else:
                left(snapshot_id, error)
            return []

    def _mend(self, stored: StoredSnapshot, trees: TreeSaver) -> None:
        def tell(path: bytes, reason: str) -> None:
            self._observer.lost(Loss(reason, stored.id, path))

        mender = Mender(self._lookup, self._reader, trees.save, tell)
        root = TreeRewriter(self._reader, mender, trees.save, self._sound).rewrite(stored.snapshot.tree)
        if mender.lost_root is not None:
            self._without_root(stored, mender.lost_root)
        elif root != stored.snapshot.tree:
            self._result.changed += 1
            trees.publish()
            self._options.crash_point("new trees are listed")
            # Safe to die here: no snapshot names them, and a prune removes them.
            changed = msgspec.structs.replace(stored.snapshot, tree=root)
            replace_snapshot(self._session, stored, changed, self._manner, self._listener)

    def _without_root(self, stored: StoredSnapshot, error: Damaged) -> None:
        if self._options.forget:
            self._remove(stored.id, error)
            return
        hint = "With --forget the snapshot is removed: nothing of it can be read."
        self._observer.problem(Damaged(error.message, hint=hint))
        self._result.left += 1

    def _remove(self, snapshot_id: bytes, error: Damaged) -> None:
        self._observer.lost(Loss(f"the snapshot is removed ({error.message})", snapshot_id))
        self._result.changed += 1
        remove_snapshot(self._session, snapshot_id, self._manner, self._listener)
