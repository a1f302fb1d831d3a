"""What becomes of a batch's result, in one transaction."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.archiver.ledger import Ledger
from argosy.archiver.messages import BatchResult, BatchWork, DirectoryPart, LinkFirst, PartResult, decode
from argosy.archiver.open_batch import BatchLimits, OpenBatch
from argosy.archiver.results import Results
from argosy.archiver.returning import look_again, part_of_one, return_entry
from argosy.filesystem.directory import Entry
from argosy.state.frontier import ScanDirectory
from tests.unit.archiver.conftest import (
    DEVICE,
    DIRECTORY,
    directory_node,
    file_node,
    identity,
    listed,
    nodes_of,
    pending,
    prefix_of,
    stat_of,
    taken,
)

A, B = Entry(b"a", stat_of()), Entry(b"b", stat_of())


class Scene:
    """A ledger with results; ``trees`` are those that were to be kept."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.trees: list[tuple[bytes, bytes, int]] = []
        self.results = Results(ledger, lambda *tree: self.trees.append(tree))
        ledger.map.member_joined("member", "host", 1, 1)

    def seal(self, directory: ScanDirectory, *entries: Entry, whole: bool = False) -> DirectoryPart:
        """One part, which ends its directory."""
        batch = OpenBatch(BatchLimits())
        prefix = prefix_of(Entry(directory.name, stat_of(DIRECTORY)))
        part = DirectoryPart(
            directory.id, directory.parent_id, directory.name, directory.path, prefix, DEVICE, whole=whole
        )
        batch.parts.append(part)
        for entry in entries:
            batch.add(part, entry)
        batch.ended.append(directory)
        self.ledger.seal(batch, None)
        return part

    def work(self) -> BatchWork:
        """The next batch, handed out."""
        self.ledger.job.commit()
        leased = self.ledger.queue.lease()
        assert leased is not None
        self.seq, self.attempt = leased[0].seq, leased[0].attempt
        return decode(leased[1], BatchWork)

    def apply(self, *parts: PartResult, **fields: object) -> bool:
        """The result of the batch that was handed out last."""
        result = BatchResult(list(parts), [], [], [])
        for name, value in fields.items():
            setattr(result, name, value)
        return self.results.apply(self.seq, self.attempt, "member", result)

    def part(self, part: DirectoryPart, *entries: Entry, **fields: object) -> PartResult:
        """What a worker answers for a part of which these entries were read."""
        nodes = self.ledger.encode_run([entry.name for entry in entries], [file_node(entry, "x") for entry in entries])
        done = PartResult(part.directory_id, part.parent_id, part.name, part.prefix, path=part.path, tries=part.tries)
        done.nodes, done.was_whole = nodes, part.whole
        for name, value in fields.items():
            setattr(done, name, value)
        return done


@pytest.fixture
def scene(ledger: Ledger) -> Scene:
    return Scene(ledger)


def test_nodes_go_to_their_directory_which_waits_no_more(scene: Scene) -> None:
    directory = listed(scene.ledger, b"d")
    part = scene.seal(directory, A, B)
    scene.work()
    assert scene.apply(scene.part(part, A, B), files=2, size_bytes=6, data_blobs=1, vanished=1)
    assert nodes_of(scene.ledger, directory.id) == {b"a": file_node(A, "x"), b"b": file_node(B, "x")}
    assert list(scene.ledger.assemblies.ready) == [directory.id]
    counters = scene.ledger.state.counters
    assert (counters["total_files_processed"], counters["total_bytes_processed"], counters["vanished"]) == (2, 6, 1)
    (member,) = scene.ledger.map.members()
    assert (member.files, member.bytes, member.batches) == (2, 6, 1)
    assert scene.ledger.queue.unfinished == 0


def test_a_second_result_of_a_batch_counts_for_nothing(scene: Scene) -> None:
    part = scene.seal(listed(scene.ledger, b"d"), A)
    scene.work()
    assert scene.apply(scene.part(part, A), files=1)
    before = dict(scene.ledger.state.counters)
    assert not scene.apply(scene.part(part, A), files=1, unread=[(b"/x", "denied")])
    assert scene.ledger.state.counters == {**before, "results_dropped": 1}
    (member,) = scene.ledger.map.members()
    assert member.batches == 1


def test_whole_directories_become_nodes_of_their_parent(scene: Scene) -> None:
    parts = [scene.seal(taken(scene.ledger, name), A, whole=True) for name in (b"z", b"y")]
    results = []
    for part in parts:
        tree = {"tree_id": identity(str(part.name)), "sealed_tree": b"sealed", "tree_bytes": 99, "nodes": b""}
        results.append(scene.part(part, **tree))
    scene.work()
    scene.apply(results[0])
    scene.work()
    scene.apply(results[1])
    assert scene.trees == [(result.tree_id, b"sealed", 99) for result in results]
    entries = {part.name: Entry(part.name, stat_of(DIRECTORY)) for part in parts}
    assert nodes_of(scene.ledger, 1) == {
        name: directory_node(entry, identity(str(name))) for name, entry in entries.items()
    }
    assert pending(scene.ledger, 1) == 1
    assert scene.ledger.state.counters["dirs_new"] == 2


