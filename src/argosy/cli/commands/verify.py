"""``argosy verify``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from argosy.cli.choosing import snapshot_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.patterns import pattern_flags, selection
from argosy.cli.values import parallel_or_auto
from argosy.errors import UsageError

if TYPE_CHECKING:
    from argosy.cli.display import Display
    from argosy.operations.verify.options import VerifyProgress
    from argosy.repository.snapshots import SnapshotFilter

_IGNORABLE = ("mode", "owner", "mtime", "links", "xattrs")


@verb("verify")
@pattern_flags
@click.option("--ignore", multiple=True, type=click.Choice(_IGNORABLE), help="do not compare this (again: nor this)")
@click.option("--report", metavar="FILE", help="write a signed report with the hash of each file")
@click.option("--check-report", metavar="FILE", help="prove that a report is as it was written; compares nothing")
@snapshot_flags
@click.option("--workers", type=parallel_or_auto, metavar="N|auto", help="worker processes (auto: one a processor)")
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
    **patterns: Any,
) -> int:
    """Compare a snapshot with a directory: contents by hash, and all metadata.

    SNAPSHOT is the start of an id, or "latest". SNAPSHOT:DIR compares the content of one directory; without DIR it is
    the place at which SOURCE was saved, or the whole snapshot if it was not. Nothing is changed on either side.

    Exit codes: 0 all the same, 1 failed or the repository is damaged, 3 something could not be read (and nothing
    differs), 4 differences, 10 there is no repository, 11 it is locked, 12 the password is wrong, 130 interrupted.
    """
    if check_report is not None:
        if snapshot is not None or report is not None:
            raise UsageError("--check-report compares nothing", hint="Give it alone.")
        return _prove(ctx, check_report)
    if snapshot is None or source is None:
        raise UsageError("a snapshot and a directory are needed", hint="Write: argosy verify latest /data")
    from argosy.cli.verify_reporter import VerifyReporter
    from argosy.operations.verify.options import VerifyObserver, VerifyOptions
    from argosy.operations.verify.run import run_verify

    options = VerifyOptions(
        source=os.fsencode(source),
        snapshot=snapshot,
        wanted=wanted,
        selection=selection(ctx, patterns),
        ignored=frozenset(ignore),
        report=None if report is None else os.fsencode(report),
        workers=workers,
    )
    with ctx.stopping() as stop, VerifyReporter(ctx.output, _display(ctx), source) as reporter:
        observer = VerifyObserver(reporter.begun, reporter.found, reporter.problem, reporter.progress, stop)
        result = run_verify(ctx.access, options, observer)
    reporter.finish(result, report)
    return result.exit_code


def _prove(ctx: Context, path: str) -> int:
    from argosy.cli.verify_reporter import show_proved

    show_proved(ctx.output, path, ctx.repository.check_report(path))
    return 0


def _display(ctx: Context) -> Display[VerifyProgress] | None:
    from argosy.cli.display import choose_display
    from argosy.cli.verify_reporter import progress_line, status_document

    def live() -> Display[VerifyProgress]:
        from argosy.cli.live import lines_display

        return lines_display(ctx.output, lambda *look: [progress_line(*look)])

    return choose_display(ctx, status_document, progress_line, live)
