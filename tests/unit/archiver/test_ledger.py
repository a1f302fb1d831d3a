"""The moves that must happen in one transaction: what waits for what, and what a crash leaves of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.archiver import ledger as ledger_module
from argosy.archiver.ledger import Ledger, decode_names, encode_names
from argosy.archiver.messages import BatchWork, DirectoryPart, decode
from argosy.archiver.open_batch import BatchLimits, OpenBatch
from argosy.filesystem.directory import Entry
from argosy.filesystem.metadata import OwnerNames
from argosy.state.assemblies import Assembly
from argosy.state.frontier import ScanDirectory
from argosy.state.job_database import open_job_database
from tests.unit.archiver.conftest import (
    DEVICE,
    file_node,
    listed,
    nodes_of,
    pending,
    stat_of,
    taken,
)


def part_of(directory: ScanDirectory, *, whole: bool = False) -> DirectoryPart:
    return DirectoryPart(directory.id, directory.parent_id, directory.name, directory.path, b"", DEVICE, whole=whole)


def batch_with(directory: ScanDirectory, *entries: Entry, whole: bool = False, ended: bool = True) -> OpenBatch:
    batch = OpenBatch(BatchLimits())
    part = part_of(directory, whole=whole)
    batch.parts.append(part)
    for entry in entries:
        batch.add(part, entry)
    if ended:
        batch.ended.append(directory)
    return batch


def queued(ledger: Ledger) -> list[BatchWork]:
    """All batches, handed out."""
    ledger.job.commit()
    work = []
    while (leased := ledger.queue.lease()) is not None:
        work.append(decode(leased[1], BatchWork))
    return work


def test_an_unchanged_directory_goes_straight_to_its_parent(ledger: Ledger) -> None:
    directory = taken(ledger, b"same")
    ledger.directory_unchanged(directory, b"node", {"files_unmodified": 3})
    assert nodes_of(ledger, 1) == {b"same": b"node"}
    assert pending(ledger, 1) == 1
    assert ledger.frontier.empty
    assert ledger.state.counters == {"dirs_unmodified": 1, "files_unmodified": 3}


def test_a_directory_that_is_gone_is_waited_for_no_more(ledger: Ledger) -> None:
    ledger.directory_left_out(taken(ledger, b"gone"))
    assert pending(ledger, 1) == 1
    assert ledger.frontier.empty


def test_a_directory_that_is_gone_in_its_midst_keeps_what_was_sealed(ledger: Ledger) -> None:
    directory = listed(ledger, b"half")
    ledger.seal(batch_with(directory, Entry(b"a", stat_of()), ended=False), (directory, b"a"))
    ledger.directory_left_out(directory)
    assert pending(ledger, 1) == 2
    assert pending(ledger, directory.id) == 1


def test_a_listed_directory_waits_for_its_subdirectories(ledger: Ledger) -> None:
    directory = taken(ledger, b"d")
    found = [ScanDirectory(ledger.frontier.new_id(), directory.id, name, name, None) for name in (b"a", b"b")]
    run = ledger.encode_run([b"reused"], [b"node"])
    ledger.directory_listed(directory, Assembly(directory.id, 1, b"d", b"prefix"), found, run)
    assert pending(ledger, directory.id) == 3
    assert nodes_of(ledger, directory.id) == {b"reused": b"node"}
    assert directory.known_subdirectories == frozenset({b"a", b"b"})
    assert ledger.frontier.pending == 2
    again = Assembly(directory.id, 1, b"d", b"new prefix", b"t" * 32, encode_names([b"x"]))
    ledger.directory_listed(directory, again, [], None)
    there = ledger.assemblies.get(directory.id)
    assert (there.prefix, there.base_tree, decode_names(there.deleted)) == (b"new prefix", b"t" * 32, frozenset({b"x"}))
    assert there.pending == 3
    ledger.directory_ended(directory, {"files_unmodified": 2})
    assert there.pending == 2
    assert ledger.frontier.in_progress == 0


def test_a_sealed_part_is_waited_for_and_its_directory_ends(ledger: Ledger) -> None:
    directory = listed(ledger, b"d")
    batch = batch_with(directory, Entry(b"a", stat_of()), Entry(b"b", stat_of()))
    batch.count("files_new", 2)
    ledger.seal(batch, None)
    assert pending(ledger, directory.id) == 1
    assert ledger.frontier.empty
    (work,) = queued(ledger)
    assert work.parts[0].names == [b"a", b"b"]
    assert work.roots == ledger.roots
    assert (work.owners, work.groups) == ({0: ledger.owners.user(0)}, {0: ledger.owners.group(0)})
    assert ledger.state.counters == {"files_new": 2}


def test_a_whole_directory_needs_no_assembly(ledger: Ledger) -> None:
    """Empty or not, its parent waits for it."""
    full, empty = taken(ledger, b"full"), taken(ledger, b"empty")
    batch = batch_with(full, Entry(b"a", stat_of()), whole=True)
    batch.parts.append(part_of(empty, whole=True))
    batch.ended.append(empty)
    ledger.seal(batch, None)
    assert ledger.assemblies.find(full.id) is None
    assert pending(ledger, 1) == 3
    assert ledger.frontier.empty
    (work,) = queued(ledger)
    assert [part.whole for part in work.parts] == [True, True]


def test_a_directory_that_goes_on_is_sealed_through_a_name(ledger: Ledger, tmp_path: Path) -> None:
    """R7: the batch and the name are one transaction."""
    directory = listed(ledger, b"d")
    ledger.seal(batch_with(directory, Entry(b"m", stat_of()), ended=False), (directory, b"m"))
    ledger.job.commit()
    ledger.job.close()
    again = Ledger(open_job_database(tmp_path / "a.job"), [], OwnerNames())
    assert again.load() == 1
    resumed = again.frontier.take(0)
    assert resumed is not None
    assert resumed.sealed_through == b"m"
    assert again.queue.unfinished == 1
    assert pending(again, directory.id) == 2
    again.job.close()


def test_an_empty_batch_makes_no_work_but_ends_its_directories(ledger: Ledger) -> None:
    directory = listed(ledger, b"d")
    ledger.seal(batch_with(directory), None)
    assert queued(ledger) == []
    assert list(ledger.assemblies.ready) == [directory.id]


def test_sealing_wakes_the_coordinator(ledger: Ledger) -> None:
    woken: list[bool] = []
    ledger.wake = lambda: woken.append(True)
    directory = listed(ledger, b"d")
    ledger.seal(batch_with(directory, Entry(b"a", stat_of())), None)
    assert woken == [True]


def test_only_the_first_name_of_a_hard_link_is_read(ledger: Ledger) -> None:
    """A second name waits; once the first was read, a third takes its node at once."""
    directory = listed(ledger, b"d")
    names = [Entry(name, stat_of(links=3, size=5)) for name in (b"a", b"b", b"c")]
    alone = Entry(b"z", stat_of())
    ledger.seal(batch_with(directory, names[0], names[1], alone, ended=False), (directory, b"z"))
    (work,) = queued(ledger)
    assert work.parts[0].names == [b"a", b"z"]
    assert work.parts[0].sizes == [5, 3]
    (first,) = work.link_firsts
    assert (first.directory_id, first.name, first.inode) == (directory.id, b"a", 7)
    assert pending(ledger, directory.id) == 3
    with ledger.job.mutex:
        (waiter,) = ledger.links.resolve(DEVICE, 7, file_node(names[0], "x"))
    assert waiter == (directory.id, directory.path, b"b")
    ledger.seal(batch_with(directory, names[2]), None)
    assert queued(ledger) == []
    assert nodes_of(ledger, directory.id) == {b"c": file_node(names[2], "x")}
    assert ledger.state.counters == {"total_files_processed": 1, "total_bytes_processed": 5}
    assert pending(ledger, directory.id) == 2


def test_a_big_file_is_cut_into_batches_of_one_transaction(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "SEGMENT_BYTES", 100)
    directory = listed(ledger, b"d")
    ledger.seal_big_file(directory, Entry(b"big", stat_of(size=250)), counter="files_new")
    assert pending(ledger, directory.id) == 2
    assert directory.sealed_through == b"big"
    assert ledger.queue.remaining_bytes() == 250
    segments = [segment for work in queued(ledger) for segment in work.segments]
    assert [(segment.index, segment.count, segment.size) for segment in segments] == [(at, 3, 250) for at in range(3)]
    assert {segment.sealing for segment in segments} == {1}
    assert ledger.state.counters == {"files_new": 1}
    ledger.seal_big_file(directory, Entry(b"big", stat_of(size=200)), through=False, tries=1)
    segments = [segment for work in queued(ledger) for segment in work.segments]
    assert [(segment.sealing, segment.tries) for segment in segments] == [(4, 1), (4, 1)]
    assert pending(ledger, directory.id) == 3


def test_a_batch_may_be_made_lenient(ledger: Ledger) -> None:
    directory = listed(ledger, b"d")
    ledger.seal(batch_with(directory, Entry(b"a", stat_of())), None)
    (work,) = queued(ledger)
    assert not work.lenient
    ledger.queue.give_back(1, 1, failed=True)
    ledger.make_lenient(1)
    (work,) = queued(ledger)
    assert work.lenient
    ledger.make_lenient(99)


def test_names_come_back() -> None:
    assert decode_names(None) == frozenset()
    assert decode_names(encode_names([b"a", b"\xff"])) == {b"a", b"\xff"}
