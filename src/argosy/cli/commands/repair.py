"""``argosy repair``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from argosy.cli.choosing import snapshot_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb, verb_group
from argosy.cli.repair_words import repair_observer
from argosy.cli.replaced_words import replacement_listener, say_changed
from argosy.cli.saving_flags import saving_options
from argosy.cli.wording import counted
from argosy.errors import Damaged, UsageError

if TYPE_CHECKING:
    from argosy.operations.repair.index import IndexRepair
    from argosy.operations.repair.packs import PacksRepair
    from argosy.repository.snapshots import SnapshotFilter

command = verb_group("repair", "Mend a damaged repository: first its index, then its packs, then its snapshots.")

_STOPPING = "stopping; nothing is lost, the same command goes on; once more stops at once"


@verb("index", group=command, unlocks=True)
@click.option("--read-all-packs", is_flag=True, help="trust no index: read the header of every pack")
def index(ctx: Context, read_all_packs: bool) -> int:
    """Make the index right: what it lists is there, and what is there is listed.

    Packs that no index lists, or that have another size than it tells, are read; packs that are not there are left out.
    """
    from argosy.operations.repair.index import IndexRepairOptions, run_repair_index

    with ctx.stopping(_STOPPING) as stop_requested:
        observer = repair_observer(ctx.output, stop_requested)
        repair = run_repair_index(ctx.access, IndexRepairOptions(read_all_packs), observer)
    if ctx.json:
        ctx.output.document(index_document(repair))
    elif repair.indexes_removed or repair.indexes_written:
        replaced = counted(repair.indexes_removed, "index", "indexes")
        ctx.output.message(f"replaced {replaced} by {repair.indexes_written}")
    else:
        ctx.output.message("the index was right: nothing was changed")
    return repair.exit_code


@verb("packs", group=command, unlocks=True)
@click.argument("pack_ids", metavar="PACK…", nargs=-1)
def packs(ctx: Context, pack_ids: tuple[str, ...]) -> int:
    """Save what is whole in damaged packs, and remove them. PACK is an id, as `argosy check` names it.

    A copy of each pack, as it was, is kept in the current directory. Files that miss something then are named.
    """
    from argosy.operations.repair.packs import PacksRepairOptions, run_repair_packs

    options = PacksRepairOptions([_pack_id(text) for text in pack_ids], Path.cwd(), saving_options(ctx))
    with ctx.stopping(_STOPPING) as stop_requested:
        repair = run_repair_packs(ctx.access, options, repair_observer(ctx.output, stop_requested))
    if ctx.json:
        ctx.output.document(packs_document(repair))
        return repair.exit_code
    for path in repair.copies:
        ctx.output.message(f"a copy of the damaged pack is in {path}")
    ctx.output.message(
        f"removed {counted(repair.packs_removed, 'pack')}, saved {counted(repair.blobs_saved, 'blob')} of them"
    )
    if repair.lost:
        ctx.output.message(
            f"{counted(len(repair.lost), 'blob')} lost. A new backup of the same files may bring them back;"
            " `argosy repair snapshots --forget` takes them out of the snapshots."
        )
    return repair.exit_code


@verb("snapshots", group=command, unlocks=True)
@click.option("-n", "--dry-run", is_flag=True, help="change nothing, say what would be")
@click.option("--forget", is_flag=True, help="remove the damaged snapshots once the mended ones are stored")
@snapshot_flags
@click.argument("snapshot_ids", metavar="[SNAPSHOT…]", nargs=-1)
def snapshots(ctx: Context, snapshot_ids: tuple[str, ...], wanted: SnapshotFilter, dry_run: bool, forget: bool) -> int:
    """Take what is lost out of snapshots, all or those named.

    Each damaged snapshot is stored anew, without what is lost; every file and directory that misses something is named.
    First back up the same files again: that may bring back what is missing. Needs a right index: `argosy repair index`.
    """
    from argosy.operations.repair.snapshots import SnapshotsRepairOptions, run_repair_snapshots

    options = SnapshotsRepairOptions(snapshot_ids, wanted, forget, dry_run, saving_options(ctx))
    with ctx.stopping(_STOPPING) as stop_requested:
        repair = run_repair_snapshots(
            ctx.access,
            options,
            repair_observer(ctx.output, stop_requested),
            replacement_listener(ctx.output, dry_run=dry_run),
        )
    say_changed(ctx, repair.changed, dry_run=dry_run)
    return repair.exit_code


def index_document(repair: IndexRepair) -> dict[str, object]:
    """The summary of `repair index`."""
    return {
        "message_type": "summary",
        "indexes_unreadable": len(repair.indexes_unreadable),
        "indexes_removed": repair.indexes_removed,
        "indexes_written": repair.indexes_written,
        "packs_read": repair.packs_read,
        "packs_dropped": len(repair.dropped),
        "damaged_packs": sorted(pack_id.hex() for pack_id in repair.damaged),
    }


def packs_document(repair: PacksRepair) -> dict[str, object]:
    """The summary of `repair packs`."""
    return {
        "message_type": "summary",
        "packs_removed": repair.packs_removed,
        "blobs_saved": repair.blobs_saved,
        "lost_blobs": sorted(blob_id.hex() for _, blob_id in repair.lost),
        "copies": [str(path) for path in repair.copies],
    }


def _pack_id(text: str) -> bytes:
    from argosy.restic_format.ids import decode_id

    try:
        return decode_id(text, "pack")
    except Damaged as error:
        raise UsageError(
            f"{text!r} is not the id of a pack", hint="Write all 64 digits, as `argosy check` prints them."
        ) from error
