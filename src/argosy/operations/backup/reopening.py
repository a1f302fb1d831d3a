"""Going on with an interrupted job: prove that what it relies on is still there (R5), or begin its scan again."""

from __future__ import annotations

import msgspec

from argosy.archiver.ledger import Ledger
from argosy.errors import SourceGone
from argosy.filesystem.metadata import OwnerNames
from argosy.operations.backup.indexing import Indexer
from argosy.repository.layout import FileKind
from argosy.repository.lookup import DedupLookup
from argosy.repository.packer import StoredPack
from argosy.repository.repository import Repository
from argosy.restic_format.pack import decode_header
from argosy.state.job_database import JobDatabase

_RESULT_TABLES = (
    "frontier",
    "scan_threads",
    "batches",
    "assemblies",
    "parts",
    "segments",
    "hard_links",
    "packs",
    "open_trees",
    "unread",
)
_RESULT_KEYS = ("counters", "next_directory_id", "next_batch", "root_tree", "relied_indexes", "sealed_snapshot")


def reopen(repository: Repository, ledger: Ledger, lookup: DedupLookup, indexer: Indexer) -> str:
    """Load the job; "" if all that it relied on is there, else what is missing (and nothing of it may be used).

    The lookup was made equal to the repository's indexes just now.
    """
    _require_same_roots(ledger)
    ledger.load()
    present = lookup.index_ids()
    relied = ledger.state.get("relied_indexes")
    if relied is None:
        return "its first rows are missing"
    if gone := set(msgspec.msgpack.decode(relied, type=list[bytes])) - present:
        return f"{len(gone)} index files that it relied on are gone"
    if gone := set(ledger.packs.index_ids()) - present:
        return f"{len(gone)} index files that it wrote are gone"
    packs = dict(ledger.packs.all_ids())
    there = dict(repository.list_files(FileKind.PACK)) if packs else {}
    lost = [pack_id for pack_id, size in packs.items() if there.get(pack_id) != size]
    if lost:
        return f"{len(lost)} packs that it had stored are gone"
    for pack in ledger.packs.load():
        indexer.recorded(StoredPack(pack.pack_id, pack.size_bytes, decode_header(pack.header, "a recorded pack")))
    indexer.tell_lookup()
    return ""


def start_afresh(job: JobDatabase, reason: str, roots: list[tuple[bytes, int]], owners: OwnerNames) -> Ledger:
    """Empty the job of all results, in one transaction; its id, time and history stay."""
    emptied = Ledger(job.detached(), roots, owners)
    for table in _RESULT_TABLES:
        job.journal(f"DELETE FROM {table}")
    for key in _RESULT_KEYS:
        job.journal("DELETE FROM job WHERE key = ?", (key,))
    emptied.reports.log(f"scanned again from the beginning: {reason}")
    return emptied


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
