"""Which locations are restored."""

from __future__ import annotations

import pytest

from argosy.errors import UsageError
from argosy.restorer.selection import Selection, SelectionSpec


def test_without_patterns_everything_is_restored() -> None:
    selection = Selection(SelectionSpec())
    assert selection.everything
    assert selection.chosen(b"/a", [b"b", b"c"]) == {b"b", b"c"}
    assert selection.selects(b"/a/b")
    assert selection.enters(b"/a", True)


def test_excluded_entries_are_left_out_with_all_below() -> None:
    selection = Selection(SelectionSpec(exclude=[b"/a/b"], iexclude=[b"*.TMP"]))
    assert not selection.everything
    assert selection.chosen(b"/a", [b"b", b"c", b"d.tmp"]) == {b"c"}
    assert selection.chosen(b"/a/b", [b"x"]) == set()
    assert not selection.enters(b"/a/b", False)
    assert [selection.selects(path) for path in (b"/a/b", b"/a/c", b"/x/y.Tmp")] == [False, True, False]


def test_includes_choose_what_matches_and_enter_what_may_lead_there() -> None:
    selection = Selection(SelectionSpec(include=[b"/a/b"], iinclude=[b"/X/y"]))
    assert selection.chosen(b"/a", [b"b", b"c"]) == {b"b"}
    assert selection.chosen(b"/x", [b"Y", b"z"]) == {b"Y"}
    assert selection.chosen(b"/a/b", [b"inside"]) == {b"inside"}
    assert selection.enters(b"/a", False)
    assert selection.enters(b"/x", False)
    assert not selection.enters(b"/c", False)
    assert [selection.selects(path) for path in (b"/a/b", b"/a/b/c", b"/a")] == [True, True, False]


def test_includes_and_excludes_together_are_refused() -> None:
    with pytest.raises(UsageError, match="mutually exclusive"):
        Selection(SelectionSpec(iexclude=[b"a"], include=[b"b"]))
