"""Which packs stay, which are repacked and which go. Pure: from what is known of each pack.

The rules are restic's (its internal/repository/prune.go), so that its prune finds nothing to do after ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

import msgspec

from argosy.errors import Damaged, UsageError
from argosy.storage.interface import ObjectInfo

# Fewer small packs than this are left as they are: a single one would be repacked for ever.
_FEWEST_SMALL_PACKS = 10
INDEX_HINT = "Nothing was changed. Run `argosy check`; mend the index (`argosy repair index`), then prune again."


class Holds(Enum):
    """What kind of blobs a pack holds."""

    DATA = "data"
    TREES = "trees"
    BOTH = "both"


class PackUse(msgspec.Struct, frozen=True):
    """A pack by its index: its exact size, and of its blobs how many, and how many bytes, are used and unused."""

    id: bytes
    size_bytes: int
    holds: Holds
    used_blobs: int = 0
    used_bytes: int = 0
    unused_blobs: int = 0
    unused_bytes: int = 0
    is_uncompressed: bool = False


class MaxUnused(msgspec.Struct, frozen=True):
    """What may stay unused: a share of what remains, in percent (below 100), or a size. Neither: any amount."""

    percent: float | None = None
    size_bytes: int | None = None

    def allowed_bytes(self, used_bytes: int) -> int | None:
        """How much that is beside so much that is used; None: any."""
        if self.percent is not None:
            return int(self.percent / (100 - self.percent) * used_bytes)
        return self.size_bytes


class PruneLimits(msgspec.Struct, frozen=True):
    """Sizes are in bytes, None: any. Packs below ``small_pack_bytes`` are put together where there are many."""

    max_unused: MaxUnused = MaxUnused(percent=5)
    max_repack_bytes: int | None = None
    cacheable_only: bool = False
    repack_uncompressed: bool = False
    small_pack_bytes: int = (16 << 20) // 25


class Amount(msgspec.Struct):
    """A number of blobs, and their bytes as they are stored."""

    blobs: int = 0
    size_bytes: int = 0

    def add(self, blobs: int, size_bytes: int) -> None:
        """Count more."""
        self.blobs += blobs
        self.size_bytes += size_bytes


class PruneStats(msgspec.Struct):
    """What there is and what becomes of it. ``unused`` holds second copies, too; ``to_drop`` is of ``to_repack``."""

    used: Amount = msgspec.field(default_factory=Amount)
    unused: Amount = msgspec.field(default_factory=Amount)
    to_repack: Amount = msgspec.field(default_factory=Amount)
    to_drop: Amount = msgspec.field(default_factory=Amount)
    to_delete: Amount = msgspec.field(default_factory=Amount)
    unindexed_bytes: int = 0
    unfinished_bytes: int = 0

    @property
    def remaining_unused_bytes(self) -> int:
        """What stays unused."""
        return self.unused.size_bytes - self.to_drop.size_bytes - self.to_delete.size_bytes


class PruneSummary(msgspec.Struct, frozen=True):
    """A plan in numbers of packs and files. ``dry_run``: it is not carried out. The others are as in ``PrunePlan``."""

    dry_run: bool
    keep: int
    repack: int
    remove: int
    unindexed: int
    missing: int
    stats: PruneStats
    unfinished: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.repack or self.remove or self.unindexed or self.missing or self.unfinished)

    @property
    def freed_bytes(self) -> int:
        """What it gains."""
        stats = self.stats
        return stats.to_drop.size_bytes + stats.to_delete.size_bytes + stats.unindexed_bytes + stats.unfinished_bytes


class PrunePlan(msgspec.Struct):
    """Ids of packs. ``missing``: an index lists them, the store has them not, and nothing needs them.

    ``unfinished``: files that killed writers left, to be removed.
    """

    keep: set[bytes] = msgspec.field(default_factory=set)
    repack: set[bytes] = msgspec.field(default_factory=set)
    remove: set[bytes] = msgspec.field(default_factory=set)
    unindexed: set[bytes] = msgspec.field(default_factory=set)
    missing: set[bytes] = msgspec.field(default_factory=set)
    unfinished: list[ObjectInfo] = msgspec.field(default_factory=list)
    stats: PruneStats = msgspec.field(default_factory=PruneStats)

    @property
    def leaving(self) -> set[bytes]:
        """Packs that no index will list any more."""
        return self.repack | self.remove | self.missing

    @property
    def spares_packs(self) -> bool:
        """Whether packs and indexes stay as they are."""
        return not (self.leaving or self.unindexed)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return self.summary(dry_run=False).is_empty

    def summary(self, *, dry_run: bool) -> PruneSummary:
        """The plan in numbers."""
        return PruneSummary(
            dry_run,
            len(self.keep),
            len(self.repack),
            len(self.remove),
            len(self.unindexed),
            len(self.missing),
            self.stats,
            len(self.unfinished),
        )


def parse_max_unused(text: str) -> MaxUnused:
    """``5%`` of what remains, or ``unlimited``. UsageError for anything else."""
    if text == "unlimited":
        return MaxUnused()
    try:
        percent = float(text.removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not text.endswith("%") or not 0 <= percent < 100:
        raise UsageError(
            f"{text!r} is no limit of what may stay unused", hint="Write 5% (below 100), a size (2G) or 'unlimited'."
        )
    return MaxUnused(percent=percent)


def plan_prune(
    packs: Iterable[PackUse], present: Mapping[bytes, int], limits: PruneLimits, unfinished: Iterable[ObjectInfo] = ()
) -> PrunePlan:
    """Decide. ``present``: the packs in the store, with their sizes in bytes. All that is ``unfinished`` goes.

    Damaged if a pack with used blobs is missing or has another size than its index says.
    """
    plan = PrunePlan(unindexed=set(present), unfinished=list(unfinished))
    mixed, small = [], []
    for pack in packs:
        plan.unindexed.discard(pack.id)
        plan.stats.used.add(pack.used_blobs, pack.used_bytes)
        plan.stats.unused.add(pack.unused_blobs, pack.unused_bytes)
        if not pack.used_blobs:
            (plan.remove if pack.id in present else plan.missing).add(pack.id)
            plan.stats.to_delete.add(pack.unused_blobs, pack.unused_bytes)
            continue
        _require_whole(pack, present)
        if limits.cacheable_only and pack.holds is Holds.DATA:
            plan.keep.add(pack.id)
        elif pack.unused_blobs or pack.holds is Holds.BOTH or _must_compress(pack, limits):
            mixed.append(pack)
        elif pack.size_bytes < limits.small_pack_bytes:
            small.append(pack)
        else:
            plan.keep.add(pack.id)
    if len(small) < _FEWEST_SMALL_PACKS:
        plan.keep.update(pack.id for pack in small)
        small = []
    _choose_repacks(plan, mixed + small, limits)
    plan.stats.unindexed_bytes = sum(present[pack_id] for pack_id in plan.unindexed)
    plan.stats.unfinished_bytes = sum(file.size_bytes for file in plan.unfinished)
    return plan


def _choose_repacks(plan: PrunePlan, candidates: Sequence[PackUse], limits: PruneLimits) -> None:
    """Those with trees first, then small ones, then those with the largest unused share, until it is enough."""
    allowed = limits.max_unused.allowed_bytes(plan.stats.used.size_bytes)
    for pack in sorted(candidates, key=lambda pack: _urgency(pack, limits)):
        size_bytes = pack.used_bytes + pack.unused_bytes
        repacked = plan.stats.to_repack.size_bytes + size_bytes
        if limits.max_repack_bytes is not None and repacked >= limits.max_repack_bytes:
            plan.keep.add(pack.id)
            continue
        is_enough = allowed is None or plan.stats.remaining_unused_bytes < allowed
        is_large = pack.size_bytes >= limits.small_pack_bytes
        if is_enough and is_large and pack.holds is Holds.DATA and not _must_compress(pack, limits):
            plan.keep.add(pack.id)
            continue
        plan.repack.add(pack.id)
        plan.stats.to_repack.add(pack.used_blobs + pack.unused_blobs, size_bytes)
        plan.stats.to_drop.add(pack.unused_blobs, pack.unused_bytes)


def _urgency(pack: PackUse, limits: PruneLimits) -> tuple[bool, bool, float, bytes]:
    is_large = pack.size_bytes >= limits.small_pack_bytes
    return pack.holds is Holds.DATA, is_large, -pack.unused_bytes / pack.size_bytes, pack.id


def _must_compress(pack: PackUse, limits: PruneLimits) -> bool:
    """Trees that are not compressed are repacked whatever the limits, as restic does."""
    return pack.is_uncompressed and (pack.holds is Holds.TREES or limits.repack_uncompressed)


def _require_whole(pack: PackUse, present: Mapping[bytes, int]) -> None:
    if pack.id not in present:
        raise Damaged(f"pack {pack.id.hex()} is missing, and snapshots need it", hint=INDEX_HINT)
    if present[pack.id] != pack.size_bytes:
        raise Damaged(
            f"pack {pack.id.hex()} has {present[pack.id]} bytes, not the {pack.size_bytes} that its index tells",
            hint=INDEX_HINT,
        )
