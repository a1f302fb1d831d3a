"""What may happen to what exists."""

from __future__ import annotations

import pytest

from argosy.restorer.overwrite import Overwrite


@pytest.mark.parametrize(
    ("way", "older", "same", "newer"),
    [
        (Overwrite.ALWAYS, False, False, False),
        (Overwrite.IF_CHANGED, False, False, False),
        (Overwrite.IF_NEWER, False, True, True),
        (Overwrite.NEVER, True, True, True),
    ],
)
def test_an_existing_entry_is_spared(way: Overwrite, older: bool, same: bool, newer: bool) -> None:
    """Depending on whether it is older than the snapshot's, as old, or newer."""
    assert [way.spares(existing, 5) for existing in (4, 5, 6)] == [older, same, newer]


def test_only_ways_that_go_by_existence_need_complete_files() -> None:
    assert [way for way in Overwrite if way.goes_by_existence] == [Overwrite.IF_NEWER, Overwrite.NEVER]
