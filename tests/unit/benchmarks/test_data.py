"""The data of the benchmarks: the same bytes each time, of the announced kind."""

from __future__ import annotations

import hashlib
import statistics
import zlib
from pathlib import Path

import pytest

from benchmarks.data import (
    Extent,
    ManyFiles,
    SmallFiles,
    make_empty_files,
    make_large_files,
    make_tiny_files,
    measure_extent,
    remove_three_tenths,
    walk_files,
)


def digest(root: Path) -> str:
    """Over the names and contents of all files."""
    whole = hashlib.sha256()
    for path in sorted(entry.path for entry in walk_files(root)):
        name = path.removeprefix(str(root)).encode()
        whole.update(b"%d %s" % (len(name), name))
        whole.update(hashlib.sha256(Path(path).read_bytes()).digest())
    return whole.hexdigest()


def shrinks(content: bytes) -> bool:
    return len(zlib.compress(content)) < 0.9 * len(content)


def test_small_files_are_the_same_on_every_machine(tmp_path: Path) -> None:
    SmallFiles(tmp_path / "small", 150).make()
    assert digest(tmp_path) == "9452308ddf14f7ee8b41e85cd85de54f4c565d9ac21fec010ae0fb1a07c2ed87"


def test_large_files_are_the_same_on_every_machine(tmp_path: Path) -> None:
    make_large_files(tmp_path / "large", 3_000_000, count=2)
    assert digest(tmp_path) == "10d024a9ff74e472f842357d503c53af40f7a89323eb6e16b85c019ae380ac8a"


def test_small_files_have_the_announced_sizes_and_every_other_one_is_text(tmp_path: Path) -> None:
    files = SmallFiles(tmp_path, 1_000)
    extent = files.make()
    sizes = [files.path(number).stat().st_size for number in range(files.count)]
    assert extent == measure_extent(tmp_path) == Extent(1_000, sum(sizes))
    assert 4_000 < statistics.median(sizes) < 6_000
    assert 9_000 < statistics.mean(sizes) < 15_000
    assert all(shrinks(files.path(number).read_bytes()) for number in range(1, 200, 2) if sizes[number] > 1_000)


def test_many_files_are_the_same_on_every_machine(tmp_path: Path) -> None:
    assert ManyFiles(tmp_path / "many", 1_050).make() == measure_extent(tmp_path)
    assert digest(tmp_path) == "a8a8938acc0959f21a624231d6690e81439f3c9375c2a0b73583c5679bed7c0e"


@pytest.mark.parametrize("kind", [SmallFiles, ManyFiles])
def test_a_change_writes_the_share_that_its_number_stands_for_and_nothing_else(
    tmp_path: Path, kind: type[SmallFiles] | type[ManyFiles]
) -> None:
    files = kind(tmp_path, 300)
    files.make()
    before = {entry.path: Path(entry.path).read_bytes() for entry in walk_files(tmp_path)}
    changed = files.change(1)
    different = [path for path, content in before.items() if Path(path).read_bytes() != content]
    assert len(different) == changed.files == 3
    once = digest(tmp_path)
    files.make()
    files.change(1)
    assert digest(tmp_path) == once
    files.change(2)
    assert digest(tmp_path) != once


def test_half_of_the_large_files_do_not_shrink(tmp_path: Path) -> None:
    extent = make_large_files(tmp_path / "large", 2_000_000, count=4)
    assert extent == measure_extent(tmp_path) == Extent(4, 2_000_000)
    files = sorted(entry.path for entry in walk_files(tmp_path))
    assert [shrinks(Path(path).read_bytes()) for path in files] == [True, False, True, False]


def test_empty_files_are_as_many_as_asked_for(tmp_path: Path) -> None:
    assert make_empty_files(tmp_path, 1_001) == measure_extent(tmp_path) == Extent(1_001, 0)


def test_tiny_files_are_all_different_and_three_tenths_of_each_directory_go(tmp_path: Path) -> None:
    assert make_tiny_files(tmp_path, 1_100) == measure_extent(tmp_path) == Extent(1_100, 66_000)
    assert len({Path(entry.path).read_bytes() for entry in walk_files(tmp_path)}) == 1_100
    remove_three_tenths(tmp_path)
    assert [len(list(directory.iterdir())) for directory in sorted(tmp_path.iterdir())] == [700, 70]
