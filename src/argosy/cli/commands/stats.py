"""``argosy stats``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from argosy.cli.choosing import snapshot_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.output import Output
from argosy.cli.wording import size

if TYPE_CHECKING:
    from argosy.operations.stats import Stats
    from argosy.repository.snapshots import SnapshotFilter

MODES = ("restore-size", "files-by-contents", "blobs-per-file", "raw-data")


@verb("stats", unlocks=True)
@snapshot_flags
@click.option("--mode", type=click.Choice(MODES), default=MODES[0], help="what to count")
@click.argument("snapshot_ids", metavar="[SNAPSHOT…]", nargs=-1)
def command(
    ctx: Context,
    snapshot_ids: tuple[str, ...],
    wanted: SnapshotFilter,
    mode: str,
) -> int:
    """Sizes and counts of snapshots, all or those named.

    \b
    restore-size       what a restore of each snapshot writes
    files-by-contents  files whose contents differ
    blobs-per-file     the pieces of these files
    raw-data           what the snapshots take in the repository
    """
    from argosy.operations.stats import StatsMode, StatsOptions, run_stats

    if not ctx.json:
        ctx.output.message("scanning...")
    options = StatsOptions(StatsMode(mode), snapshot_ids, wanted)
    stats = run_stats(ctx.access, options, lambda error: ctx.output.error(error.message))
    if ctx.json:
        ctx.output.document(_document(stats))
    else:
        _print(ctx.output, stats, mode)
    return stats.exit_code


def _document(stats: Stats) -> dict[str, object]:
    """restic's keys; those that are 0 are left out, as there."""
    document: dict[str, object] = {"total_size": stats.total_bytes}
    optional = {
        "total_uncompressed_size": stats.uncompressed_bytes,
        "compression_ratio": _number(stats.compression_ratio),
        "compression_progress": _number(stats.compression_progress),
        "compression_space_saving": _number(stats.compression_space_saving),
        "total_file_count": stats.files,
        "total_blob_count": stats.blobs,
    }
    document |= {key: value for key, value in optional.items() if value}
    return {**document, "snapshots_count": stats.snapshots}


def _number(value: float) -> float | int:
    """Go writes 100, not 100.0."""
    return int(value) if value.is_integer() else value


def _print(output: Output, stats: Stats, mode: str) -> None:
    lines = [("Snapshots processed", str(stats.snapshots), True)]
    lines += [
        ("Total Blob Count", str(stats.blobs), stats.blobs > 0),
        ("Total File Count", str(stats.files), stats.files > 0),
        ("Total Uncompressed Size", f"{size(stats.uncompressed_bytes):<5}", stats.uncompressed_bytes > 0),
        ("Total Size", f"{size(stats.total_bytes):<5}", True),
        ("Compression Progress", f"{stats.compression_progress:.2f}%", stats.compression_progress > 0),
        ("Compression Ratio", f"{stats.compression_ratio:.2f}x", stats.compression_ratio > 0),
        ("Compression Space Saving", f"{stats.compression_space_saving:.2f}%", stats.compression_space_saving > 0),
    ]
    output.line(f"Stats in {mode} mode:")
    for label, value, shown in lines:
        if shown:
            output.line(f"{label:>24}:  {value}")
