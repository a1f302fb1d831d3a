"""The end of a directory: delete what does not belong there and set its metadata; nothing is made in it any more."""

from __future__ import annotations

from argosy.restic_format.node import decode_node
from argosy.restorer.deleting import Deleter
from argosy.restorer.directories import OpenDirectory, TargetDirectories
from argosy.restorer.file_jobs import FAILURES
from argosy.restorer.messages import Outcome, RestoreSettings
from argosy.restorer.metadata import MetadataSetter
from argosy.restorer.selection import Selection
from argosy.restorer.target import reason_of, refuse_full


class Finisher:
    """Finishes directories of the target; used by workers and by the master."""

    def __init__(self, directories: TargetDirectories, settings: RestoreSettings, target: bytes) -> None:
        self._directories = directories
        self._settings = settings
        self._target = target
        self._deleter = Deleter(Selection(settings.selection), settings.protected, dry_run=settings.dry_run)
        self._outcome = Outcome()
        self._setter = MetadataSetter(settings.xattr_exclude, settings.xattr_include, self._report)

    def finish(self, path: bytes, node: bytes, kept: list[bytes] | None, outcome: Outcome) -> None:
        """Finish the directory at ``path``; ``node`` is its own, b"" for the target, which keeps its metadata.

        ``kept`` are all names that the snapshot has in it; None: unknown, and nothing is deleted.
        """
        self._outcome, self._setter.notes = outcome, outcome.notes
        errors = len(outcome.errors)
        try:
            directory = self._directories.get(path)
            if self._settings.delete and kept is not None:
                self._delete(directory, path, set(kept))
            if node and not self._settings.dry_run:
                self._setter.set_fd(directory.fd, decode_node(node), b"/" + path)
        except FileNotFoundError:
            pass  # a dry run, and the directory would be made
        except FAILURES as error:
            refuse_full(error, self._target, b"/" + path)
            self._report(b"/" + path, reason_of(error))
        if node and len(outcome.errors) == errors:
            outcome.restored += 1
            if self._settings.listing:
                outcome.items.append(("restored", b"/" + path, None))

    def _delete(self, directory: OpenDirectory, path: bytes, kept: set[bytes]) -> None:
        outcome = self._outcome
        deleted = self._deleter.clean(directory, path, kept)
        outcome.errors += deleted.errors
        outcome.deleted_count += len(deleted.paths)
        if self._settings.listing:
            outcome.deleted += deleted.paths

    def _report(self, location: bytes, reason: str) -> None:
        self._outcome.errors.append((location, reason))
