"""`argosy recover`: a snapshot of all directories that no snapshot and no other directory names any more."""

from __future__ import annotations

import time

import msgspec

from argosy import __version__
from argosy.errors import Damaged, Interrupted
from argosy.operations.id_table import IdTable
from argosy.operations.repair.index import IndexRepairOptions, repair_index_in
from argosy.operations.repair.options import RepairObserver
from argosy.operations.saving import BlobSaver, SavingOptions
from argosy.operations.session import Access, Session, open_session, refuse_no_lock
from argosy.operations.tree_walk import load_nodes
from argosy.repository.layout import FileKind
from argosy.repository.process_identity import current_identity
from argosy.repository.repository import Repository
from argosy.repository.snapshots import load_snapshots, save_snapshot
from argosy.restic_format.blob import BlobType, blob_id
from argosy.restic_format.node import encode_metadata, finish_directory
from argosy.restic_format.snapshot import Snapshot
from argosy.restic_format.times import format_time
from argosy.restic_format.tree import encode_tree

_UNNAMED, _NAMED = b"\0", b"\1"
# A directory with mode 0755, as Go has it.
_MODE = 1 << 31 | 0o755
_SHORT_DIGITS = 8


class Recovery(msgspec.Struct, frozen=True):
    """``roots``: trees that nothing named. ``snapshot_id``: of the snapshot that holds them, empty if there is none."""

    roots: list[bytes]
    snapshot_id: bytes = b""


def run_recover(access: Access, saving: SavingOptions, observer: RepairObserver) -> Recovery:
    """Save what nothing names in a snapshot of the path ``/recover`` with the tag ``recovered``, as restic does.

    The index is mended first. Trees that cannot be read are told, and left out. RepositoryLocked if anybody else uses
    the repository.
    """
    refuse_no_lock(access, "recover")
    with open_session(access, exclusive=True) as session:
        repair_index_in(session, IndexRepairOptions(), observer)
        observer.message("looking for trees that nothing names")
        roots = _unnamed_trees(session, observer)
        if not roots:
            return Recovery([])
        return Recovery(roots, _save(session, roots, saving))


def _unnamed_trees(session: Session, observer: RepairObserver) -> list[bytes]:
    repository, trees = session.repository, _all_trees(session.repository)

    def name(tree_id: bytes) -> None:
        if tree_id in trees:
            trees.replace(tree_id, _NAMED)

    for stored in load_snapshots(repository, on_damaged=lambda _id, error: observer.problem(error)):
        name(stored.snapshot.tree)
    reader = session.blob_reader(session.open_lookup())
    for tree_id in sorted(tree_id for tree_id, _ in trees):
        if observer.stop_requested():
            raise Interrupted("stopped on request", hint="No snapshot was made. Run it again.")
        try:
            for node in load_nodes(reader, tree_id):
                if node.type == "dir" and (subtree := node.subtree_id()) is not None:
                    name(subtree)
        except Damaged as error:
            observer.problem(error)
            name(tree_id)  # not one to be recovered
    return sorted(tree_id for tree_id, state in trees if state == _UNNAMED)


def _all_trees(repository: Repository) -> IdTable:
    """Every tree that an index lists."""
    trees = IdTable(len(_UNNAMED))
    for index_id in repository.list_ids(FileKind.INDEX):
        for pack in repository.load_index(index_id).packs:
            for blob in pack.blobs:
                if blob.type == BlobType.TREE:
                    trees.add(blob.id, _UNNAMED)
    return trees


def _save(session: Session, roots: list[bytes], saving: SavingOptions) -> bytes:
    assert session.lock is not None, "--no-lock is refused"
    now_ns, identity = time.time_ns(), current_identity()
    tree = encode_tree([_directory(name, tree_id, now_ns) for name, tree_id in sorted(_names(roots).items())])
    with BlobSaver(session.repository, saving, session.lock.check) as saver:
        saver.save(BlobType.TREE, blob_id(tree), tree)
        saver.publish()
    session.lock.check()
    snapshot = Snapshot(
        format_time(now_ns),
        blob_id(tree),
        ["/recover"],
        hostname=identity.hostname,
        username=identity.username,
        uid=identity.uid,
        gid=identity.gid,
        tags=["recovered"],
        program_version=f"argosy {__version__}",
    )
    return save_snapshot(session.repository, snapshot)


def _names(roots: list[bytes]) -> dict[bytes, bytes]:
    """Each tree by the first digits of its id, as restic calls them, or by all where two begin alike."""
    named: dict[bytes, bytes] = {}
    for tree_id in roots:
        text = tree_id.hex().encode()
        named[text if text[:_SHORT_DIGITS] in named else text[:_SHORT_DIGITS]] = tree_id
    return named


def _directory(name: bytes, tree_id: bytes, now_ns: int) -> bytes:
    prefix = encode_metadata(name, "dir", _MODE, now_ns, now_ns, now_ns, 0, 0, "", "", 0, 0, 0, 0)
    return finish_directory(prefix, tree_id)
