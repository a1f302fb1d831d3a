"""What a prune says: its plan, how far it is, and that it is done."""

from __future__ import annotations

from collections.abc import Callable

from argosy.cli.context import Context
from argosy.cli.display import Display, ProgressReporter, choose_display
from argosy.cli.member_words import with_members
from argosy.cli.pace import Pace
from argosy.cli.wording import counted, duration, size
from argosy.operations.prune.options import PruneObserver, PruneProgress
from argosy.operations.prune.plan import PruneSummary


class PruneReporter(ProgressReporter[PruneProgress]):
    """The observer's ears."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx.output, _display(ctx))

    def observer(self, stop_requested: Callable[[], bool]) -> PruneObserver:
        """What the operation is given."""
        return PruneObserver(
            message=self.output.message if not self.output.json else lambda _text: None,
            detail=self.output.detail,
            show=self.plan,
            progress=lambda progress: self.show(progress, progress.bytes_done),
            stop_requested=stop_requested,
        )

    def plan(self, plan: PruneSummary) -> None:
        """Say what becomes of the packs."""
        if self.output.json:
            self.output.document(plan_document(plan), flush=True)
            return
        for line in plan_lines(plan):
            self.output.message(line)

    def finish(self, plan: PruneSummary) -> int:
        """Say that it is done; the exit code."""
        if plan.is_empty:
            self.output.message("nothing to do")
        elif not plan.dry_run:
            if plan.unfinished:
                self.output.message(_unfinished_words("removed", plan))
            self.output.message("done")
        return 0


def plan_lines(plan: PruneSummary) -> list[str]:
    """What there is and what becomes of it."""
    stats = plan.stats
    left = stats.used.size_bytes + stats.remaining_unused_bytes
    share = stats.remaining_unused_bytes / left if left else 0.0
    lines = [
        f"used:      {counted(stats.used.blobs, 'blob')}, {size(stats.used.size_bytes)}",
        f"unused:    {counted(stats.unused.blobs, 'blob')}, {size(stats.unused.size_bytes)}",
        f"to delete: {counted(plan.remove, 'pack')}, {size(stats.to_delete.size_bytes)}",
        f"to repack: {counted(plan.repack, 'pack')}, {size(stats.to_repack.size_bytes)};"
        f" this frees {size(stats.to_drop.size_bytes)}",
    ]
    if plan.unindexed:
        lines.append(f"in no index: {counted(plan.unindexed, 'pack')}, {size(stats.unindexed_bytes)}, to delete")
    if plan.missing:
        lines.append(f"missing and not needed: {counted(plan.missing, 'pack')}, to be dropped from the indexes")
    if plan.unfinished:
        lines.append(_unfinished_words("would remove" if plan.dry_run else "will remove", plan))
    lines.append(f"frees {size(plan.freed_bytes)}; unused after it: {size(stats.remaining_unused_bytes)} ({share:.1%})")
    return lines


def plan_document(plan: PruneSummary) -> dict[str, object]:
    """The summary; sizes in bytes, of blobs as they are stored."""
    stats = plan.stats
    return {
        "message_type": "prune_summary",
        "dry_run": plan.dry_run,
        "used_blobs": stats.used.blobs,
        "used_bytes": stats.used.size_bytes,
        "unused_blobs": stats.unused.blobs,
        "unused_bytes": stats.unused.size_bytes,
        "packs_kept": plan.keep,
        "packs_removed": plan.remove,
        "packs_repacked": plan.repack,
        "packs_unindexed": plan.unindexed,
        "unfinished_files": plan.unfinished,
        "unfinished_bytes": stats.unfinished_bytes,
        "deleted_blobs": stats.to_delete.blobs,
        "repacked_blobs": stats.to_repack.blobs,
        "dropped_blobs": stats.to_drop.blobs,
        "repacked_bytes": stats.to_repack.size_bytes,
        "freed_bytes": plan.freed_bytes,
        "remaining_unused_bytes": stats.remaining_unused_bytes,
    }


def _unfinished_words(verb: str, plan: PruneSummary) -> str:
    files = counted(plan.unfinished, "unfinished file")
    return f"{verb} {files} of killed writers, {size(plan.stats.unfinished_bytes)}"


def progress_line(progress: PruneProgress, seconds: float, pace: Pace) -> str:
    """One line about a prune that repacks."""
    share = min(1.0, progress.bytes_done / progress.pack_bytes) if progress.pack_bytes else 1.0
    parts = [
        f"[{duration(seconds)}] repacked {progress.packs_done:,} of {counted(progress.packs, 'pack')}, {share:.0%}",
        f"{size(pace.bytes_per_second)}/s",
    ]
    left = pace.seconds_left(max(0, progress.pack_bytes - progress.bytes_done))
    if left is not None:
        parts.append(f"ETA {duration(left)}")
    return "; ".join(parts)


def _display(ctx: Context) -> Display[PruneProgress] | None:
    def live() -> Display[PruneProgress]:
        from argosy.cli.live import lines_display

        return lines_display(ctx.output, lambda *look: with_members(progress_line(*look), look[0].members))

    return choose_display(ctx, None, progress_line, live)
