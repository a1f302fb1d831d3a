"""Which snapshots of a group to keep, by restic's rules (its internal/data/snapshot_policy.go). Pure.

Snapshots are looked at from the newest to the oldest. A counted rule keeps the newest of each hour, day, week, month or
year until it has kept as many as it may; while it may keep more, it keeps the oldest snapshot of all, too. A rule with
a span reaches back from the newest snapshot that does not lie in the future.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum

import msgspec

from argosy.operations.forget.moments import NO_SPAN, Moment, Span, earlier, moment_of
from argosy.repository.snapshots import SnapshotFilter, StoredSnapshot

UNLIMITED = -1


class Unit(Enum):
    """Of what a rule keeps one each."""

    LAST = "last"
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"


class Policy(msgspec.Struct, frozen=True):
    """The rules; without any it keeps nothing.

    ``counts``: how many of each unit, or UNLIMITED. ``within``: all within this span; ``each_within``: one of each unit
    within a span. ``tags``: lists of tags; snapshots with all tags of a list stay.
    """

    counts: dict[Unit, int] = msgspec.field(default_factory=dict)
    within: Span = NO_SPAN
    each_within: dict[Unit, Span] = msgspec.field(default_factory=dict)
    tags: Sequence[Sequence[str]] = ()

    def __bool__(self) -> bool:
        return bool(any(self.counts.values()) or self.within or any(self.each_within.values()) or self.tags)

    def __str__(self) -> str:
        """``keep 3 latest, all daily snapshots``, as restic words it."""
        counted = [
            f"{'all' if self.counts[unit] == UNLIMITED else self.counts[unit]} "
            + ("latest" if unit is Unit.LAST else unit.value)
            for unit in Unit
            if self.counts.get(unit)
        ]
        spans = [
            f"{unit.value} snapshots within {self.each_within[unit]}" for unit in Unit if self.each_within.get(unit)
        ]
        words = ", ".join([*([f"{', '.join(counted)} snapshots"] if counted else []), *spans])
        parts = [words] if words else []
        if self.tags:
            parts.append(f"all snapshots with tags [{', '.join(map(_tag_list, self.tags))}]")
        if self.within:
            parts.append(f"all snapshots within {self.within} of the newest")
        return f"keep {' and '.join(parts)}" if parts else "remove"


class Decision(msgspec.Struct, frozen=True):
    """What becomes of a group: newest first, as restic lists it. ``reasons``: of each that is kept, by id."""

    keep: Sequence[StoredSnapshot]
    remove: Sequence[StoredSnapshot]
    reasons: dict[bytes, Sequence[str]]


def apply_policy(snapshots: Sequence[StoredSnapshot], policy: Policy, now_ns: int) -> Decision:
    """Decide on a group (in any order). Damaged if the time of one is none."""
    newest_first = sorted(snapshots, key=lambda stored: stored.age_key, reverse=True)
    moments = [moment_of(stored.snapshot.time) for stored in newest_first]
    latest = next((moment for moment in moments if moment.ns < now_ns), None)
    rules = list(_rules(policy, latest))
    keep, remove = [], []
    why: dict[bytes, Sequence[str]] = {}
    for number, (stored, moment) in enumerate(zip(newest_first, moments, strict=True)):
        oldest = number == len(newest_first) - 1
        reasons = [f"has tags {_tag_list(tags)}" for tags in policy.tags if _has_tags(stored, tags)]
        reasons += [reason for rule in rules if (reason := rule.reason(moment, number, oldest=oldest))]
        if reasons:
            keep.append(stored)
            why[stored.id] = reasons
        else:
            remove.append(stored)
    return Decision(keep, remove, why)


class _Rule:
    """One rule as it goes through the snapshots. ``unit`` None: it keeps all that it reaches."""

    def __init__(self, name: str, unit: Unit | None, *, count: int = UNLIMITED, after_ns: int | None = None) -> None:
        self._name = name
        self._unit = unit
        self._left = count
        self._after_ns = after_ns
        self._last_bucket: int | None = None

    def reason(self, moment: Moment, number: int, *, oldest: bool) -> str:
        """Why it keeps this snapshot; empty if it does not. To be asked of each in turn."""
        if self._left == 0 or (self._after_ns is not None and moment.ns <= self._after_ns):
            return ""
        if self._unit is None:
            return self._name
        bucket = _BUCKETS[self._unit](moment, number)
        is_new = bucket != self._last_bucket
        if not is_new and not oldest:
            return ""
        self._last_bucket = bucket
        if self._left > 0:
            self._left -= 1
        return self._name if is_new else f"oldest {self._name}"


def _rules(policy: Policy, latest: Moment | None) -> Iterator[_Rule]:
    """In restic's order, which is that of the reasons."""
    if policy.within:
        yield _Rule(f"within {policy.within}", None, after_ns=_reach(latest, policy.within))
    for unit in Unit:
        if count := policy.counts.get(unit):
            yield _Rule(f"{unit.value} snapshot", unit, count=count)
    for unit in Unit:
        if span := policy.each_within.get(unit):
            yield _Rule(f"{unit.value} within {span}", unit, after_ns=_reach(latest, span))


def _reach(latest: Moment | None, span: Span) -> int | None:
    """After which instant a rule keeps; None: it keeps everything, as it does where all lies in the future."""
    return None if latest is None else earlier(latest, span)


def _has_tags(stored: StoredSnapshot, tags: Sequence[str]) -> bool:
    return SnapshotFilter(tags=(tags,)).matches(stored.snapshot)


def _tag_list(tags: Sequence[str]) -> str:
    return f"[{', '.join(tags)}]"


def _week(moment: Moment, _: int) -> int:
    year, week, _day = moment.wall.isocalendar()
    return year * 100 + week


_BUCKETS: dict[Unit, Callable[[Moment, int], int]] = {
    Unit.LAST: lambda _moment, number: number,
    Unit.HOURLY: lambda moment, _: moment.wall.toordinal() * 24 + moment.wall.hour,
    Unit.DAILY: lambda moment, _: moment.wall.toordinal(),
    Unit.WEEKLY: _week,
    Unit.MONTHLY: lambda moment, _: moment.wall.year * 12 + moment.wall.month,
    Unit.YEARLY: lambda moment, _: moment.wall.year,
}
