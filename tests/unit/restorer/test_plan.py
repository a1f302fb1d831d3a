"""From trees to tasks: what goes together, in which order, and what waits for what."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import Damaged, StorageUnavailable
from argosy.restic_format.blob import blob_id
from argosy.restic_format.node import Node, encode_fields, finish_directory, finish_file, finish_other
from argosy.restic_format.node import NodeFields as Fields
from argosy.restic_format.tree import encode_tree
from argosy.restorer import plan as plan_module
from argosy.restorer.cuts import Cuts
from argosy.restorer.hard_links import FirstNames
from argosy.restorer.ledger import Ledger, LedgerEntry
from argosy.restorer.messages import RestoreWork, Segment
from argosy.restorer.plan import Plan
from argosy.restorer.selection import Selection, SelectionSpec
from argosy.restorer.tree_nodes import Glance, decode_glances
from argosy.restorer.tree_walk import TreeWalk


class Trees:
    """Trees by their ids."""

    def __init__(self) -> None:
        self.stored: dict[bytes, bytes] = {}

    def add(self, entries: dict[str, Any]) -> bytes:
        """A tree: numbers are sizes of files, dictionaries directories, bytes nodes as they are."""
        nodes = [self._node(name, entry) for name, entry in entries.items()]
        data = encode_tree(nodes)
        self.stored[blob_id(data)] = data
        return blob_id(data)

    def load(self, tree_id: bytes) -> Iterable[bytes]:
        try:
            return (self.stored[tree_id],)
        except KeyError:
            raise Damaged(f"tree {tree_id.hex()} is in no index") from None

    def _node(self, name: str, entry: Any) -> bytes:
        if isinstance(entry, bytes):
            return entry
        if isinstance(entry, dict):
            return finish_directory(encode_fields(Fields(name.encode(), "dir", 0, 0, 0, 0, 0, 0)), self.add(entry))
        return file(name, entry)


def file(name: str, size: int, **fields: Any) -> bytes:
    return finish_file(encode_fields(Fields(name.encode(), "file", 0, 0, 0, 0, 0, 0, size=size, **fields)), [])


def linked(name: str, inode: int, size: int = 1, links: int = 9) -> bytes:
    return file(name, size, inode=inode, device_id=1, links=links)


class FakeLargeFile:
    """A large file of two segments."""

    def __init__(self, number: int, entry: LedgerEntry, name: bytes, node: Node) -> None:
        self.number, self.entry, self.name, self.node = number, entry, name, node
        self.left = 2

    def next_segment(self) -> Segment | None:
        self.left -= 1
        return Segment(self.number, self.entry.path, self.name, self.name, 0, b"", False) if self.left >= 0 else None


class Planning:
    """A plan over trees, with what it said."""

    def __init__(self, scratch: Path, tree: dict[str, Any], **options: Any) -> None:
        self.trees = Trees()
        self.errors: list[tuple[bytes, str]] = []
        self.finished: list[bytes] = []
        self.large: list[FakeLargeFile] = []
        root = options.pop("root", None) or self.trees.add(tree)
        spec = SelectionSpec(**options.pop("spec", {}))
        delete = options.pop("delete", False)
        tolerated = options.pop("tolerated", ())
        load = options.pop("load", self.trees.load)
        expected_bytes = options.pop("expected_bytes", math.inf)
        cuts = Cuts(**{"entries": 4, "size_bytes": 100, "large_bytes": 1000, **options})
        self.ledger = Ledger(lambda entry: self.finished.append(entry.path))
        self.firsts = FirstNames(scratch)
        walk = TreeWalk(
            *(root, load, Selection(spec), self.ledger, self._report, cuts),
            delete=delete,
            tolerated=tolerated,
            expected_bytes=expected_bytes,
        )
        self.plan = Plan(walk, self.ledger, self.firsts, self._make_large, self._report, cuts)  # type: ignore[arg-type]

    def _report(self, path: bytes, reason: str) -> None:
        self.errors.append((path, reason))

    def _make_large(self, number: int, entry: LedgerEntry, name: bytes, node: Node) -> FakeLargeFile:
        self.large.append(FakeLargeFile(number, entry, name, node))
        return self.large[-1]

    def next(self) -> tuple[int, RestoreWork] | None:
        return self.plan.next_work()

    def settle(self, number: int, work: RestoreWork) -> None:
        """As the coordinator does when a task is done."""
        self.plan.done(number)
        for part in work.parts:
            entry = self.ledger.entry(part.directory)
            entry.over = entry.over or part.whole
            self.ledger.settle(entry)
        for link in work.links:
            self.ledger.settle(self.ledger.entry(link.directory))

    def drain(self) -> list[tuple[int, RestoreWork]]:
        """All tasks, each done as soon as it is out."""
        found = []
        while (task := self.next()) is not None:
            found.append(task)
            self.settle(*task)
        return found


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path


def names(work: RestoreWork) -> list[str]:
    """The entries of a batch, with their paths; directories marked."""
    found = []
    for part in work.parts:
        listed = [glance.name for glance in decode_glances(part.tree, "") if glance.type != "dir"]
        place = part.path.decode()
        found += [f"{place}/{name}" for name in listed] or [f"{place}/"]
    return found


def test_small_directories_share_a_batch_and_are_whole(scratch: Path) -> None:
    planning = Planning(scratch, {"a": {"x": 1, "y": 1}, "b": {"z": 1}, "c": {}, "d": {"w": 1, "v": 1}})
    tasks = planning.drain()
    assert [names(work) for _, work in tasks] == [["a/x", "a/y", "b/z", "c/"], ["d/w", "d/v"]]
    assert all(part.whole and part.node for _, work in tasks for part in work.parts)
    assert planning.finished == [b""]
    assert planning.plan.exhausted
    assert (planning.plan.entries, planning.plan.size_bytes, planning.ledger.touched) == (5, 5, 4)


def test_a_directory_with_others_in_it_is_finished_by_the_master(scratch: Path) -> None:
    planning = Planning(scratch, {"a": {"b": {"c": {"x": 1}}, "y": 1}})
    tasks = planning.drain()
    assert [[(part.path, part.whole) for part in work.parts] for _, work in tasks] == [
        [(b"a", False), (b"a/b/c", True)]
    ]
    assert planning.finished == [b"a/b", b"a", b""]


def test_batches_are_cut_by_entries_and_by_bytes(scratch: Path) -> None:
    planning = Planning(scratch, {f"{number:02d}": 1 for number in range(10)})
    assert [len(names(work)) for _, work in planning.drain()] == [4, 4, 2]
    planning = Planning(scratch, {"a": 60, "b": 30, "c": 30, "d": 200, "e": 1}, entries=100)
    assert [names(work) for _, work in planning.drain()] == [["/a", "/b"], ["/c"], ["/d"], ["/e"]]
    assert planning.plan.size_bytes == 321


def test_directories_come_depth_first_and_memory_goes_by_depth(scratch: Path) -> None:
    tree: dict[str, Any] = {"f": 1}
    for _ in range(6):
        tree = {"a": tree, "b": tree}
    planning = Planning(scratch, tree, entries=1)
    most = 0
    paths = []
    while (task := planning.next()) is not None:
        most = max(most, len(planning.ledger))
        paths += [part.path for part in task[1].parts]
        planning.settle(*task)
    assert paths == sorted(paths)
    assert len(paths) == 64
    assert most <= 8
    assert len(planning.ledger) == 0


def test_only_what_is_selected_is_planned(scratch: Path) -> None:
    tree = {"a": {"x.txt": 1, "y": 1, "sub": {"z.txt": 1}}, "b": {"w": 1}, "c.txt": 1}
    planning = Planning(scratch, tree, spec={"include": [b"*.txt"]})
    assert [name for _, work in planning.drain() for name in names(work)] == ["/c.txt", "a/x.txt", "a/sub/z.txt"]
    assert planning.ledger.touched == 2
    planning = Planning(scratch, tree, spec={"exclude": [b"sub", b"/c.txt"]}, delete=True)
    tasks = planning.drain()
    assert [name for _, work in tasks for name in names(work)] == ["a/x.txt", "a/y", "b/w"]
    kept = {part.path: set(part.kept or ()) for _, work in tasks for part in work.parts}
    assert kept == {b"a": {b"x.txt", b"y", b"sub"}, b"b": {b"w"}}


def test_sockets_are_left_out_and_not_deleted(scratch: Path) -> None:
    socket = finish_other(encode_fields(Fields(b"s", "socket", 0, 0, 0, 0, 0, 0)))
    planning = Planning(scratch, {"d": {"s": socket, "x": 1}}, delete=True)
    ((_, work),) = planning.drain()
    assert planning.plan.entries == 1
    assert work.parts[0].kept is not None
    assert set(work.parts[0].kept) == {b"s", b"x"}


def test_a_further_name_waits_for_the_task_with_the_first(scratch: Path) -> None:
    tree = {"1": {"a": linked("a", 1), "b": 1}, "2": {"c": linked("c", 1), "d": linked("d", 2)}}
    planning = Planning(scratch, tree, entries=2)
    first, second = planning.next(), planning.next()
    assert first is not None
    assert second is not None
    assert (names(first[1]), names(second[1])) == (["1/a", "1/b"], ["2/d"])
    assert planning.next() is None
    planning.settle(*second)
    assert planning.next() is None
    assert not planning.plan.exhausted
    planning.settle(*first)
    third = planning.next()
    assert third is not None
    (link,) = third[1].links
    assert (link.path, link.first_path, link.first_name) == (b"2", b"1", b"a")
    planning.settle(*third)
    assert planning.plan.exhausted
    assert planning.finished == [b"1", b"2", b""]


def test_names_in_one_batch_need_not_wait(scratch: Path) -> None:
    planning = Planning(scratch, {"a": linked("a", 1), "b": {"c": linked("c", 1)}})
    ((_, work),) = planning.drain()
    assert names(work) == ["/a"]
    assert [(link.path, link.first_name) for link in work.links] == [(b"b", b"a")]


def test_the_walk_pauses_while_very_many_names_wait(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are in memory, and one file may have any number of them."""
    monkeypatch.setattr(plan_module, "_WAITING_MOST", 3)
    tree = {
        "a": linked("a", 1, 100, 999),
        **{f"d{at}": {f"f{n}": linked(f"f{n}", 1) for n in range(3)} for at in range(9)},
    }
    planning = Planning(scratch, tree)
    first = planning.next()
    assert first is not None
    assert planning.next() is None
    assert planning.plan.entries == 4
    planning.settle(*first)
    assert sum(len(work.links) for _, work in planning.drain()) == 27


