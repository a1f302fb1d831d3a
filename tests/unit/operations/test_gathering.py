"""Closing the results of a job that lost a pack: what each directory is taken for then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.archiver.ledger import Ledger, encode_names
from argosy.archiver.parent import child_subtrees
from argosy.archiver.parent_trees import ParentTrees
from argosy.errors import Damaged
from argosy.filesystem.directory import Entry
from argosy.filesystem.metadata import OwnerNames
from argosy.operations.backup.gathering import close_results
from argosy.restic_format.tree import encode_tree
from argosy.state.assemblies import Assembly
from argosy.state.frontier import ScanDirectory
from argosy.state.job_database import open_job_database
from tests.support.trees_at_hand import TreesAtHand
from tests.unit.archiver.conftest import file_node, identity, nodes_of, stat_of

THERE, GONE = identity("a tree that is there"), identity("a tree that is gone")


def load(tree_id: bytes) -> bytes:
    """The repository's trees: one."""
    if tree_id != THERE:
        raise Damaged("gone", hint="")
    return encode_tree([file_node(Entry(b"f", stat_of()), "old")])


class Scene:
    """A job with the root's assembly, which waits for more than it will get."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ledger = Ledger(open_job_database(path), [], OwnerNames())
        assert self.ledger.frontier.new_id() == 1
        self.begin(0, b"")

    def begin(self, parent_id: int, name: bytes, base: bytes | None = None, dropped: tuple[bytes, ...] = ()) -> int:
        """A directory that was listed and waits for results."""
        number = self.ledger.frontier.new_id() if parent_id else 1
        self.ledger.assemblies.open(Assembly(number, parent_id, name, b"", base, encode_names(dropped), pending=7))
        return number

    def find(self, name: bytes, base: bytes | None, number: int | None = None) -> None:
        """A directory below the root that the scan has not finished; with a number it has begun it."""
        number = self.ledger.frontier.new_id() if number is None else number
        self.ledger.frontier.add([ScanDirectory(number, 1, name, b"/" + name, base)])

    def close_results(self) -> None:
        """As a run that begins does, and loads the job after it."""
        self.ledger.job.commit()
        self.ledger.job.close()
        self.ledger = Ledger(open_job_database(self.path), [], OwnerNames())
        close_results(self.ledger.job, ParentTrees(TreesAtHand(load), set, proved=False))
        self.ledger.load()

    def nodes(self, number: int = 1) -> dict[bytes, bytes]:
        """The nodes that a directory has got."""
        return nodes_of(self.ledger, number)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path / "a.job")
    yield scene
    scene.ledger.job.close()


def test_a_directory_waits_for_its_subdirectories_alone(scene: Scene) -> None:
    """Whatever it waited for besides will not come; done a second time it is the same."""
    above = scene.begin(1, b"above")
    below = scene.begin(above, b"below")
    scene.ledger.queue.enqueue(b"batch", 1, 1)
    for _ in range(2):
        scene.close_results()
        waits = {number: scene.ledger.assemblies.get(number).pending for number in (1, above, below)}
        assert waits == {1: 1, above: 1, below: 0}
        assert list(scene.ledger.assemblies.ready) == [below]
        assert scene.ledger.queue.unfinished == 0


def test_a_directory_that_was_not_scanned_has_its_tree_of_the_parent_snapshot(scene: Scene) -> None:
    """One that is new has none, and so is not there. What the root had got stays."""
    node = file_node(Entry(b"f", stat_of()), "new")
    scene.ledger.assemblies.add_part(1, scene.ledger.encode_run([b"f"], [node]))
    scene.find(b"old", THERE)
    scene.find(b"new", None)
    scene.find(b"a\xff", GONE)
    scene.close_results()
    nodes = scene.nodes()
    assert nodes.pop(b"f") == node
    tree = encode_tree([nodes[name] for name in sorted(nodes)])
    assert child_subtrees(tree) == {b"a\xff": GONE, b"old": THERE}
    assert scene.ledger.frontier.empty


def test_a_tree_that_cannot_be_read_is_not_built_upon(scene: Scene) -> None:
    """Nor are the names of it known that were dropped."""
    gone, there = scene.begin(1, b"gone", GONE, (b"x",)), scene.begin(1, b"there", THERE, (b"f",))
    scene.close_results()
    found = [scene.ledger.assemblies.get(number) for number in (gone, there)]
    assert [assembly.base_tree for assembly in found] == [None, THERE]
    assert [assembly.deleted for assembly in found] == [None, encode_names([b"f"])]


@pytest.mark.parametrize(("base", "expected"), [(THERE, THERE), (GONE, None)])
def test_a_huge_directory_in_progress_is_built_upon_its_old_tree(
    scene: Scene, base: bytes, expected: bytes | None
) -> None:
    """Its scan copies what stands run by run: what comes behind is still in the old tree alone."""
    number = scene.begin(1, b"huge")
    scene.find(b"huge", base, number)
    scene.close_results()
    assert scene.ledger.assemblies.get(number).base_tree == expected
    assert scene.nodes() == {}
