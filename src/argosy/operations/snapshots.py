"""`argosy snapshots`: the snapshots of a repository, grouped, and of each group all or the last ones."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from argosy.errors import Damaged
from argosy.operations.grouping import GroupBy, SnapshotGroup, group_snapshots
from argosy.operations.selection import select_snapshots
from argosy.operations.session import Access, open_session
from argosy.repository.snapshots import ALL_SNAPSHOTS, SnapshotFilter, StoredSnapshot


class SnapshotsOptions(msgspec.Struct, frozen=True):
    """``names``: the start of ids, or "latest". ``latest``: only so many of each host and set of paths; 0: all."""

    names: Sequence[str] = ()
    wanted: SnapshotFilter = ALL_SNAPSHOTS
    group_by: GroupBy = msgspec.field(default_factory=GroupBy)
    latest: int = 0


class SnapshotsResult(msgspec.Struct, frozen=True):
    """Groups in the order of their keys, and snapshots that could not be read, each with the reason."""

    groups: Sequence[SnapshotGroup]
    damaged: Sequence[Damaged] = ()

    @property
    def exit_code(self) -> int:
        """0, or 1 if some snapshot could not be read."""
        return 1 if self.damaged else 0


def run_snapshots(access: Access, options: SnapshotsOptions) -> SnapshotsResult:
    """List snapshots."""
    damaged: list[Damaged] = []
    with open_session(access) as session:
        snapshots = select_snapshots(
            session.repository, options.names, options.wanted, on_damaged=lambda _id, error: damaged.append(error)
        )
    groups = group_snapshots(snapshots, options.group_by)
    if options.latest:
        groups = [SnapshotGroup(group.key, _last_ones(group.snapshots, options.latest)) for group in groups]
    return SnapshotsResult(groups, damaged)


def _last_ones(snapshots: Sequence[StoredSnapshot], number: int) -> list[StoredSnapshot]:
    """Of each host and set of paths the ``number`` newest, oldest first."""
    seen: dict[tuple[str, tuple[str, ...]], int] = {}
    kept = []
    for stored in sorted(snapshots, key=_age, reverse=True):
        kind = stored.snapshot.hostname, tuple(sorted(stored.snapshot.paths))
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] <= number:
            kept.append(stored)
    return kept[::-1]


def _age(stored: StoredSnapshot) -> tuple[int, bytes]:
    return stored.age_key
