"""``argosy copy``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from argosy.cli.choosing import snapshot_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.display import Display, LineDisplay, choose_display
from argosy.cli.pace import Pace
from argosy.cli.saving_flags import saving_options
from argosy.cli.snapshot_words import describe, short_id
from argosy.cli.source_repository import source_context, source_flags
from argosy.cli.wording import counted, size

if TYPE_CHECKING:
    from argosy.errors import ArgosyError
    from argosy.operations.copy.options import CopyObserver, CopyProgress
    from argosy.repository.snapshots import SnapshotFilter, StoredSnapshot


@verb("copy", unlocks=True)
@source_flags
@snapshot_flags
@click.argument("snapshot_ids", metavar="[SNAPSHOT…]", nargs=-1)
def command(ctx: Context, /, snapshot_ids: tuple[str, ...], wanted: SnapshotFilter, **flags: Any) -> int:
    """Copy snapshots of another repository into this one, all or those chosen.

    What is here already, snapshots as well as blobs, is not copied again. Every blob is verified before it is stored.
    """
    from argosy.operations.copy.options import CopyOptions
    from argosy.operations.copy.run import run_copy

    options = CopyOptions(snapshot_ids, wanted, saving_options(ctx))
    with ctx.stopping("stopping: what is copied stays, the same command goes on; once more: at once") as stop_requested:
        reporter = _Reporter(ctx)
        result = run_copy(source_context(ctx, flags).access, ctx.access, options, reporter.observer(stop_requested))
    reporter.finish(result)
    return result.exit_code


class _Reporter:
    """Prints what a copy tells."""

    def __init__(self, ctx: Context) -> None:
        self._output = ctx.output
        self._begun = time.monotonic()
        self._pace = Pace()
        line: Display[CopyProgress] = LineDisplay(ctx.output, _progress_line)
        self._display = choose_display(ctx, status_document, _progress_line, lambda: line)

    def observer(self, stop_requested: Callable[[], bool]) -> CopyObserver:
        """What ``run_copy`` is given."""
        from argosy.operations.copy.options import CopyObserver

        return CopyObserver(
            self._output.warning,
            lambda stored: self._output.detail(describe(stored)),
            self._copied,
            self._skipped,
            self._failed,
            self._progress,
            stop_requested,
        )

    def finish(self, result: CopyProgress) -> None:
        """The summary."""
        if self._output.json:
            self._output.document(summary_document(result))
            return
        self._output.message(
            f"copied {counted(result.copied, 'snapshot')} with {counted(result.blobs, 'blob')},"
            f" {size(result.size_bytes)}; {result.skipped} were there already"
        )

    def _copied(self, stored: StoredSnapshot, new_id: bytes) -> None:
        if self._output.json:
            self._output.document(snapshot_document("copied", stored.id, new_id), flush=True)
        else:
            self._output.message(f"snapshot {short_id(new_id)} saved, copied from {short_id(stored.id)}")

    def _skipped(self, stored: StoredSnapshot, its_id: bytes) -> None:
        if self._output.json:
            self._output.document(snapshot_document("skipped", stored.id, its_id), flush=True)
        else:
            self._output.detail(f"snapshot {short_id(stored.id)} is there already, as {short_id(its_id)}")

    def _failed(self, snapshot_id: bytes, error: ArgosyError) -> None:
        self._output.error(f"{error.message}; it is not copied", item=f"snapshot {snapshot_id.hex()}")

    def _progress(self, progress: CopyProgress) -> None:
        if self._display is not None:
            now = time.monotonic()
            self._pace.look(now, progress.size_bytes)
            self._display.show(progress, now - self._begun, self._pace)


def snapshot_document(kind: str, source_id: bytes, its_id: bytes) -> dict[str, object]:
    """A snapshot that was copied, or was there."""
    return {"message_type": kind, "source_snapshot_id": source_id.hex(), "snapshot_id": its_id.hex()}


def summary_document(result: CopyProgress) -> dict[str, object]:
    """How the copy ended."""
    return {"message_type": "summary", **_counts(result)}


def status_document(progress: CopyProgress, seconds: float, pace: Pace) -> dict[str, object]:
    """A look at a running copy."""
    return {
        "message_type": "status",
        **_counts(progress),
        "seconds_elapsed": int(seconds),
        "bytes_per_second": int(pace.bytes_per_second),
    }


def _counts(progress: CopyProgress) -> dict[str, object]:
    return {
        "snapshots": progress.snapshots,
        "snapshots_copied": progress.copied,
        "snapshots_skipped": progress.skipped,
        "snapshots_failed": progress.failed,
        "trees": progress.trees,
        "blobs_copied": progress.blobs,
        "bytes_copied": progress.size_bytes,
    }


def _progress_line(progress: CopyProgress, _seconds: float, pace: Pace) -> str:
    done = progress.copied + progress.skipped + progress.failed
    return (
        f"{done} of {counted(progress.snapshots, 'snapshot')}; {counted(progress.blobs, 'blob')},"
        f" {size(progress.size_bytes)} copied, {size(pace.bytes_per_second)}/s"
    )
