"""Files that several workers read: joined only where all segments saw the same file (R9)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.archiver import big_files as big_files_module
from argosy.archiver import ledger as ledger_module
from argosy.archiver import returning
from argosy.archiver.big_files import BigFiles
from argosy.archiver.ledger import Ledger
from argosy.archiver.messages import GONE, REPLACED, UNREAD, BatchWork, Segment, SegmentResult, decode
from argosy.filesystem.directory import Entry
from argosy.filesystem.metadata import OwnerNames
from argosy.restic_format.node import decode_node
from argosy.state.frontier import ScanDirectory
from argosy.state.job_database import open_job_database
from tests.unit.archiver.conftest import identity, listed, nodes_of, pending, prefix_of


@pytest.fixture(autouse=True)
def a_hundred_bytes_are_big(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (big_files_module, ledger_module, returning):
        monkeypatch.setattr(module, "SEGMENT_BYTES", 100)


class Big:
    """A directory with a big file, sealed; ``results`` are what workers would answer."""

    def __init__(self, ledger: Ledger, path: Path) -> None:
        self.ledger = ledger
        self.file = path / "big"
        self.file.write_bytes(b"x" * 250)
        self.directory = listed(ledger, b"d")
        self.directory.path = os.fsencode(path)
        self.files = BigFiles(ledger)

    @property
    def entry(self) -> Entry:
        """The file as it is now."""
        return Entry(b"big", os.lstat(self.file))

    def seal(self) -> list[Segment]:
        """Queue it as the scan does."""
        self.ledger.seal_big_file(self.directory, self.entry)
        return self.queued()

    def queued(self) -> list[Segment]:
        """The segments that wait, handed out."""
        self.ledger.job.commit()
        segments = []
        while (leased := self.ledger.queue.lease()) is not None:
            segments += decode(leased[1], BatchWork).segments
        return segments

    def answer(self, segment: Segment, **changes: object) -> SegmentResult:
        """What a worker found."""
        head = prefix_of(self.entry)
        length = min(100, segment.size - 100 * segment.index) if segment.count > 1 else segment.size
        fields: dict[str, object] = {
            "head": head,
            "after": head,
            "length": length,
            "content": identity(f"{segment.sealing}/{segment.index}"),
        }
        return SegmentResult(segment, **{**fields, **changes})  # type: ignore[arg-type]  # fields of this struct

    def apply(self, *results: SegmentResult) -> None:
        """As the coordinator does."""
        for result in results:
            with self.ledger.job.mutex:
                self.files.add(result)
            self.files.join()

    def content(self) -> list[str]:
        """The ids that the file's node has."""
        node = decode_node(nodes_of(self.ledger, self.directory.id)[b"big"])
        return [identity.hex() for identity in node.content_ids()]


@pytest.fixture
def big(ledger: Ledger, tmp_path: Path) -> Big:
    (tmp_path / "d").mkdir()
    return Big(ledger, tmp_path / "d")


def ids(*texts: str) -> list[str]:
    return [identity(text).hex() for text in texts]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_contents_are_joined_in_the_files_order(big: Big, order: tuple[int, ...]) -> None:
    segments = big.seal()
    for number in order:
        assert nodes_of(big.ledger, big.directory.id) == {}
        assert pending(big.ledger, big.directory.id) == 2
        big.apply(big.answer(segments[number]))
    assert big.content() == ids("1/0", "1/1", "1/2")
    assert pending(big.ledger, big.directory.id) == 1
    big.ledger.job.commit()
    assert big.ledger.job.read("SELECT * FROM segments") == []


def test_after_a_crash_segments_that_were_there_are_there(big: Big, tmp_path: Path) -> None:
    first, second, third = big.seal()
    big.apply(big.answer(third), big.answer(first))
    big.ledger.job.commit()
    big.ledger.job.close()
    big.ledger = Ledger(open_job_database(tmp_path / "a.job"), [], OwnerNames())
    big.ledger.load()
    big.files = BigFiles(big.ledger)
    big.files.load()
    big.files.join()
    assert nodes_of(big.ledger, big.directory.id) == {}
    big.apply(big.answer(second))
    assert big.content() == ids("1/0", "1/1", "1/2")
    big.ledger.job.close()


