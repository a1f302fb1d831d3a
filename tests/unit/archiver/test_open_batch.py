"""The batch that is being filled: when it is full, and what goes into a part."""

from __future__ import annotations

import pytest

from argosy.archiver.messages import DirectoryPart
from argosy.archiver.open_batch import BatchLimits, OpenBatch
from argosy.filesystem.directory import Entry
from argosy.state.frontier import ScanDirectory
from tests.unit.archiver.conftest import DEVICE, LINK, stat_of


def part() -> DirectoryPart:
    return DirectoryPart(2, 1, b"d", b"/source/d", b"", DEVICE)


def filled(limits: BatchLimits, *sizes: int) -> OpenBatch:
    batch = OpenBatch(limits, parts=[part()])
    for number, size in enumerate(sizes):
        batch.add(batch.parts[0], Entry(b"%d" % number, stat_of(size=size)))
    return batch


def test_an_entry_fills_all_columns() -> None:
    batch = OpenBatch(BatchLimits())
    of = part()
    batch.add(of, Entry(b"\xff", stat_of(LINK, inode=9, size=4)))
    assert (of.names, of.modes, of.inodes, of.sizes, of.devices) == ([b"\xff"], [LINK], [9], [4], [])
    assert (batch.files, batch.bytes, batch.uids, batch.gids, batch.links) == (1, 4, {0}, {0}, [])


def test_devices_are_listed_once_one_differs() -> None:
    batch, of = OpenBatch(BatchLimits()), part()
    for name, device in ((b"a", DEVICE), (b"b", 99), (b"c", DEVICE)):
        batch.add(of, Entry(name, stat_of(device=device)))
    assert of.devices == [DEVICE, 99, DEVICE]


def test_files_with_several_names_are_noted() -> None:
    batch, of = OpenBatch(BatchLimits()), part()
    entry = Entry(b"a", stat_of(links=2))
    batch.add(of, Entry(b"0", stat_of()))
    batch.add(of, entry)
    assert batch.links == [(of, entry)]


@pytest.mark.parametrize(
    ("limits", "sizes", "full"),
    [
        (BatchLimits(4, 1000), (1, 1), False),
        (BatchLimits(4, 1000), (1, 1, 1), True),
        (BatchLimits(100, 1000), (999,), False),
        (BatchLimits(100, 1000), (999, 1), True),
    ],
)
def test_either_limit_makes_it_full(limits: BatchLimits, sizes: tuple[int, ...], full: bool) -> None:
    """A directory weighs as much as a file."""
    assert filled(limits, *sizes).full == full


@pytest.mark.parametrize(
    ("sizes", "files", "size_bytes", "fits"),
    [
        ((), 10, 10_000, True),
        ((), 11, 1, False),
        ((500,), 8, 500, True),
        ((500,), 9, 1, False),
        ((500,), 1, 501, False),
        ((0,), 1, 10_000, True),
    ],
)
def test_a_whole_directory_fits_or_not(sizes: tuple[int, ...], files: int, size_bytes: int, fits: bool) -> None:
    batch = filled(BatchLimits(10, 1000), *sizes) if sizes else OpenBatch(BatchLimits(10, 1000))
    assert batch.fits(files, size_bytes) == fits


def test_a_batch_that_only_ends_a_directory_is_not_empty() -> None:
    batch = OpenBatch(BatchLimits())
    assert batch.empty
    batch.ended.append(ScanDirectory(2, 1, b"d", b"/d", None))
    assert not batch.empty


def test_counts_add_up() -> None:
    batch = OpenBatch(BatchLimits())
    for key, number in (("files_new", 1), ("files_new", 2), ("", 5), ("nothing", 0)):
        batch.count(key, number)
    assert batch.counts == {"files_new": 3}
