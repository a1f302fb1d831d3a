"""Which names are names of one file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from argosy.restic_format.node import Node
from argosy.restorer.hard_links import First, FirstNames

IDENTITY = "ab" * 32


def node(**fields: Any) -> Node:
    return Node(
        **{"name": "x", "type": "file", "inode": 1, "device_id": 2, "links": 3, "content": [IDENTITY], **fields}
    )


@pytest.fixture
def firsts(tmp_path: Path) -> Iterator[FirstNames]:
    firsts = FirstNames(tmp_path)
    yield firsts
    firsts.close()


def test_later_names_get_the_first(firsts: FirstNames) -> None:
    assert firsts.first_of(node(), b"dir", b"one", 7) is None
    assert firsts.first_of(node(), b"other", b"two", 8) == First(b"dir", b"one", 7)


@pytest.mark.parametrize(
    "other",
    [{"inode": 9}, {"device_id": 9}, {"content": []}, {"content": [IDENTITY] * 2}, {"type": "symlink"}],
    ids=str,
)
def test_other_files_have_other_firsts(firsts: FirstNames, other: dict[str, Any]) -> None:
    """Equal numbers and other content: it changed between the reading of two names."""
    assert firsts.first_of(node(), b"", b"one", 1) is None
    assert firsts.first_of(node(**other), b"", b"two", 1) is None


def test_large_numbers_and_odd_names_are_kept(firsts: FirstNames) -> None:
    large = node(inode=2**64 - 1, device_id=2**63)
    assert firsts.first_of(large, b"\xff/\n", b"\0x", 2**40) is None
    assert firsts.first_of(large, b"", b"y", 1) == First(b"\xff/\n", b"\0x", 2**40)


def test_a_file_is_forgotten_with_its_last_name(firsts: FirstNames) -> None:
    """So that memory goes by what is still awaited."""
    for round_number in range(2):
        assert firsts.first_of(node(), b"", b"one", round_number) is None
        assert firsts.first_of(node(), b"", b"two", 9) is not None
        assert firsts.first_of(node(), b"", b"three", 9) is not None


def test_nothing_is_made_unless_there_are_names(tmp_path: Path) -> None:
    FirstNames(tmp_path).close()
    assert list(tmp_path.iterdir()) == []
