"""The sums of a restore, and its errors as they come."""

from __future__ import annotations

from collections import Counter

from argosy.operations.restore.options import RestoreObserver
from argosy.restorer.messages import Outcome


class Tally:
    """Adds up outcomes, and tells the observer of their errors and entries."""

    def __init__(self, observer: RestoreObserver) -> None:
        self._observer = observer
        self.errors = 0
        self.notes: Counter[str] = Counter()
        self.restored = 0
        self.restored_bytes = 0
        self.skipped = 0
        self.skipped_bytes = 0
        self.deleted = 0
        self.verified = 0
        self.verified_bytes = 0

    def add(self, outcome: Outcome) -> None:
        """Count what a task came to."""
        self.notes.update(outcome.notes)
        self.restored += outcome.restored
        self.restored_bytes += outcome.restored_bytes
        self.skipped += outcome.skipped
        self.skipped_bytes += outcome.skipped_bytes
        self.deleted += outcome.deleted_count
        self.verified += outcome.verified
        self.verified_bytes += outcome.verified_bytes
        for action, location, size_bytes in outcome.items:
            self._observer.item(action, location, size_bytes)
        for location in outcome.deleted:
            self._observer.item("deleted", location, None)
        for location, reason in outcome.errors:
            self.error(location, reason)

    def error(self, location: bytes, reason: str) -> None:
        """An entry was not restored, not wholly, or did not verify."""
        self.errors += 1
        self._observer.error(location, reason)
