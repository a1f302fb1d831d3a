"""A snapshot with other trees or other data is stored anew, and takes the place of the old one or stands beside it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from argosy.operations.session import Session
from argosy.repository.layout import FileKind
from argosy.repository.snapshots import StoredSnapshot, save_snapshot
from argosy.restic_format.snapshot import Snapshot


class SnapshotListener(msgspec.Struct, frozen=True):
    """``begun``: with each snapshot. ``saved``: its new id, None in a dry run. ``removed``: the id of one that goes."""

    begun: Callable[[StoredSnapshot], None] = lambda _stored: None
    saved: Callable[[StoredSnapshot, bytes | None], None] = lambda _stored, _new_id: None
    removed: Callable[[bytes], None] = lambda _snapshot_id: None


class Manner(msgspec.Struct, frozen=True):
    """How snapshots are replaced. ``forget``: the old one goes; else both stay, and the new one has ``tag`` besides.

    ``crash_point`` is called where the program may be killed.
    """

    tag: str
    forget: bool = False
    dry_run: bool = False
    crash_point: Callable[[str], None] = lambda _where: None


def replace_snapshot(
    session: Session, stored: StoredSnapshot, changed: Snapshot, manner: Manner, listener: SnapshotListener
) -> None:
    """Store ``changed``, whose trees are durable and listed. It remembers the id of ``stored``, which then may go."""
    new_id = None if manner.dry_run else _store_anew(session, stored, changed, manner)
    listener.saved(stored, new_id)
    manner.crash_point("a new snapshot is stored")
    # Safe to die here: the snapshot is there twice, as it was and as it is now.
    if manner.forget:
        remove_snapshot(session, stored.id, manner, listener)


def remove_snapshot(session: Session, snapshot_id: bytes, manner: Manner, listener: SnapshotListener) -> None:
    """Remove a snapshot's file; in a dry run only say so."""
    if not manner.dry_run:
        assert session.lock is not None, "only a dry run goes without"
        session.lock.check()
        session.repository.delete(FileKind.SNAPSHOT, snapshot_id)
    listener.removed(snapshot_id)


def _store_anew(session: Session, stored: StoredSnapshot, changed: Snapshot, manner: Manner) -> bytes:
    assert session.lock is not None, "only a dry run goes without"
    session.lock.check()
    tags = changed.tags if manner.forget or manner.tag in changed.tags else [*changed.tags, manner.tag]
    return save_snapshot(session.repository, msgspec.structs.replace(changed, original=stored.id, tags=tags))