@pytest.mark.parametrize(
    ("expected_bytes", "cut"), [(math.inf, []), (2520, [b"d", b"e"]), (100, [b"a", b"b", b"d", b"e"])]
)
def test_of_the_last_bytes_smaller_files_are_cut(scratch: Path, expected_bytes: float, cut: list[bytes]) -> None:
    """So that workers end together; a snapshot may tell a wrong number."""
    tree = {"a": 500, "b": 500, "c": 20, "d": 500, "e": {"e": 500}, "f": 399}
    planning = Planning(scratch, tree, segment_bytes=200, tail_bytes=1500, expected_bytes=expected_bytes)
    tasks = [planning.next() for _ in range(20)]
    segments = [task[1].segment.shown for task in tasks if task and task[1].segment]
    assert sorted(set(segments)) == cut


def test_large_files_come_in_segments_and_others_may_be_names_of_them(scratch: Path) -> None:
    planning = Planning(scratch, {"a": 5000, "b": linked("b", 1, 5000), "c": linked("c", 1, 5000), "d": 1})
    tasks = [planning.next() for _ in range(5)]
    assert [task[1].segment.shown if task and task[1].segment else None for task in tasks] == [
        b"b",
        b"b",
        b"a",
        b"a",
        None,
    ]
    assert planning.next() is None
    for large in planning.large:
        planning.plan.done(large.number)
        planning.ledger.settle(large.entry)
    link = planning.next()
    assert link is not None
    assert [(found.first_name, found.path) for found in link[1].links] == [(b"b", b"")]
    for task in (*tasks, link):
        assert task is not None
        planning.settle(*task)
    assert planning.finished == [b""]


