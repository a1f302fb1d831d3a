"""Going on with an interrupted job: prove that what it relies on is still there (R5), or begin its scan again."""

from __future__ import annotations

import msgspec

from argosy.archiver.ledger import Ledger
from argosy.errors import SourceGone
from argosy.filesystem.metadata import OwnerNames
from argosy.operations.backup.gathering import GATHERED, GATHERING
from argosy.operations.backup.indexing import Indexer
from argosy.repository.layout import FileKind
from argosy.repository.lookup import DedupLookup
from argosy.repository.packer import StoredPack
from argosy.repository.repository import Repository
from argosy.state.job_database import JobDatabase

REFUSED = "refused"
"""Key of a job whose source had shrunk: what was scanned then is used only if that is allowed."""

_RESULT_TABLES = (
    "frontier",
    "scan_threads",
    "batches",
    "assemblies",
    "parts",
    "segments",
    "hard_links",
    "open_trees",
    "unread",
)
_RESULT_KEYS = (
    "counters",
    "next_directory_id",
    "next_batch",
    "root_tree",
    "relied_indexes",
    "sealed_snapshot",
    REFUSED,
    GATHERED,
    GATHERING,
)


class Loss(msgspec.Struct, frozen=True):
    """Why a job's results cannot be used as they are ("" if they can), and which of its packs and indexes are gone.

    With indexes alone nothing is lost: their packs are there, and so they are put into indexes again. ``trees``: packs
    of trees are among what is gone. Without ``source_stands`` the results are those of a source that was not whole.
    """

    reason: str = ""
    packs: list[bytes] = msgspec.field(default_factory=list)
    indexes: list[bytes] = msgspec.field(default_factory=list)
    trees: bool = False
    source_stands: bool = True


def reopen(repository: Repository, ledger: Ledger, lookup: DedupLookup, *, shrink_allowed: bool) -> Loss:
    """Load the job, and compare what it relied on with what is there.

    The lookup was made equal to the repository's indexes just now.
    """
    _require_same_roots(ledger)
    ledger.load()
    present = lookup.index_ids()
    _adopt_indexes(ledger, lookup)
    relied = ledger.state.get("relied_indexes")
    indexes = [index_id for index_id in ledger.packs.index_ids() if index_id not in present]
    packs = dict(ledger.packs.all_ids())
    there = dict(repository.list_files(FileKind.PACK)) if packs else {}
    lost = [pack_id for pack_id, size in packs.items() if there.get(pack_id) != size]
    refused = ledger.state.get(REFUSED) is not None
    reason = ""
    if relied is None:
        reason = "its first rows are missing"
    elif gone := set(msgspec.msgpack.decode(relied, type=list[bytes])) - present:
        reason = f"{len(gone)} index files that it relied on are gone"
    elif lost:
        reason = f"{len(lost)} packs that it had stored are gone"
    elif ledger.state.get(GATHERING) is not None:
        reason = "what it had done was being gathered after a loss"
    elif refused and not shrink_allowed:
        reason = "its source had shrunk"
    elif indexes:
        ledger.packs.forget_indexes(indexes)
        ledger.reports.log(f"{len(indexes)} index files that it wrote were gone, and are written again")
        ledger.job.commit()
    trees = not ledger.packs.of_trees().isdisjoint(lost)
    return Loss(reason, lost, indexes, trees=trees, source_stands=not refused)


def _adopt_indexes(ledger: Ledger, lookup: DedupLookup) -> None:
    """Packs of the job that stand in another index than it knows of: one that repaired the indexes put them there."""
    known = ledger.packs.index_by_pack()
    present = lookup.index_ids()
    astray = [pack_id for pack_id, index_id in known.items() if index_id not in present]
    for pack_id, index_id in lookup.index_of_packs(astray).items() if astray else ():
        ledger.packs.indexed([pack_id], index_id)
    ledger.job.commit()


def forget_lost(job: JobDatabase, lookup: DedupLookup, loss: Loss) -> None:
    """What is gone leaves the lookup, then the job, whose results nobody takes for good from then on.

    In this order: once the job does not know a pack any more, no later start would miss it.
    """
    # No blob may be taken for present because of a pack that is gone, whatever the lookup heard of it.
    lookup.drop_pending()
    lookup.forget_packs(loss.packs)
    for pack_id in loss.packs:
        job.journal("DELETE FROM packs WHERE pack_id = ?", (pack_id,))
    for index_id in loss.indexes:
        job.journal("UPDATE packs SET index_id = NULL WHERE index_id = ?", (index_id,))
    job.journal("INSERT OR REPLACE INTO job VALUES (?, ?)", (GATHERING, b"1"))
    job.commit()


def start_afresh(
    job: JobDatabase, loss: Loss, roots: list[tuple[bytes, int]], owners: OwnerNames, gathered: bytes | None
) -> Ledger:
    """Empty the job of all results; its id, time and history stay, and so do its packs.

    ``gathered`` is the root of what it had done. Committed before anything is read: the models look into the rows.
    Dying after it leaves a job without first rows, which begins again like this one.
    """
    emptied = Ledger(job.detached(), roots, owners)
    for table in _RESULT_TABLES:
        job.journal(f"DELETE FROM {table}")
    for key in _RESULT_KEYS:
        job.journal("DELETE FROM job WHERE key = ?", (key,))
    if gathered is not None:
        emptied.state.put(GATHERED, gathered)
    emptied.reports.log(f"scanned again from the beginning: {loss.reason}")
    job.commit()
    return emptied


def take_up_packs(ledger: Ledger, indexer: Indexer) -> None:
    """What the job has stored and no index names: it is found by the workers, and will be indexed."""
    for pack in ledger.packs.load():
        indexer.recorded(StoredPack(pack.pack_id, pack.size_bytes, pack.header))
    indexer.tell_lookup()


def _require_same_roots(ledger: Ledger) -> None:
    value = ledger.state.get("roots")
    before = [] if value is None else msgspec.msgpack.decode(value, type=list[tuple[bytes, int]])
    for path, inode in ledger.roots:
        was = dict(before).get(path)
        if was is not None and was != inode:
            raise SourceGone(
                f"the source {path.decode('utf-8', 'replace')} is not the one that this job began with",
                hint="Mount it and run the command again, or give the job up with --no-resume.",
            )
