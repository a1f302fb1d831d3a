"""``argosy forget``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from argosy.cli.choosing import long_snapshot_flags
from argosy.cli.cluster_flags import submitting_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.output import Output
from argosy.cli.prune_flags import prune_flags, prune_options
from argosy.cli.snapshot_table import group_title, snapshot_lines
from argosy.cli.snapshot_words import short_id, snapshot_json
from argosy.cli.values import keep_count
from argosy.cli.wording import counted
from argosy.errors import UsageError

if TYPE_CHECKING:
    from argosy.operations.forget.moments import Span
    from argosy.operations.forget.policy import Decision, Policy
    from argosy.operations.forget.run import ForgetPlan, ForgetResult
    from argosy.operations.grouping import GroupKey
    from argosy.operations.prune.options import PruneOptions
    from argosy.repository.snapshots import SnapshotFilter, StoredSnapshot

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_UNITS = (("last", "-l"), ("hourly", "-H"), ("daily", "-d"), ("weekly", "-w"), ("monthly", "-m"), ("yearly", "-y"))


def _span(text: str) -> Span:
    from argosy.operations.forget.moments import parse_span

    try:
        return parse_span(text)
    except UsageError as error:
        raise click.BadParameter(f"{error.message}. {error.hint}") from error


def _keep_flags(function: Decorated) -> Decorated:
    """The rules, as ``keep_last`` … ``keep_yearly``, ``keep_within``, ``keep_within_hourly`` …, ``keep_tag``."""
    flags = []
    for unit, letter in _UNITS:
        words = "snapshots" if unit == "last" else f"{unit} snapshots"
        text = f"keep the last N {words} ('unlimited': all)"
        flags.append(click.option(letter, f"--keep-{unit}", type=keep_count, default="0", metavar="N", help=text))
    for ending, words in (("", "all"), *((f"-{unit}", f"one {unit}") for unit, _ in _UNITS[1:])):
        text = f"keep {words} within DURATION (1y5m7d2h) of the newest"
        flags.append(click.option(f"--keep-within{ending}", type=_span, metavar="DURATION", help=text))
    text = "keep snapshots with all of these tags (again: or these)"
    flags.append(click.option("--keep-tag", multiple=True, metavar="TAG[,TAG…]", help=text))
    for flag in reversed(flags):
        function = flag(function)
    return function


@verb("forget", unlocks=True)
@_keep_flags
@click.option(
    "--unsafe-allow-remove-all", is_flag=True, help="with a filter and no rule: remove all that it lets through"
)
@long_snapshot_flags
@click.option("-c", "--compact", is_flag=True, help="no paths and reasons, one tag a line")
@click.option("-g", "--group-by", metavar="GROUP", default="host,paths", help="apply the rules by host, paths, tags")
@click.option("-n", "--dry-run", is_flag=True, help="remove nothing, say what would be")
@click.option("--prune", is_flag=True, help="then remove what no snapshot uses any more")
@prune_flags
@submitting_flags
@click.argument("snapshot_ids", metavar="[SNAPSHOT…]", nargs=-1)
def command(
    ctx: Context,
    /,
    snapshot_ids: tuple[str, ...],
    wanted: SnapshotFilter,
    unsafe_allow_remove_all: bool,
    compact: bool,
    group_by: str,
    dry_run: bool,
    prune: bool,
    **flags: Any,
) -> int:
    """Remove snapshots, by rules or by name.

    The rules are applied to the snapshots of each host and set of paths by themselves. Room is
    gained by `argosy prune`, later; with --prune --cluster a master runs that over its members.
    """
    from argosy.api import forget_and_prune
    from argosy.operations.forget.run import ForgetOptions, run_forget
    from argosy.operations.grouping import parse_group_by

    options = ForgetOptions(
        names=snapshot_ids,
        policy=_policy(flags),
        wanted=wanted,
        group_by=parse_group_by(group_by),
        allow_remove_all=unsafe_allow_remove_all,
        dry_run=dry_run,
    )

    def show_plan(plan: ForgetPlan) -> None:
        show(ctx.output, plan, options.policy, compact=compact)

    def show_result(result: ForgetResult) -> None:
        if not ctx.json:
            ctx.output.message(_outcome(result.removed_ids, dry_run=dry_run))
        for error in result.damaged:
            ctx.output.error(error.message)

    if flags["cluster"]:
        if not prune:
            raise UsageError(
                "forget needs no cluster: it removes snapshots, which is quick", hint="Add --prune, or leave it out."
            )
        pruning = prune_options(ctx, flags, dry_run=dry_run)
        result = run_forget(ctx.access, options, show_plan)
        show_result(result)
        return max(result.exit_code, _prune_by_cluster(ctx, flags, pruning, result.removed_ids))
    if prune:
        from argosy.cli.prune_reporter import PruneReporter

        pruning = prune_options(ctx, flags, dry_run=dry_run)
        with ctx.stopping() as stop, PruneReporter(ctx) as reporter:
            observer = reporter.observer(stop)
            return forget_and_prune(ctx.access, options, pruning, show_plan, show_result, observer).exit_code
    result = run_forget(ctx.access, options, show_plan)
    show_result(result)
    return result.exit_code


def _prune_by_cluster(ctx: Context, flags: dict[str, Any], options: PruneOptions, removed_ids: Sequence[bytes]) -> int:
    """Have a master remove what only these snapshots used; its exit code. Nothing is to be done if none went."""
    from msgspec.structs import replace

    from argosy.cli.cluster_jobs import run_by_cluster
    from argosy.cli.commands.prune import prune_show
    from argosy.daemon.protocol import PruneOrder

    if not removed_ids:
        return 0
    order = PruneOrder.of(replace(options, without=frozenset(removed_ids)))
    return run_by_cluster(ctx, flags, order, prune_show(ctx))


def show(output: Output, plan: ForgetPlan, policy: Policy, *, compact: bool) -> None:
    """Print the plan: tables, or restic's one document."""
    if output.json:
        if plan.groups:
            output.line(f"[{','.join(_group_json(key, decision) for key, decision in plan.groups)}]")
        return
    if not plan.groups:
        return
    output.message(f"Applying Policy: {policy}")
    for key, decision in plan.groups:
        if title := group_title(key):
            output.message(title)
        for word, snapshots, reasons in (
            ("keep", decision.keep, decision.reasons),
            ("remove", decision.remove, None),
        ):
            if snapshots:
                output.message(f"{word} {len(snapshots)} snapshots:")
                oldest_first = list(reversed(snapshots))
                for line in snapshot_lines(oldest_first, compact=compact, reasons=reasons):
                    output.message(line)
                output.message("")