def test_a_directory_that_cannot_be_read_is_named_and_its_parent_finished(scratch: Path) -> None:
    bad = finish_directory(encode_fields(Fields(b"bad", "dir", 0, 0, 0, 0, 0, 0)), bytes(32))
    no_id = finish_directory(encode_fields(Fields(b"no", "dir", 0, 0, 0, 0, 0, 0)), bytes(32)).replace(b"00", b"zz")
    planning = Planning(scratch, {"a": {"bad": bad, "no": no_id, "x": 1}}, delete=True)
    tasks = planning.drain()
    assert [names(work) for _, work in tasks] == [["a/x"]]
    assert [path for path, _ in planning.errors] == [b"/a/no", b"/a/bad"]
    assert planning.finished == [b"a", b""]


def test_a_failing_store_ends_the_plan_unless_it_is_tolerated(scratch: Path) -> None:
    def load(_: bytes) -> Iterable[bytes]:
        raise StorageUnavailable("gone")

    with pytest.raises(StorageUnavailable):
        Planning(scratch, {}, root=bytes(32), load=load).drain()
    planning = Planning(scratch, {}, root=bytes(32), load=load, tolerated=(StorageUnavailable,))
    assert planning.drain() == []
    assert planning.errors == [(b"/", "nothing below it could be restored: gone")]


