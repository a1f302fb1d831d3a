"""Batches that hold what another one holds: by sizes and samples."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.archiver import twins as twins_module
from argosy.archiver.messages import BatchWork, DirectoryPart, Segment
from argosy.archiver.twins import LARGE_BYTES, Place, Twins, marks_of, read_sample


def batch(*parts: DirectoryPart, segments: tuple[Segment, ...] = ()) -> BatchWork:
    return BatchWork([], {}, {}, list(parts), list(segments), [])


def part(path: bytes, *sizes: int) -> DirectoryPart:
    return DirectoryPart(1, 0, b"d", path, b"", 1, names=[b"%d" % n for n in range(len(sizes))], sizes=list(sizes))


def twins_of(**samples: bytes) -> Twins:
    """The sample of each place is told by its directory and name."""
    return Twins(lambda place: samples.get(os.fsdecode(place.directory) + os.fsdecode(place.name), b""))


def test_a_large_file_of_the_same_size_and_sample_makes_a_twin() -> None:
    twins = twins_of(a0=b"x", a1=b"y", b0=b"y", c0=b"z")
    twins.begun(1, marks_of(batch(part(b"a", LARGE_BYTES, LARGE_BYTES))))
    assert twins.is_one(marks_of(batch(part(b"b", LARGE_BYTES))))
    assert not twins.is_one(marks_of(batch(part(b"c", LARGE_BYTES))))
    assert not twins.is_one(marks_of(batch(part(b"b", LARGE_BYTES + 1))))


def test_what_cannot_be_read_is_no_twin() -> None:
    twins = twins_of()
    twins.begun(1, marks_of(batch(part(b"a", LARGE_BYTES))))
    assert not twins.is_one(marks_of(batch(part(b"a", LARGE_BYTES))))


def test_small_files_are_compared_by_all_their_sizes() -> None:
    small = [LARGE_BYTES // 2] * 3
    twins = twins_of(a1=b"x", b1=b"x", c0=b"x")
    twins.begun(1, marks_of(batch(part(b"a", 0, *small))))
    assert twins.is_one(marks_of(batch(part(b"b", 0, *small))))
    assert not twins.is_one(marks_of(batch(part(b"c", *small[:2]))))
    assert marks_of(batch(part(b"a", 1, 2, 3))) == {}


def test_segments_are_compared_with_those_of_the_same_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twins_module, "SEGMENT_BYTES", 100)
    first, second = [Segment(1, b"d", b"f", 1, 1, 150, index, 2) for index in range(2)]
    marks = marks_of(batch(segments=(first, second)))
    assert marks == {(150, 0): [Place(b"d", b"f", 0, 100)], (150, 1): [Place(b"d", b"f", 100, 50)]}


def test_one_is_under_way_until_it_is_told_or_lost() -> None:
    twins, marks = twins_of(a0=b"x"), marks_of(batch(part(b"a", LARGE_BYTES)))
    twins.begun(1, marks)
    twins.begun(2, marks)
    twins.stored(1)
    twins.told()
    assert twins.is_one(marks)
    twins.stored(2)
    assert twins.is_one(marks), "nobody has been told yet"
    twins.told()
    assert not twins.is_one(marks)
    twins.begun(3, marks)
    twins.lost(3)
    assert not twins.is_one(marks)


def test_a_sample_is_of_the_beginning_and_of_the_middle(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"a" * 5000 + b"b" * 5000)
    directory = os.fsencode(tmp_path)
    assert read_sample(Place(directory, b"f", 0, 10_000)) == b"a" * 4096 + b"b" * 4096
    content = (tmp_path / "f").read_bytes()
    assert read_sample(Place(directory, b"f", 4000, 4)) == content[4000:8096] + content[4002:8098]
    assert read_sample(Place(directory, b"gone", 0, 10)) == b""
