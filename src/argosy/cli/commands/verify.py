"""``argosy verify``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click
import msgspec

from argosy.cli.choosing import snapshot_flags
from argosy.cli.cluster_flags import submitting_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.patterns import pattern_flags, selection
from argosy.cli.values import parallel_or_auto
from argosy.errors import UsageError

if TYPE_CHECKING:
    from argosy.cli.cluster_jobs import JobShow
    from argosy.cli.display import Display
    from argosy.operations.verify.options import VerifyOptions, VerifyProgress
    from argosy.repository.snapshots import SnapshotFilter

_IGNORABLE = ("mode", "owner", "mtime", "links", "xattrs")


@verb("verify", unlocks=True)
@pattern_flags
@click.option("--ignore", multiple=True, type=click.Choice(_IGNORABLE), help="do not compare this (again: nor this)")
@click.option("--report", metavar="FILE", help="write a signed report with the hash of each file")
@click.option("--check-report", metavar="FILE", help="prove that a report is as it was written; compares nothing")
@snapshot_flags
@click.option("--workers", type=parallel_or_auto, metavar="N|auto", help="worker processes (auto: one a processor)")
@submitting_flags
@click.argument("snapshot", required=False)
@click.argument("source", required=False)
def command(
    ctx: Context,
    /,
    snapshot: str | None,
    source: str | None,
    wanted: SnapshotFilter,
    ignore: tuple[str, ...],
    report: str | None,
    check_report: str | None,
    workers: int | None,
    **flags: Any,
) -> int:
    """Compare a snapshot with a directory: contents by hash, and all metadata.

    SNAPSHOT is the start of an id, or "latest". SNAPSHOT:DIR compares the content of one directory; without DIR it is
    the place at which SOURCE was saved, or the whole snapshot if it was not. Nothing is changed on either side.

    Exit codes: 0 all the same, 1 failed or the repository is damaged, 3 something could not be read (and nothing
    differs), 4 differences, 10 there is no repository, 11 it is locked, 12 the password is wrong, 130 interrupted.
    """
    if check_report is not None:
        if snapshot is not None or report is not None or flags["cluster"]:
            raise UsageError("--check-report compares nothing", hint="Give it alone.")
        return _prove(ctx, check_report)
    if snapshot is None or source is None:
        raise UsageError("a snapshot and a directory are needed", hint="Write: argosy verify latest /data")
    from argosy.cli.verify_reporter import VerifyReporter
    from argosy.operations.verify.options import VerifyOptions
    from argosy.operations.verify.run import run_verify

    options = VerifyOptions(
        source=os.fsencode(source),
        snapshot=snapshot,
        wanted=wanted,
        selection=selection(ctx, flags),
        ignored=frozenset(ignore),
        report=None if report is None else os.fsencode(report),
        workers=workers,
    )
    if flags["cluster"]:
        return _verify_by_cluster(ctx, {**flags, "workers": workers}, options)
    with ctx.stopping() as stop, VerifyReporter(ctx.output, _display(ctx), options.source) as reporter:
        result = run_verify(ctx.access, options, reporter.observer(stop))
    return reporter.finish(result)


def _verify_by_cluster(ctx: Context, flags: dict[str, Any], options: VerifyOptions) -> int:
    """The master reads the source, and writes the report, where these paths are on its machine."""
    from argosy.cli.cluster_jobs import run_by_cluster
    from argosy.daemon.protocol import VerifyOrder

    options = msgspec.structs.replace(
        options,
        source=os.path.abspath(options.source),
        report=None if options.report is None else os.path.abspath(options.report),
    )
    return run_by_cluster(ctx, flags, VerifyOrder(options), verify_show(ctx, options.source))


def verify_show(ctx: Context, source: bytes) -> JobShow:
    """How a cluster's comparison is shown."""
    from argosy.cli.cluster_jobs import JobShow
    from argosy.cli.verify_reporter import VerifyReporter

    reporter = VerifyReporter(ctx.output, _display(ctx), source)
    return JobShow(reporter.observer, reporter.finish, reporter)


def _prove(ctx: Context, path: str) -> int:
    from argosy.cli.verify_reporter import show_proved

    show_proved(ctx.output, path, ctx.repository.check_report(path))
    return 0


def _display(ctx: Context) -> Display[VerifyProgress] | None:
    from argosy.cli.display import choose_display
    from argosy.cli.verify_reporter import progress_line, status_document

    def live() -> Display[VerifyProgress]:
        from argosy.cli.live import lines_display
        from argosy.cli.member_words import with_members

        return lines_display(ctx.output, lambda *look: with_members(progress_line(*look), look[0].members))

    return choose_display(ctx, status_document, progress_line, live)
