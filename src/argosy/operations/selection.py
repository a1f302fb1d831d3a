"""Which snapshots an operation on several of them is about: those named, or all that a filter lets through."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from argosy.errors import Damaged, UsageError
from argosy.repository.repository import Repository
from argosy.repository.snapshots import (
    LATEST,
    SnapshotFilter,
    StoredSnapshot,
    latest_snapshot,
    load_snapshot,
    load_snapshots,
    resolve_id,
    split_subpath,
)

OnDamaged = Callable[[bytes, Damaged], None]


def select_snapshots(
    repository: Repository, names: Sequence[str], wanted: SnapshotFilter, *, on_damaged: OnDamaged | None = None
) -> list[StoredSnapshot]:
    """The snapshots named (the start of an id, or ``latest``), each once, or without names all that match ``wanted``.

    Oldest first where nothing is named. A snapshot that cannot be read goes to ``on_damaged``; without that, or if it
    was named, Damaged. SnapshotMissing for a name that fits none, or several.
    """
    if not names:
        snapshots = load_snapshots(repository, on_damaged=on_damaged)
        return [stored for stored in snapshots if wanted.matches(stored.snapshot)]
    found = {}
    for name in names:
        if split_subpath(name)[1] or name.endswith(":"):
            raise UsageError(f"{name}: a path within a snapshot is of no use here", hint="Name the snapshot alone.")
        if name == LATEST:
            stored = latest_snapshot(load_snapshots(repository, on_damaged=on_damaged), wanted)
        else:
            stored = load_snapshot(repository, resolve_id(repository, name))
        found[stored.id] = stored
    return list(found.values())
