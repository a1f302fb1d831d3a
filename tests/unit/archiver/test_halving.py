"""A batch's work in two halves."""

from __future__ import annotations

import pytest

from argosy.archiver.halving import entries_of, halve
from argosy.archiver.messages import BatchWork, DirectoryPart, LinkFirst, Segment


def part(directory_id: int, *names: bytes, whole: bool = False, devices: bool = False) -> DirectoryPart:
    """Its columns tell the entries apart."""
    numbers = [name[-1] for name in names]
    return DirectoryPart(
        directory_id,
        1,
        b"d",
        b"/d",
        b"prefix",
        5,
        whole=whole,
        tries=1,
        names=list(names),
        modes=numbers,
        inodes=numbers,
        sizes=numbers,
        devices=numbers if devices else [],
    )


def work(*parts: DirectoryPart, links: tuple[LinkFirst, ...] = ()) -> BatchWork:
    return BatchWork([(b"/", 1)], {0: "root"}, {0: "wheel"}, list(parts), [], list(links), lenient=True)


def entries(half: BatchWork) -> list[tuple[int, bytes]]:
    return [(part.directory_id, name) for part in half.parts for name in part.names or [b""]]


@pytest.mark.parametrize("sizes", [(2,), (1, 1), (3,), (1, 4), (4, 1), (0, 0), (0, 3, 0), (1, 1, 1, 1, 1), (2, 0, 7)])
def test_both_halves_together_are_the_whole(sizes: tuple[int, ...]) -> None:
    """In order, nothing twice, none empty, and no larger than they must be."""
    whole = work(*[part(number, *[b"%d" % at for at in range(size)]) for number, size in enumerate(sizes)])
    halves = halve(whole)
    assert halves is not None
    assert entries(halves.first) + entries(halves.second) == entries(whole)
    assert entries_of(halves.first) == entries_of(whole) // 2
    for half in (halves.first, halves.second):
        assert (half.roots, half.owners, half.groups, half.lenient) == (whole.roots, whole.owners, whole.groups, True)
        assert all(one.modes == one.inodes == one.sizes == [name[-1] for name in one.names] for one in half.parts)


def test_a_part_that_is_cut_is_whole_no_more() -> None:
    """Parts on either side of the cut stay as they are."""
    cut = part(2, b"a", b"b", whole=True, devices=True)
    halves = halve(work(part(1, b"x", whole=True), cut, part(3, b"z", whole=True)))
    assert halves is not None
    assert halves.cut is cut
    assert [one.whole for one in halves.first.parts] == [True, False]
    assert [one.whole for one in halves.second.parts] == [False, True]
    assert halves.second.parts[0].devices == [ord("b")]
    assert cut.whole


def test_a_cut_between_parts_cuts_none() -> None:
    halves = halve(work(part(1, b"x", whole=True), part(2, b"y", whole=True)))
    assert halves is not None
    assert halves.cut is None
    assert halves.first.parts[0].whole


def test_hard_links_go_with_their_names() -> None:
    links = tuple(LinkFirst(1, name, 5, 7) for name in (b"a", b"b"))
    halves = halve(work(part(1, b"a", b"b"), links=links))
    assert halves is not None
    assert halves.first.link_firsts == [links[0]]
    assert halves.second.link_firsts == [links[1]]


def test_one_entry_and_a_segment_cannot_be_cut() -> None:
    assert halve(work(part(1, b"a"))) is None
    assert halve(work(part(1, whole=True))) is None
    segment = Segment(1, b"/d", b"big", 5, 7, 1 << 31, 0, 2)
    assert halve(BatchWork([], {}, {}, [], [segment], [])) is None
