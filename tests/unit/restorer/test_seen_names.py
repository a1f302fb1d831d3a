"""Names that a directory has shown."""

from __future__ import annotations

import random

import pytest

from argosy.restorer.seen_names import SeenNames


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_name_is_new_once_in_whatever_order(shuffled: bool) -> None:
    names = [b"%05d" % number for number in range(10_000)]
    if shuffled:
        random.Random(1).shuffle(names)
    seen = SeenNames()
    assert all(seen.is_new(name) for name in names)
    assert not any(seen.is_new(name) for name in names[:50] + names[-50:])
    assert seen.is_new(b"00000.5")
    assert seen.all() == [*names, b"00000.5"]


def test_the_same_name_in_a_row_is_not_new() -> None:
    seen = SeenNames()
    found = [seen.is_new(name) for name in (b"a", b"a", b"b", b"a", b"c")]
    assert found == [True, False, True, False, True]
