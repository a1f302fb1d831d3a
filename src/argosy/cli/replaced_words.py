"""What is said of snapshots that are stored anew, by `repair snapshots` and `rewrite`: restic's lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from argosy.cli.context import Context
from argosy.cli.output import Output
from argosy.cli.snapshot_words import describe, short_id
from argosy.cli.wording import counted

if TYPE_CHECKING:
    from argosy.operations.snapshot_replacing import SnapshotListener
    from argosy.repository.snapshots import StoredSnapshot


def replacement_listener(output: Output, *, dry_run: bool) -> SnapshotListener:
    """Prints which snapshots are looked at, stored anew and removed: restic's lines."""
    from argosy.operations.snapshot_replacing import SnapshotListener

    def begun(stored: StoredSnapshot) -> None:
        output.detail(describe(stored))

    def saved(stored: StoredSnapshot, new_id: bytes | None) -> None:
        if output.json:
            output.document(changed_document(stored.id, new_id))
        elif new_id is None:
            output.message(f"would save a new snapshot in place of {short_id(stored.id)}")
        else:
            output.message(f"saved new snapshot {short_id(new_id)}, made from {short_id(stored.id)}")

    def removed(snapshot_id: bytes) -> None:
        if output.json:
            output.document({"message_type": "removed", "snapshot_id": snapshot_id.hex(), "dry_run": dry_run})
        else:
            output.message(f"{'would remove' if dry_run else 'removed'} snapshot {short_id(snapshot_id)}")

    return SnapshotListener(begun, saved, removed)


def changed_document(old: bytes, new: bytes | None) -> dict[str, object]:
    """A snapshot that was stored anew; ``new`` is None in a dry run."""
    return {
        "message_type": "changed",
        "old_snapshot_id": old.hex(),
        "new_snapshot_id": None if new is None else new.hex(),
    }


def say_changed(ctx: Context, changed: int, *, dry_run: bool) -> None:
    """How many snapshots were changed: restic's last line."""
    if ctx.json:
        ctx.output.document({"message_type": "summary", "changed_snapshots": changed, "dry_run": dry_run})
    elif not changed:
        ctx.output.message(f"no snapshots {'would be' if dry_run else 'were'} modified")
    else:
        ctx.output.message(f"{'would modify' if dry_run else 'modified'} {counted(changed, 'snapshot')}")
