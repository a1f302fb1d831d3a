"""``argosy check``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from argosy.cli.check_progress import check_display
from argosy.cli.cluster_flags import submitting_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.display import ProgressReporter
from argosy.cli.wording import counted, duration, size
from argosy.errors import UsageError

if TYPE_CHECKING:
    from argosy.cli.check_report import CheckReport
    from argosy.cli.cluster_jobs import JobShow
    from argosy.operations.check.options import CheckObserver, CheckResult, Problem
    from argosy.operations.check.subset import ReadSubset


@verb("check", unlocks=True)
@click.option("--read-data", is_flag=True, help="read and verify every byte")
@click.option(
    "--read-data-subset",
    metavar="SUBSET",
    help="read a part: n/t (the n-th of t), x% or a size with k, M, G or T (at random)",
)
@click.option("--read-data-rolling", metavar="TIME", help="read what is due, so that in 30d all is read once")
@click.option("--no-resume", is_flag=True, help="do not go on with a check that was interrupted")
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE", help="write what was found to FILE, as JSON")
@click.option("--with-cache", is_flag=True, help="trust this machine's cache of trees and snapshots")
@click.option("--check-unused", is_flag=True, hidden=True, help="restic's old flag, without effect")
@submitting_flags
def command(
    ctx: Context,
    /,
    read_data: bool,
    read_data_subset: str | None,
    read_data_rolling: str | None,
    no_resume: bool,
    report: Path | None,
    with_cache: bool,
    check_unused: bool,  # noqa: ARG001 - restic ignores it too
    **flags: Any,
) -> int:
    """Test the repository for errors.

    Every snapshot, tree and index is read, and each pack must be there with its right size; with
    --read-data everything else is read, too. What is damaged is named with what can be done, and
    the exit code is then 1. Nothing is changed.
    """
    from argosy.operations.check.options import CheckOptions
    from argosy.operations.check.run import run_check

    options = CheckOptions(
        _subset(read_data, read_data_subset, read_data_rolling), resume=not no_resume, with_cache=with_cache
    )
    reporter = _Reporter(ctx, None if report is None else _begin_report(report, ctx.location))
    if flags["cluster"]:
        from argosy.cli.cluster_jobs import JobShow, run_by_cluster
        from argosy.daemon.protocol import CheckOrder

        return run_by_cluster(ctx, flags, CheckOrder(options), JobShow(reporter.observer, reporter.end, reporter))
    with ctx.stopping() as stop_requested, reporter:
        state_directory = ctx.state_directory if options.subset is not None else None
        result = run_check(ctx.access, options, reporter.observer(stop_requested), state_directory=state_directory)
    return reporter.end(result)


def _begin_report(path: Path, location: str) -> CheckReport:
    from argosy.cli.check_report import CheckReport

    return CheckReport(path, location)


def check_show(ctx: Context) -> JobShow:
    """How a cluster's check is shown."""
    from argosy.cli.cluster_jobs import JobShow

    reporter = _Reporter(ctx, None)
    return JobShow(reporter.observer, reporter.end, reporter)


def _subset(read_data: bool, subset: str | None, rolling: str | None) -> ReadSubset | None:
    """Which packs are read. UsageError for more than one of the flags."""
    from argosy.operations.check.subset import READ_ALL, parse_rolling, parse_subset

    given = (read_data, subset is not None, rolling is not None)
    flags = ("--read-data", "--read-data-subset", "--read-data-rolling")
    names = [name for name, is_given in zip(flags, given, strict=True) if is_given]
    if len(names) > 1:
        raise UsageError(f"{' and '.join(names)} exclude each other", hint="Leave out all but one.")
    if subset is not None:
        return parse_subset(subset)
    if rolling is not None:
        return parse_rolling(rolling)
    return READ_ALL if read_data else None


class _Reporter(ProgressReporter[Any]):
    """Prints what a check tells, and its result. (What it shows is a CheckProgress, whose module is imported late.)"""

    def __init__(self, ctx: Context, report: CheckReport | None) -> None:
        super().__init__(ctx.output, check_display(ctx))
        self._report = report
        self._advice: dict[str, None] = {}

    def observer(self, stop_requested: object) -> CheckObserver:
        """What the operation is given."""
        from argosy.operations.check.options import CheckObserver

        assert callable(stop_requested)
        return CheckObserver(
            problem=self._problem,
            hint=self._hint,
            message=self.output.message if not self.output.json else lambda _text: None,
            detail=self.output.detail,
            progress=lambda progress: self.show(progress, progress.bytes_done),
            stop_requested=stop_requested,
        )

    def end(self, result: CheckResult) -> int:
        """Print the summary; the exit code."""
        if self._report is not None:
            self._report.end(_summary(result))
        if self.output.json:
            self.output.document(_summary(result))
        else:
            self._say_end(result)
        return result.exit_code

    def _say_end(self, result: CheckResult) -> None:
        done = f"{counted(result.snapshots, 'snapshot')}, {counted(result.trees, 'tree')}, " + counted(
            result.packs, "pack"
        )
        if result.packs_read:
            done += f"; {size(result.bytes_read)} of {counted(result.packs_read, 'pack')} read"
        self.output.message(f"checked {done} in {duration(time.monotonic() - self.started)}")
        if not result.problems:
            self.output.message("no errors were found")
            return
        for advice in self._advice:
            self.output.error_line(advice)
        if result.broken_packs:
            self.output.error_line(f"damaged packs: {' '.join(result.broken_packs)}")
        self.output.error_line(f"Fatal: repository contains errors ({result.problems})")

    def _problem(self, problem: Problem) -> None:
        self._advice[f"{problem.part.value}: {problem.advice}"] = None
        if self._report is not None:
            self._report.add_problem(problem)
        if self.output.json:
            message = f"{problem.message}. {problem.advice}"
            self.output.error_document({"message_type": "error", "message": message})
        else:
            self.output.error_line(f"error: {problem.message}")

    def _hint(self, text: str) -> None:
        if self._report is not None:
            self._report.add_hint(text)
        if not self.output.json:
            self.output.message(text)


def _summary(result: CheckResult) -> dict[str, object]:
    """restic's summary; below its keys ours."""
    return {
        "message_type": "summary",
        "num_errors": result.problems,
        "broken_packs": result.broken_packs or None,
        "suggest_repair_index": result.suggest_repair_index,
        "suggest_prune": result.suggest_prune,
        "snapshots": result.snapshots,
        "trees": result.trees,
        "packs": result.packs,
        "packs_read": result.packs_read,
        "packs_read_before": result.packs_read_before,
        "bytes_read": result.bytes_read,
        "unindexed_packs": result.unindexed_packs,
    }