def test_two_sealings_of_one_file_do_not_mix(big: Big) -> None:
    """Its directory was scanned again from the beginning, while segments of the first scan were on their way."""
    first, second = big.seal(), big.seal()
    assert pending(big.ledger, big.directory.id) == 3
    big.apply(big.answer(first[0]), big.answer(second[1]), big.answer(second[2]), big.answer(first[1]))
    assert nodes_of(big.ledger, big.directory.id) == {}
    big.apply(big.answer(second[0]))
    assert big.content() == ids("4/0", "4/1", "4/2")
    big.apply(big.answer(first[2]))
    assert big.content() == ids("1/0", "1/1", "1/2")
    assert pending(big.ledger, big.directory.id) == 1


@pytest.mark.parametrize(
    "changes",
    [{"head": b"other"}, {"after": b"other"}, {"length": 99}, {"fate": REPLACED, "head": b"", "length": 0}],
)
def test_a_file_that_changed_is_read_again_twice_and_then_by_one_worker(big: Big, changes: dict[str, object]) -> None:
    segments = big.seal()
    for tries in (1, 2):
        big.apply(*(big.answer(segment) for segment in segments[:2]), big.answer(segments[2], **changes))
        segments = big.queued()
        assert [(segment.index, segment.count, segment.tries) for segment in segments] == [
            (at, 3, tries) for at in range(3)
        ]
        assert pending(big.ledger, big.directory.id) == 2
    big.apply(*(big.answer(segment) for segment in segments[:2]), big.answer(segments[2], **changes))
    (alone,) = big.queued()
    assert (alone.index, alone.count, alone.size) == (0, 1, 250)
    big.apply(big.answer(alone, length=199))
    assert len(big.content()) == 1
    assert pending(big.ledger, big.directory.id) == 1
    big.ledger.job.commit()
    ((_, text),) = big.ledger.reports.log_entries()
    assert "kept changing" in text


@pytest.mark.parametrize(("fate", "counter"), [(GONE, "vanished"), (UNREAD, "unread")])
def test_a_file_that_could_not_be_read_counts_once(big: Big, fate: str, counter: str) -> None:
    """Though each segment met it; unreadable weighs more than gone."""
    segments = big.seal()
    results = [big.answer(segment, fate=fate, head=b"", length=0, reason="denied") for segment in segments]
    results[0] = big.answer(segments[0], fate=GONE, head=b"", length=0)
    big.apply(*results)
    assert big.ledger.state.counters[counter] == 1
    assert pending(big.ledger, big.directory.id) == 1
    assert nodes_of(big.ledger, big.directory.id) == {}
    big.ledger.job.commit()
    expected = [(os.fsencode(big.file), "denied")] if fate == UNREAD else []
    assert big.ledger.reports.unread_entries() == expected


def test_a_file_that_became_small_is_read_as_a_small_one(big: Big) -> None:
    segments = big.seal()
    results = [big.answer(segment, after=b"other") for segment in segments]
    big.file.write_bytes(b"small")
    big.apply(*results)
    big.ledger.job.commit()
    leased = big.ledger.queue.lease()
    assert leased is not None
    work = decode(leased[1], BatchWork)
    assert [part.names for part in work.parts] == [[b"big"]]
    assert pending(big.ledger, big.directory.id) == 2


def test_a_file_that_became_a_directory_is_scanned(big: Big) -> None:
    segments = big.seal()
    results = [big.answer(segment, fate=REPLACED, head=b"", length=0) for segment in segments]
    big.file.unlink()
    big.file.mkdir()
    big.apply(*results)
    found = big.ledger.frontier.take(0)
    assert isinstance(found, ScanDirectory)
    assert found.path == os.fsencode(big.file)
    assert pending(big.ledger, big.directory.id) == 2