def _policy(rules: dict[str, Any]) -> Policy:
    from argosy.operations.forget.moments import NO_SPAN
    from argosy.operations.forget.policy import Policy, Unit

    return Policy(
        counts={unit: rules[f"keep_{unit.value}"] for unit in Unit},
        within=rules["keep_within"] or NO_SPAN,
        each_within={unit: rules[f"keep_within_{unit.value}"] or NO_SPAN for unit in Unit if unit is not Unit.LAST},
        tags=[[tag.strip() for tag in text.split(",")] for text in rules["keep_tag"]],
    )


def _outcome(removed_ids: Sequence[bytes], *, dry_run: bool) -> str:
    if not removed_ids:
        return "no snapshot would be removed" if dry_run else "no snapshot was removed"
    names = " ".join(short_id(identity) for identity in removed_ids)
    return f"{'would remove' if dry_run else 'removed'} {counted(len(removed_ids), 'snapshot')}: {names}"


def _group_json(key: GroupKey, decision: Decision) -> str:
    """restic's ForgetGroup; lists that are empty are null."""
    import msgspec

    reasons = [
        f'{{"snapshot":{snapshot_json(stored)},"matches":{msgspec.json.encode(decision.reasons[stored.id]).decode()}}}'
        for stored in decision.keep
    ]
    names = msgspec.json.encode({"tags": key.tags, "host": key.hostname, "paths": key.paths}).decode()
    return (
        f'{names[:-1]},"keep":{_snapshots_json(decision.keep)},"remove":{_snapshots_json(decision.remove)},'
        f'"reasons":{_list_json(reasons)}}}'
    )


def _snapshots_json(snapshots: Sequence[StoredSnapshot]) -> str:
    return _list_json([snapshot_json(stored) for stored in snapshots])


def _list_json(texts: Sequence[str]) -> str:
    return f"[{','.join(texts)}]" if texts else "null"
