"""Says which files and directories of which snapshots miss something, and changes nothing."""

from __future__ import annotations

from argosy.errors import Damaged
from argosy.operations.id_table import IdTable
from argosy.operations.repair.mending import Mender
from argosy.operations.repair.options import Loss, RepairObserver
from argosy.operations.session import Session
from argosy.operations.tree_rewriting import TreeRewriter
from argosy.repository.snapshots import load_snapshots
from argosy.restic_format.tree_draft import Document


def tell_losses(session: Session, observer: RepairObserver) -> None:
    """Tell ``lost`` of each, snapshot by snapshot; a snapshot that cannot be read is a problem."""

    def unreadable(_snapshot_id: bytes, error: Damaged) -> None:
        observer.problem(error)

    lookup = session.open_lookup()
    reader, sound = session.blob_reader(lookup), IdTable()
    for stored in load_snapshots(session.repository, on_damaged=unreadable):

        def tell(path: bytes, reason: str, snapshot_id: bytes = stored.id) -> None:
            observer.lost(Loss(reason, snapshot_id, path))

        mender = Mender(lookup, reader, _save_nothing, tell)
        try:
            TreeRewriter(reader, mender, _save_nothing, sound).rewrite(stored.snapshot.tree)
        except Damaged as error:
            observer.problem(error)
        if mender.lost_root is not None:
            tell(b"/", f"nothing of it can be read ({mender.lost_root.message})")


def _save_nothing(_tree_id: bytes, _tree: Document) -> None:
    """Nothing is changed."""
