"""What a backup shows of itself while it runs."""

from __future__ import annotations

import time

from argosy.archiver.ledger import Ledger
from argosy.archiver.scan import Scanner
from argosy.operations.backup.options import BackupObserver, BackupProgress

_LOOK_SECONDS = 0.2


class Watcher:
    """Tells the observer how the job stands, a few times a second."""

    def __init__(self, ledger: Ledger, scanner: Scanner, observer: BackupObserver) -> None:
        self._ledger = ledger
        self._scanner = scanner
        self._observer = observer
        self._next = 0.0

    def look(self, *, last: bool = False) -> None:
        """Call the observer if it is time."""
        now = time.monotonic()
        if now < self._next and not last:
            return
        self._next = now + _LOOK_SECONDS
        self._observer.progress(self._progress())

    def _progress(self) -> BackupProgress:
        ledger = self._ledger
        with ledger.job.mutex:
            counters = ledger.state.counters
            running = ledger.queue.in_progress()
            files = counters.get("total_files_processed", 0) + sum(batch.files_done for batch in running)
            size = counters.get("total_bytes_processed", 0) + sum(batch.bytes_done for batch in running)
            members = []
            for member in ledger.map.members():
                held = [batch for batch in running if batch.member == member.name]
                members.append(
                    (
                        member.name,
                        member.workers,
                        len(held),
                        member.files + sum(batch.files_done for batch in held),
                        member.bytes + sum(batch.bytes_done for batch in held),
                    )
                )
            return BackupProgress(
                files_done=files,
                bytes_done=size,
                files_unmodified=counters.get("files_unmodified", 0),
                entries_scanned=self._scanner.entries,
                scan_done=self._scanner.done,
                scan_threads=self._scanner.active_threads,
                queue_batches=ledger.queue.unfinished,
                queue_bytes=ledger.queue.remaining_bytes(),
                packed_bytes=ledger.packs.size_bytes,
                unread=counters.get("unread", 0),
                members=members,
                current=[],
            )