def test_a_whole_directory_that_is_gone_is_waited_for_no_more(scene: Scene) -> None:
    directory = taken(scene.ledger, b"d")
    part = scene.seal(directory, A, whole=True)
    scene.work()
    scene.apply(scene.part(part, left_out=True))
    assert pending(scene.ledger, 1) == 1
    assert scene.ledger.assemblies.find(directory.id) is None


def test_a_part_of_a_directory_that_is_gone_leaves_the_rest(scene: Scene) -> None:
    directory = listed(scene.ledger, b"d")
    part = scene.seal(directory, A)
    scene.work()
    scene.apply(scene.part(part, left_out=True))
    assert list(scene.ledger.assemblies.ready) == [directory.id]


def test_a_returned_entry_is_queued_as_it_is_now(scene: Scene, tmp_path: Path) -> None:
    """Its directory waits for it; a whole one gets an assembly for that."""
    directory = taken(scene.ledger, b"d")
    directory.path = os.fsencode(tmp_path)
    (tmp_path / "b").write_bytes(b"new")
    part = scene.seal(directory, A, B, whole=True)
    scene.work()
    scene.apply(scene.part(part, A, returned=[b"b"]))
    assert pending(scene.ledger, directory.id) == 1
    assert pending(scene.ledger, 1) == 2
    (again,) = scene.work().parts
    assert (again.names, again.tries, again.whole) == ([b"b"], 1, False)
    assert again.inodes == [(tmp_path / "b").stat().st_ino]
    scene.apply(scene.part(again, B))
    assert sorted(nodes_of(scene.ledger, directory.id)) == [b"a", b"b"]
    assert list(scene.ledger.assemblies.ready) == [directory.id]


def test_a_returned_entry_may_be_gone_or_a_directory(scene: Scene, tmp_path: Path) -> None:
    directory = listed(scene.ledger, b"d")
    directory.path = os.fsencode(tmp_path)
    (tmp_path / "b").mkdir()
    part = scene.seal(directory, A, B)
    scene.work()
    scene.apply(scene.part(part, returned=[b"a", b"b"]))
    assert scene.ledger.state.counters["vanished"] == 1
    assert pending(scene.ledger, directory.id) == 1
    found = scene.ledger.frontier.take(0)
    assert found is not None
    assert (found.parent_id, found.path) == (directory.id, os.fsencode(tmp_path / "b"))


def test_an_entry_that_comes_back_for_ever_is_named(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    here = os.fsencode(tmp_path)
    seen = look_again(here, b"a")
    with ledger.job.mutex:
        return_entry(ledger, 1, here, b"a", seen, 4)
        assert ledger.queue.unfinished == 1
        return_entry(ledger, 1, here, b"a", seen, 5)
        return_entry(ledger, 1, here, b"c", PermissionError(13, "Permission denied"), 0)
    assert ledger.queue.unfinished == 1
    assert ledger.state.counters == {"unread": 2}
    ledger.job.commit()
    assert [path for path, _ in ledger.reports.unread_entries()] == [here + b"/a", here + b"/c"]


def test_names_of_a_hard_link_take_the_firsts_node(scene: Scene) -> None:
    directory = listed(scene.ledger, b"d")
    first, second = Entry(b"a", stat_of(links=2, size=5)), Entry(b"\xff", stat_of(links=2, size=5))
    part = scene.seal(directory, first, second)
    assert pending(scene.ledger, directory.id) == 2
    (link,) = scene.work().link_firsts
    scene.apply(scene.part(part, first), links=[(link, file_node(first, "x"))])
    assert nodes_of(scene.ledger, directory.id) == {b"a": file_node(first, "x"), b"\xff": file_node(second, "x")}
    assert list(scene.ledger.assemblies.ready) == [directory.id]
    assert scene.ledger.state.counters["total_bytes_processed"] == 5


def test_if_the_first_name_cannot_be_read_the_others_are(scene: Scene, tmp_path: Path) -> None:
    directory = listed(scene.ledger, b"d")
    directory.path = os.fsencode(tmp_path)
    (tmp_path / "b").write_bytes(b"x")
    part = scene.seal(
        directory, Entry(b"a", stat_of(links=3)), Entry(b"b", stat_of(links=3)), Entry(b"c", stat_of(links=3))
    )
    (link,) = scene.work().link_firsts
    assert isinstance(link, LinkFirst)
    scene.apply(scene.part(part), links=[(link, b"")], vanished=1)
    assert scene.ledger.state.counters["vanished"] == 2
    (again,) = scene.work().parts
    assert again.names == [b"b"]
    assert pending(scene.ledger, directory.id) == 1
    with scene.ledger.job.mutex:
        assert scene.ledger.links.is_first(DEVICE, 7)


def test_unread_entries_are_named_and_counted(scene: Scene) -> None:
    part = scene.seal(listed(scene.ledger, b"d"), A)
    scene.work()
    heard: list[bytes] = []
    scene.ledger.reports.listener = lambda path, _: heard.append(path)
    scene.apply(scene.part(part), unread=[(b"/source/d/a", "denied")])
    assert heard == [b"/source/d/a"]
    assert scene.ledger.state.counters["unread"] == 1


def test_a_part_of_one_is_read_as_it_stands_now(tmp_path: Path) -> None:
    stat = os.stat(tmp_path)
    part = part_of_one(7, b"/d", b"name", stat, 3)
    assert (part.names, part.inodes, part.device, part.tries, part.whole) == (
        [b"name"],
        [stat.st_ino],
        stat.st_dev,
        3,
        False,
    )