@pytest.mark.parametrize("name", ["..", ".", "a/b", ""])
def test_a_bad_name_stops_deletion_in_its_directory_alone(scratch: Path, name: str) -> None:
    tree = {"bad": {"x": 1, "y": file(name, 1)}, "good": {"x": 1}}
    planning = Planning(scratch, tree, delete=True)
    parts = {part.path: part for _, work in planning.drain() for part in work.parts}
    assert (parts[b"bad"].kept, parts[b"good"].kept) == (None, [b"x"])
    assert [path for path, _ in planning.errors] == [b"/bad"]
    assert [glance.name for glance in decode_glances(parts[b"bad"].tree, "")] == ["x"]


def test_a_directory_below_one_that_broke_is_passed_over(scratch: Path) -> None:
    planning = Planning(scratch, {"a": {"b": {"c": {"x": 1}}, "y": 99}}, size_bytes=1)
    first = planning.next()
    assert first is not None
    assert planning.ledger.break_off(b"a")
    planning.settle(*first)
    assert planning.drain() == []
    assert planning.finished == [b""]


@pytest.mark.parametrize("lost", [False, True])
def test_a_huge_directory_is_read_as_far_as_there_are_tasks_to_give(scratch: Path, lost: bool) -> None:
    """What waits to be handed out does not grow with it; once the directory is lost, nothing more of it comes."""
    read: list[int] = []

    def load(_: bytes) -> Iterator[bytes]:
        for number in range(50):
            read.append(number)
            yield encode_tree([file(f"{number:03}-{at}", 1) for at in range(4)])

    planning = Planning(scratch, {}, root=bytes(32), load=load)
    first = planning.next()
    assert first is not None
    assert len(read) <= 3
    if lost:
        assert planning.ledger.break_off(b"")
    planning.settle(*first)
    names = [glance.name for task in [first, *planning.drain()] for glance in _glances(*task)]
    assert len(names) == (4 if lost else 200)
    assert planning.plan.exhausted
    assert not len(planning.ledger)


def _glances(_number: int, work: RestoreWork) -> list[Glance]:
    return [glance for part in work.parts for glance in decode_glances(part.tree, "part")]
