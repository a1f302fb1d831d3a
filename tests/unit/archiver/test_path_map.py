"""A source may lie elsewhere on another machine."""

from __future__ import annotations

import pytest

from argosy.archiver.path_map import PathMap, parse_map
from argosy.errors import UsageError


@pytest.mark.parametrize(
    ("path", "here"),
    [
        (b"/mnt/a", b"/data/a"),
        (b"/mnt/a/x/\xff", b"/data/a/x/\xff"),
        (b"/mnt/a/deep/x", b"/other/x"),
        (b"/mnt/ab", b"/mnt/ab"),
        (b"/elsewhere", b"/elsewhere"),
    ],
)
def test_the_longest_pair_that_fits_counts(path: bytes, here: bytes) -> None:
    assert PathMap([(b"/mnt/a", b"/data/a"), (b"/mnt/a/deep", b"/other")]).here(path) == here


def test_a_pair_is_written_with_an_equals_sign() -> None:
    assert parse_map(b"/mnt/a/=/data/b=c") == (b"/mnt/a", b"/data/b=c")


@pytest.mark.parametrize("text", [b"", b"/mnt/a", b"=/data", b"mnt=/data", b"/mnt=data"])
def test_anything_else_is_refused(text: bytes) -> None:
    with pytest.raises(UsageError, match="maps no path"):
        parse_map(text)
