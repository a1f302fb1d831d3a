"""`--read-data-subset` takes restic's forms and chooses what they say."""

from __future__ import annotations

import hashlib
import random

import pytest

from argosy.errors import UsageError
from argosy.operations.check.subset import READ_ALL, ReadSubset, parse_rolling, parse_subset

PACKS = [hashlib.sha256(b"%d" % number).digest() for number in range(500)]


def chosen(subset: ReadSubset, *, size_bytes: int = 1000) -> list[bytes]:
    choose = subset.chooser(len(PACKS), len(PACKS) * size_bytes, random.Random(1).random)
    return [pack for pack in PACKS if choose(pack)]


@pytest.mark.parametrize(
    ("text", "subset"),
    [
        ("1/1", ReadSubset()),
        ("2/5", ReadSubset(part=2, parts=5)),
        ("256/256", ReadSubset(part=256, parts=256)),
        ("10%", ReadSubset(percentage=10.0)),
        ("2.5%", ReadSubset(percentage=2.5)),
        ("100%", ReadSubset(percentage=100.0)),
        ("50", ReadSubset(size_bytes=50)),
        ("50b", ReadSubset(size_bytes=50)),
        ("50M", ReadSubset(size_bytes=50 << 20)),
        ("2g", ReadSubset(size_bytes=2 << 30)),
        ("1T", ReadSubset(size_bytes=1 << 40)),
    ],
)
def test_forms(text: str, subset: ReadSubset) -> None:
    assert parse_subset(text) == subset


@pytest.mark.parametrize(
    "text", ["", "0/5", "6/5", "1/0", "1/257", "1/2/3", "0%", "101%", "-1%", "%", "0", "0M", "5X", "many", "1.5M"]
)
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_subset(text)
    assert raised.value.hint


def test_all_is_all() -> None:
    assert chosen(READ_ALL) == PACKS


def test_the_parts_make_up_the_whole_each_pack_once() -> None:
    parts = [chosen(ReadSubset(part=number, parts=7)) for number in range(1, 8)]
    assert sorted(pack for part in parts for pack in part) == sorted(PACKS)
    assert all(parts)


@pytest.mark.parametrize(("percentage", "number"), [(10.0, 50), (0.01, 1), (100.0, 500), (33.3, 166)])
def test_a_share_is_that_many_packs_but_at_least_one(percentage: float, number: int) -> None:
    assert len(chosen(ReadSubset(percentage=percentage))) == number


def test_another_time_other_packs_are_chosen() -> None:
    subset = ReadSubset(percentage=10.0)
    draws = {tuple(map(subset.chooser(len(PACKS), 1, random.Random(seed).random), PACKS)) for seed in range(5)}
    assert len(draws) == 5


@pytest.mark.parametrize(("size_bytes", "number"), [(50_000, 50), (1, 1), (10**9, 500)])
def test_a_size_is_that_share_of_all_bytes(size_bytes: int, number: int) -> None:
    assert len(chosen(ReadSubset(size_bytes=size_bytes))) == number


@pytest.mark.parametrize(("text", "days"), [("30d", 30), ("4w", 28), ("36h", 1.5), ("1D", 1)])
def test_times_of_a_rolling_check_are_read(text: str, days: float) -> None:
    subset = parse_rolling(text)
    assert subset.rolling_seconds == days * 86_400
    assert f"once in {days:g} days" in subset.description


@pytest.mark.parametrize("text", ["", "30", "0d", "-1d", "1.5d", "3m", "d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="hours, days or weeks"):
        parse_rolling(text)
