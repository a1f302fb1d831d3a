"""`argosy tag`: snapshots get other tags. Each is stored anew, under a new id, and then the old one is removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from argosy.errors import Damaged, UsageError
from argosy.operations.selection import select_snapshots
from argosy.operations.session import Access, Session, open_session, refuse_no_lock
from argosy.repository.layout import FileKind
from argosy.repository.snapshots import ALL_SNAPSHOTS, SnapshotFilter, StoredSnapshot, save_snapshot


class TagOptions(msgspec.Struct, frozen=True):
    """``replace``: these instead of all others (empty: none), None: see ``add`` and ``remove``."""

    names: Sequence[str] = ()
    wanted: SnapshotFilter = ALL_SNAPSHOTS
    replace: Sequence[str] | None = None
    add: Sequence[str] = ()
    remove: Sequence[str] = ()


class TagResult(msgspec.Struct, frozen=True):
    """How many were changed, and which could not be read."""

    changed: int
    damaged: Sequence[Damaged] = ()

    @property
    def exit_code(self) -> int:
        """0, or 1 if some snapshot could not be read."""
        return 1 if self.damaged else 0


def run_tag(access: Access, options: TagOptions, on_changed: Callable[[bytes, bytes], None]) -> TagResult:
    """Change tags; ``on_changed`` hears of the old id and the new one of each snapshot.

    UsageError if nothing was asked for, or what excludes each other; SnapshotMissing for a name that fits none.
    """
    _refuse_misuse(access, options)
    damaged: list[Damaged] = []
    changed = 0
    with open_session(access, exclusive=True) as session:
        for stored in select_snapshots(
            session.repository, options.names, options.wanted, on_damaged=lambda _id, error: damaged.append(error)
        ):
            tags = new_tags(stored.snapshot.tags, options)
            if tags != list(stored.snapshot.tags):
                on_changed(stored.id, _store_anew(session, stored, tags))
                changed += 1
    return TagResult(changed, damaged)


def new_tags(tags: Sequence[str], options: TagOptions) -> list[str]:
    """The tags that a snapshot with ``tags`` gets: each once, new ones at the end."""
    if options.replace is not None:
        return list(dict.fromkeys(options.replace))
    return [tag for tag in dict.fromkeys([*tags, *options.add]) if tag not in options.remove]


def _store_anew(session: Session, stored: StoredSnapshot, tags: Sequence[str]) -> bytes:
    assert session.lock is not None, "--no-lock is refused"
    session.lock.check()
    original = stored.snapshot.original or stored.id
    new_id = save_snapshot(session.repository, msgspec.structs.replace(stored.snapshot, tags=tags, original=original))
    # Safe to die here: the snapshot is there twice, once with its old tags.
    session.repository.delete(FileKind.SNAPSHOT, stored.id)
    return new_id


def _refuse_misuse(access: Access, options: TagOptions) -> None:
    refuse_no_lock(access, "tag")
    if options.replace is not None and (options.add or options.remove):
        raise UsageError("--set excludes --add and --remove", hint="Give either the one or the others.")
    if options.replace is None and not options.add and not options.remove:
        raise UsageError("no tag was given", hint="Use --set, --add or --remove.")
