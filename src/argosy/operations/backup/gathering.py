"""After a loss (R5): what the job had done, gathered into one tree, with which its new scan compares.

A pack of the job, or an index that it relied on, is gone, so that any of its results may name a blob that is nowhere.
They are joined as they are: a directory that still waited for something is closed with what is there, and one that was
not scanned yet keeps its tree of the parent snapshot. Nothing of that is trusted. The scan treats it as an incremental
one treats its parent, and tests each blob: what is whole is not read again, whatever misses a blob is.

Not gathered: segments of a large file of which others were to come, and what lay below a tree that is gone.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from argosy.archiver.ledger import Ledger
from argosy.archiver.parent import child_subtrees
from argosy.archiver.parent_trees import ParentTrees
from argosy.archiver.runs import encode_run
from argosy.archiver.trees import TreeBuilder
from argosy.errors import ArgosyError
from argosy.operations.backup.indexing import Indexer
from argosy.restic_format.compression import Compressor
from argosy.restic_format.node import encode_metadata, finish_directory
from argosy.state.job_database import JobDatabase

GATHERED = "gathered"
"""Key of a job that was emptied: the root of what it had done before. Its blobs were never proved to be there."""

GATHERING = "gathering"
"""Key of a job that has lost something: its results are good for nothing but being gathered."""

_ENDED_TABLES = ("frontier", "scan_threads", "batches", "segments", "hard_links")
_SCAN_ROWS = "SELECT directory_id, parent_id, name, base_tree FROM frontier WHERE base_tree IS NOT NULL"


def gather(ledger: Ledger, trees: TreeBuilder, indexer: Indexer) -> bytes | None:
    """The root of what the job had done, stored; None if it had come to nothing. After ``close_results``.

    Safe to die at any moment: the next start goes on with what is not joined yet.
    """
    trees.load()
    more = True
    while more:
        more = trees.build_ready()
        _record(trees, indexer)
        ledger.job.commit()
        indexer.tell_lookup()
    trees.flush()
    _record(trees, indexer)
    ledger.job.commit()
    return trees.root_tree


def _record(trees: TreeBuilder, indexer: Indexer) -> None:
    while trees.stored_packs:
        indexer.record_tree_pack(trees.stored_packs.popleft())


def close_results(job: JobDatabase, parents: ParentTrees) -> None:
    """Let no directory wait for anything but its subdirectories: one transaction, which may be done again.

    The job's models must be loaded after it. ``parents`` reads the trees that directories are built upon.
    """
    rows = job.read("SELECT directory_id, parent_id, base_tree FROM assemblies")
    bases = {directory_id: base for directory_id, _, base in rows}
    waiting = Counter(parent_id for _, parent_id, _ in rows)
    unscanned: defaultdict[int, list[tuple[bytes, bytes]]] = defaultdict(list)
    for directory_id, parent_id, name, base in job.read(_SCAN_ROWS):
        if directory_id not in bases:
            if parent_id in bases:
                unscanned[parent_id].append((name, base))
        elif bases[directory_id] is None and _is_there(parents, base):
            # Its scan copied nodes out of the tree as it went, and had not come to the end.
            _set_base(job, directory_id, base)
    for directory_id, base in bases.items():
        if base is not None and not _is_there(parents, base):
            _set_base(job, directory_id, None)
        job.journal("UPDATE assemblies SET pending = ? WHERE directory_id = ?", (waiting[directory_id], directory_id))
    for directory_id, found in unscanned.items():
        _add_part(job, directory_id, sorted(found))
    for table in _ENDED_TABLES:
        job.journal(f"DELETE FROM {table}")
    job.commit()


def _is_there(parents: ParentTrees, tree_id: bytes) -> bool:
    """Whether a tree can be read, and built upon."""
    try:
        child_subtrees(parents.load(tree_id))
    except ArgosyError:
        return False
    return True


def _set_base(job: JobDatabase, directory_id: int, base: bytes | None) -> None:
    job.journal("UPDATE assemblies SET base_tree = ?, deleted = NULL WHERE directory_id = ?", (base, directory_id))


def _add_part(job: JobDatabase, directory_id: int, subdirectories: list[tuple[bytes, bytes]]) -> None:
    """Subdirectories with their trees in the parent snapshot; of their nodes no more than that will ever be read."""
    nodes = [
        finish_directory(encode_metadata(name, "dir", 0, 0, 0, 0, 0, 0, "", "", 0, 0, 0, 0), tree)
        for name, tree in subdirectories
    ]
    run = encode_run([name for name, _ in subdirectories], nodes, Compressor("fastest"))
    job.journal(
        "INSERT INTO parts SELECT directory_id, parts, ? FROM assemblies WHERE directory_id = ?", (run, directory_id)
    )
    job.journal("UPDATE assemblies SET parts = parts + 1 WHERE directory_id = ?", (directory_id,))
