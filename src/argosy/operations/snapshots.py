"""`argosy snapshots`: the snapshots of a repository, grouped, and of each group all or the last ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from argosy.errors import Damaged, UsageError
from argosy.operations.selection import select_snapshots
from argosy.operations.session import Access, open_session
from argosy.repository.snapshots import ALL_SNAPSHOTS, SnapshotFilter, StoredSnapshot

_GROUPINGS = {
    "host": "host",
    "hosts": "host",
    "path": "paths",
    "paths": "paths",
    "tag": "tags",
    "tags": "tags",
}


@dataclass(frozen=True, slots=True)
class GroupBy:
    """By what snapshots are told apart; nothing set: all are one group."""

    host: bool = False
    paths: bool = False
    tags: bool = False

    def __bool__(self) -> bool:
        return self.host or self.paths or self.tags


@dataclass(frozen=True, slots=True)
class GroupKey:
    """What the snapshots of a group have in common; "" and None where they were not told apart by it."""

    hostname: str = ""
    paths: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class SnapshotGroup:
    """A group's snapshots, oldest first."""

    key: GroupKey
    snapshots: Sequence[StoredSnapshot]


@dataclass(frozen=True, slots=True)
class SnapshotsOptions:
    """``names``: the start of ids, or "latest". ``latest``: only so many of each host and set of paths; 0: all."""

    names: Sequence[str] = ()
    wanted: SnapshotFilter = ALL_SNAPSHOTS
    group_by: GroupBy = field(default_factory=GroupBy)
    latest: int = 0


@dataclass(frozen=True, slots=True)
class SnapshotsResult:
    """Groups in the order of their keys, and snapshots that could not be read, each with the reason."""

    groups: Sequence[SnapshotGroup]
    damaged: Sequence[Damaged] = ()

    @property
    def exit_code(self) -> int:
        """0, or 1 if some snapshot could not be read."""
        return 1 if self.damaged else 0


def parse_group_by(text: str) -> GroupBy:
    """``host,paths,tags`` in any order, restic's other spellings too. UsageError for anything else."""
    chosen = set()
    for word in filter(None, text.split(",")):
        if word not in _GROUPINGS:
            raise UsageError(f"snapshots cannot be grouped by {word!r}", hint="Use host, paths and tags, with commas.")
        chosen.add(_GROUPINGS[word])
    return GroupBy(**dict.fromkeys(chosen, True))


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


def group_snapshots(snapshots: Iterable[StoredSnapshot], group_by: GroupBy) -> list[SnapshotGroup]:
    """Snapshots by what they have in common. Their paths are sorted, as restic shows them."""
    groups: dict[GroupKey, list[StoredSnapshot]] = {}
    for stored in snapshots:
        snapshot = msgspec.structs.replace(stored.snapshot, paths=sorted(stored.snapshot.paths))
        if group_by.tags:
            snapshot = msgspec.structs.replace(snapshot, tags=sorted(snapshot.tags))
        key = GroupKey(
            snapshot.hostname if group_by.host else "",
            tuple(snapshot.paths) if group_by.paths else None,
            tuple(snapshot.tags) or None if group_by.tags else None,
        )
        groups.setdefault(key, []).append(StoredSnapshot(stored.id, snapshot))
    found = [SnapshotGroup(key, sorted(members, key=_age)) for key, members in groups.items()]
    return sorted(found, key=lambda group: (group.key.hostname, group.key.paths or (), group.key.tags or ()))


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
