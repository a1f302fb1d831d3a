"""Packs that a proxy has made durable, and that its master was lost before recording: they are not to be stored again.

They are reported anew once the proxy works for the same job again, whichever master runs it, if they are still in the
repository. The job holds its lock by then, so nobody removes them any more. What is reported twice counts once. The
proxy's own workers know the packs' blobs from their first batch on: the link keeps its order, so the packs are recorded
before any batch that relies on them is.
"""

from __future__ import annotations

import threading

from argosy.archiver.messages import Notice, PackReport, WorkerSetup, decode, encode
from argosy.engine.nats.leftovers import Leftover
from argosy.errors import StorageNotFound
from argosy.operations.backup.handler import HANDLER as BACKUP
from argosy.repository.layout import FileKind, object_name
from argosy.restic_format.pack import decode_header
from argosy.storage.interface import Storage
from argosy.storage.open import open_storage


class LeftoverPacks:
    """Reports of one job's packs; see ``engine.nats.leftovers``. Those of another job are dropped for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._job = ""
        self._reports: list[bytes] = []

    def are_of(self, handler: str) -> bool:
        """Restores and checks report nothing that outlives them."""
        return handler == BACKUP

    def keep(self, handler: str, setup: bytes, reports: list[bytes]) -> None:
        """Keep what a backup's workers have reported."""
        if self.are_of(handler) and reports:
            job = decode(setup, WorkerSetup).job_id
            with self._lock:
                if job != self._job:
                    self._job, self._reports = job, []
                self._reports += reports

    def take(self, handler: str, setup: bytes) -> list[Leftover]:
        """The reports of this job's packs that are in the repository with their sizes."""
        if not self.are_of(handler):
            return []
        wanted = decode(setup, WorkerSetup)
        with self._lock:
            if wanted.job_id != self._job:
                return []
            reports, self._reports = self._reports, []
        if not reports:
            return []
        storage = open_storage(wanted.location, wanted.storage_options)
        try:
            packs = [(report, decode(report, PackReport)) for report in reports]
            return [Leftover(report, _notice_of(pack)) for report, pack in packs if _is_there(storage, pack)]
        finally:
            storage.close()


def _notice_of(pack: PackReport) -> bytes:
    blobs = decode_header(pack.header, f"the header of pack {pack.pack_id.hex()}")
    return encode(Notice(blob_ids=b"".join(blob.id for blob in blobs)))


def _is_there(storage: Storage, pack: PackReport) -> bool:
    try:
        return storage.size(object_name(FileKind.PACK, pack.pack_id)) == pack.size_bytes
    except StorageNotFound:
        return False
