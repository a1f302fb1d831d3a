"""Snapshots told apart by host, paths and tags, as --group-by says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from argosy.errors import UsageError
from argosy.repository.snapshots import StoredSnapshot

_GROUPINGS = {
    "host": "host",
    "hosts": "host",
    "path": "paths",
    "paths": "paths",
    "tag": "tags",
    "tags": "tags",
}


class GroupBy(msgspec.Struct, frozen=True):
    """By what snapshots are told apart; nothing set: all are one group."""

    host: bool = False
    paths: bool = False
    tags: bool = False

    def __bool__(self) -> bool:
        return self.host or self.paths or self.tags


class GroupKey(msgspec.Struct, frozen=True):
    """What the snapshots of a group have in common; "" and None where they were not told apart by it."""

    hostname: str = ""
    paths: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None


class SnapshotGroup(msgspec.Struct, frozen=True):
    """A group's snapshots, oldest first."""

    key: GroupKey
    snapshots: Sequence[StoredSnapshot]


def parse_group_by(text: str) -> GroupBy:
    """``host,paths,tags`` in any order, restic's other spellings too. UsageError for anything else."""
    chosen = set()
    for word in filter(None, text.split(",")):
        if word not in _GROUPINGS:
            raise UsageError(f"snapshots cannot be grouped by {word!r}", hint="Use host, paths and tags, with commas.")
        chosen.add(_GROUPINGS[word])
    return GroupBy(**dict.fromkeys(chosen, True))


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
    found = [SnapshotGroup(key, sorted(members, key=lambda stored: stored.age_key)) for key, members in groups.items()]
    return sorted(found, key=lambda group: (group.key.hostname, group.key.paths or (), group.key.tags or ()))
