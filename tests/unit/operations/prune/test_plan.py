"""Which packs stay, are repacked or go: on packs that are only described."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from argosy.errors import Damaged, UsageError
from argosy.operations.prune.plan import (
    Holds,
    MaxUnused,
    PackUse,
    PruneLimits,
    PrunePlan,
    parse_max_unused,
    plan_prune,
)
from argosy.storage.interface import ObjectInfo

MIB = 1 << 20
NONE_UNUSED = PruneLimits(MaxUnused(size_bytes=0))


def pack(
    name: str, *, used: int = 0, unused: int = 0, holds: Holds = Holds.DATA, uncompressed: bool = False
) -> PackUse:
    """A pack of so many MiB used and unused, in blobs of a MiB."""
    size_bytes = (used + unused) * MIB + 100
    return PackUse(name.encode(), size_bytes, holds, used, used * MIB, unused, unused * MIB, uncompressed)


def plan(*packs: PackUse, limits: PruneLimits = NONE_UNUSED, stray: dict[bytes, int] | None = None) -> PrunePlan:
    return plan_prune(packs, {**{each.id: each.size_bytes for each in packs}, **(stray or {})}, limits)


def test_wholly_used_packs_stay_and_wholly_unused_ones_go() -> None:
    done = plan(pack("a", used=16), pack("b", unused=16), stray={b"c": 7})
    assert (done.keep, done.remove, done.unindexed, done.repack) == ({b"a"}, {b"b"}, {b"c"}, set())
    assert done.stats.unindexed_bytes == 7
    assert done.stats.remaining_unused_bytes == 0
    assert not done.is_empty
    assert plan(pack("a", used=16)).is_empty


def test_what_killed_writers_left_goes_and_is_something_to_do() -> None:
    left = [ObjectInfo("config-tmp-1", 3), ObjectInfo(f"data/ab/{'ab' * 32}-tmp-2", 40)]
    done = plan_prune([pack("a", used=16)], {b"a": 16 * MIB + 100}, NONE_UNUSED, iter(left))
    assert done.unfinished == left
    assert done.spares_packs
    assert not done.is_empty
    summary = done.summary(dry_run=False)
    assert (summary.unfinished, summary.freed_bytes, summary.is_empty) == (2, 43, False)


@pytest.mark.parametrize(
    ("limit", "repacked"),
    [
        (0, {b"much", b"some", b"little"}),
        (2 * MIB, {b"much", b"some"}),
        (8 * MIB, {b"much"}),
        (100 * MIB, set()),
        (None, set()),
    ],
)
def test_packs_with_the_largest_unused_share_are_repacked_until_the_bound_is_kept(
    limit: int | None, repacked: set[bytes]
) -> None:
    packs = (pack("little", used=15, unused=1), pack("some", used=10, unused=6), pack("much", used=1, unused=15))
    done = plan(*packs, limits=PruneLimits(MaxUnused(size_bytes=limit)))
    assert done.repack == repacked
    assert done.keep == {b"much", b"some", b"little"} - repacked
    if limit is not None:
        assert done.stats.remaining_unused_bytes <= limit


def test_no_more_is_repacked_than_is_allowed() -> None:
    packs = (pack("little", used=15, unused=1), pack("much", used=1, unused=15))
    assert plan(*packs, limits=replace(NONE_UNUSED, max_repack_bytes=17 * MIB)).repack == {b"much"}
    assert plan(*packs, limits=replace(NONE_UNUSED, max_repack_bytes=0)).repack == set()


def test_packs_of_both_kinds_and_trees_are_repacked_whatever_may_stay_unused() -> None:
    packs = (
        pack("both", used=16, holds=Holds.BOTH),
        pack("trees", used=15, unused=1, holds=Holds.TREES),
        pack("plain trees", used=16, holds=Holds.TREES, uncompressed=True),
        pack("plain data", used=16, uncompressed=True),
    )
    unlimited = PruneLimits(MaxUnused())
    assert plan(*packs, limits=unlimited).repack == {b"both", b"trees", b"plain trees"}
    everything = replace(unlimited, repack_uncompressed=True)
    assert plan(*packs, limits=everything).repack == {b"both", b"trees", b"plain trees", b"plain data"}
    assert plan(pack("data", used=1, unused=9), limits=replace(NONE_UNUSED, cacheable_only=True)).keep == {b"data"}


def test_small_packs_are_put_together_where_there_are_ten() -> None:
    limits = replace(NONE_UNUSED, small_pack_bytes=4 * MIB)
    ten = [pack(f"p{number}", used=1) for number in range(10)]
    assert plan(*ten, limits=limits).repack == {each.id for each in ten}
    assert plan(*ten[1:], limits=limits).is_empty


def test_a_pack_that_is_needed_must_be_there_whole() -> None:
    needed, other = pack("needed", used=1), pack("other", unused=1)
    with pytest.raises(Damaged, match="missing"):
        plan_prune([needed], {}, NONE_UNUSED)
    with pytest.raises(Damaged, match="not the"):
        plan_prune([needed], {needed.id: 5}, NONE_UNUSED)
    assert plan_prune([other], {}, NONE_UNUSED).missing == {b"other"}
    assert plan_prune([other], {other.id: 5}, NONE_UNUSED).remove == {b"other"}


def test_limits_are_read() -> None:
    five, unlimited = parse_max_unused("5%"), parse_max_unused("unlimited")
    assert five.allowed_bytes(9500) == 500  # of what remains
    assert unlimited.allowed_bytes(9500) is None
    for text in ("", "%", "-1%", "100%", "five", "nan"):
        with pytest.raises(UsageError):
            parse_max_unused(text)
