"""Stores the trees that a snapshot's rewriting makes, each that the repository has not, once."""

from __future__ import annotations

from typing import Self

from argosy.operations.id_table import IdTable
from argosy.operations.saving import BlobSaver, SavingOptions
from argosy.operations.session import Session
from argosy.repository.lookup import DedupLookup
from argosy.restic_format.blob import BlobType
from argosy.restic_format.tree_draft import Document


class TreeSaver:
    """Used with ``with``. With a ``saver`` of None, in a dry run, nothing is stored."""

    def __init__(self, saver: BlobSaver | None, lookup: DedupLookup) -> None:
        self._saver = saver
        self._lookup = lookup
        self._saved = IdTable()

    @classmethod
    def of(cls, session: Session, lookup: DedupLookup, options: SavingOptions, *, dry_run: bool) -> Self:
        """One for a session, whose lock is tested before each upload."""
        if dry_run:
            return cls(None, lookup)
        assert session.lock is not None, "only a dry run goes without"
        return cls(BlobSaver(session.repository, options, session.lock.check), lookup)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._saver is not None:
            self._saver.__exit__(kind, error, trace)

    def save(self, tree_id: bytes, tree: Document) -> None:
        """Store a tree, unless it is there; durable after ``publish``."""
        if self._saver is None or self._lookup.contains(tree_id, BlobType.TREE) or not self._saved.add(tree_id):
            return
        self._saver.save_document(tree_id, tree)

    def publish(self) -> None:
        """Make everything durable and list it in an index."""
        if self._saver is not None:
            self._saver.publish()
