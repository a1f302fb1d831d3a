"""`argosy forget`: decide, tell, delete."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec

from argosy.errors import Damaged, UsageError
from argosy.operations.forget.policy import Decision, Policy, apply_policy
from argosy.operations.grouping import GroupBy, GroupKey, group_snapshots
from argosy.operations.selection import select_snapshots
from argosy.operations.session import Access, Session, open_session
from argosy.repository.layout import FileKind
from argosy.repository.snapshots import ALL_SNAPSHOTS, SnapshotFilter

BY_HOST_AND_PATHS = GroupBy(host=True, paths=True)


class ForgetOptions(msgspec.Struct, frozen=True):
    """``names``: the start of ids, or "latest": those go, and no rule counts. Else the rules of ``policy``.

    ``allow_remove_all``: with no rule at all, everything goes that the filters let through.
    """

    names: Sequence[str] = ()
    policy: Policy = msgspec.field(default_factory=Policy)
    wanted: SnapshotFilter = ALL_SNAPSHOTS
    group_by: GroupBy = BY_HOST_AND_PATHS
    allow_remove_all: bool = False
    dry_run: bool = False


class ForgetPlan(msgspec.Struct, frozen=True):
    """What would become of which snapshots: by groups, unless they are named. ``damaged``: could not be read."""

    groups: Sequence[tuple[GroupKey, Decision]]
    removed_ids: Sequence[bytes]
    damaged: Sequence[Damaged] = ()


class ForgetResult(msgspec.Struct, frozen=True):
    """What was removed (or in a dry run would be)."""

    removed_ids: Sequence[bytes]
    damaged: Sequence[Damaged]

    @property
    def exit_code(self) -> int:
        """0, or 1 if some snapshot could not be read."""
        return 1 if self.damaged else 0


def run_forget(access: Access, options: ForgetOptions, show: Callable[[ForgetPlan], None]) -> ForgetResult:
    """Remove snapshots; ``show`` is given the plan before anything is removed. UsageError for a plan that may not be.

    RepositoryLocked if anybody else uses the repository.
    """
    refuse_misuse(options, no_lock=access.no_lock)
    with open_session(access, exclusive=True) as session:
        return forget_in(session, options, show)


def forget_in(session: Session, options: ForgetOptions, show: Callable[[ForgetPlan], None]) -> ForgetResult:
    """The same in a session whose lock is exclusive."""
    plan = plan_forget(session, options)
    show(plan)
    if not options.dry_run:
        _execute(session, plan)
    return ForgetResult(plan.removed_ids, plan.damaged)


def refuse_misuse(options: ForgetOptions, *, no_lock: bool) -> None:
    """UsageError for what can be told without looking: no rule, everything without a filter, no lock."""
    if no_lock and not options.dry_run:
        raise UsageError("forget needs its lock", hint="Leave out --no-lock, or add --dry-run.")
    if options.names or options.policy:
        return
    if not options.allow_remove_all:
        raise UsageError(
            "no rule was given, so no snapshot is removed",
            hint="Say what to keep (--keep-last 7 …), or name the snapshots that are to go.",
        )
    wanted = options.wanted
    if not (wanted.hosts or wanted.tags or wanted.paths):
        raise UsageError("--unsafe-allow-remove-all is refused without a filter", hint="Add --host, --tag or --path.")


def plan_forget(session: Session, options: ForgetOptions) -> ForgetPlan:
    """Decide. UsageError if the rules keep nothing of a group; SnapshotMissing for a name that fits none."""
    damaged: list[Damaged] = []
    snapshots = select_snapshots(
        session.repository, options.names, options.wanted, on_damaged=lambda _id, error: damaged.append(error)
    )
    if options.names:
        return ForgetPlan([], [stored.id for stored in snapshots], damaged)
    groups, removed = [], []
    for group in group_snapshots(snapshots, options.group_by):
        decision = apply_policy(group.snapshots, options.policy, time.time_ns())
        if options.policy and not decision.keep:
            raise UsageError(
                f"refusing to delete the last snapshot of {describe_key(group.key)}: no rule keeps any of them",
                hint="Nothing was removed. Give a rule that keeps one, or leave the group out: --host, --tag, --path.",
            )
        groups.append((group.key, decision))
        removed += [stored.id for stored in decision.remove]
    return ForgetPlan(groups, removed, damaged)


def describe_key(key: GroupKey) -> str:
    """``host alpha, paths [/home]``: a group for a message."""
    parts = [f"host {key.hostname}"] if key.hostname else []
    if key.tags is not None:
        parts.append(f"tags [{', '.join(key.tags)}]")
    if key.paths is not None:
        parts.append(f"paths [{', '.join(key.paths)}]")
    return ", ".join(parts) or "the repository"


def _execute(session: Session, plan: ForgetPlan) -> None:
    """Delete the snapshots. Safe to die here: each is there or gone, and none needs another."""
    for snapshot_id in plan.removed_ids:
        assert session.lock is not None, "only a dry run goes without"
        session.lock.check()
        session.repository.delete(FileKind.SNAPSHOT, snapshot_id)
