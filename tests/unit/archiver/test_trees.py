"""Trees from results: the same bytes whichever way they came together."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import pytest

from argosy.archiver import trees as trees_module
from argosy.archiver.ledger import Ledger, encode_names
from argosy.archiver.parent_trees import ParentTrees
from argosy.archiver.tree_threads import TreeThreads
from argosy.archiver.trees import TreeBuilder
from argosy.filesystem.directory import Entry
from argosy.filesystem.metadata import OwnerNames
from argosy.repository.encoder import BlobEncoder, EncodedBlob
from argosy.repository.packer import StoredPack
from argosy.restic_format.blob import BlobType, blob_id
from argosy.restic_format.crypto import MasterKey
from argosy.restic_format.pack import encode_entry
from argosy.restic_format.tree import encode_tree
from argosy.state.assemblies import Assembly
from argosy.state.job_database import open_job_database
from tests.support.trees_at_hand import TreesAtHand
from tests.unit.archiver.conftest import (
    DIRECTORY,
    directory_node,
    file_node,
    identity,
    nodes_of,
    pending,
    prefix_of,
    stat_of,
)


class Packer:
    """Keeps the blobs that it is given."""

    def __init__(self) -> None:
        self.blobs: list[EncodedBlob] = []

    def add(self, blob: EncodedBlob) -> None:
        """Into the open pack."""
        self.blobs.append(blob)

    def flush(self) -> None:
        """Nothing to wait for."""


class Scene:
    """A builder on a ledger; ``there`` are trees of the repository, ``large`` those that were streamed."""

    def __init__(self, ledger: Ledger, directory: Path) -> None:
        self.directory = directory
        self.there: dict[bytes, bytes] = {}
        self.large: list[bytes] = []
        self.recorded: list[StoredPack] = []
        self.ledger = ledger
        self.make()

    def make(self) -> None:
        """A new builder, as each run has."""
        self.packer = Packer()
        self.builder = TreeBuilder(
            self.ledger,
            ParentTrees(TreesAtHand(self.there.__getitem__), set, proved=True),
            partial(BlobEncoder, MasterKey.generate(os.urandom), "auto", verify=True),
            lambda _: self.packer,  # type: ignore[arg-type,return-value]  # a double
            self.there.__contains__,
            self.store_large,
            self.recorded.append,
            self.directory,
        )

    def store_large(self, pieces: Iterable[bytes], total: int, *, directory: Path) -> StoredPack:
        """As the repository does, without a repository."""
        assert directory == self.directory
        tree = b"".join(pieces)
        assert len(tree) == total
        self.large.append(tree)
        return StoredPack(identity("pack"), 100, encode_entry(BlobType.TREE, blob_id(tree), 50, total))

    def crash(self) -> None:
        """Lose what was not committed."""
        path = self.ledger.job.path
        self.ledger.job.close()
        self.ledger = Ledger(open_job_database(path), [], OwnerNames())
        self.ledger.load()
        self.make()

    def build(self) -> None:
        """Everything that is ready."""
        while self.builder.build_ready():
            pass

    def open(self, name: bytes, *, base: bytes | None = None, dropped: Iterable[bytes] = ()) -> int:
        """An assembly below the root that waits for nothing but its parts."""
        number = self.ledger.frontier.new_id()
        prefix = prefix_of(Entry(name, stat_of(DIRECTORY)))
        self.ledger.assemblies.open(Assembly(number, 1, name, prefix, base, encode_names(sorted(dropped))))
        self.ledger.assemblies.expect(1, 1)
        return number

    def add(self, number: int, nodes: dict[bytes, bytes]) -> None:
        """One part."""
        names = sorted(nodes)
        self.ledger.assemblies.add_part(number, self.ledger.encode_run(names, [nodes[name] for name in names]))

    def subtree(self, name: bytes) -> bytes:
        """The id that a directory's node in the root has."""
        node = nodes_of(self.ledger, 1)[name]
        start = node.index(b'"subtree":"') + 11
        return bytes.fromhex(node[start : start + 64].decode())


@pytest.fixture
def scene(ledger: Ledger, tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(ledger, tmp_path)
    yield scene
    scene.ledger.job.close()


def files(*names: bytes, text: str = "x") -> dict[bytes, bytes]:
    return {name: file_node(Entry(name, stat_of()), text) for name in names}


def tree_of(nodes: dict[bytes, bytes]) -> bytes:
    return encode_tree([nodes[name] for name in sorted(nodes)])


def test_a_directory_becomes_a_tree_and_a_node_of_its_parent(scene: Scene) -> None:
    number = scene.open(b"d")
    scene.add(number, files(b"b", b"\xff"))
    scene.add(number, files(b"a"))
    scene.ledger.assemblies.settle(number)
    scene.build()
    tree_id = blob_id(tree_of(files(b"a", b"b", b"\xff")))
    assert nodes_of(scene.ledger, 1) == {b"d": directory_node(Entry(b"d", stat_of(DIRECTORY)), tree_id)}
    assert [blob.id for blob in scene.packer.blobs] == [tree_id]
    assert pending(scene.ledger, 1) == 1
    assert scene.ledger.assemblies.find(number) is None
    assert scene.ledger.state.counters["dirs_new"] == 1


def test_threads_build_what_one_builds(scene: Scene) -> None:
    """Directories in three levels, many of them alike, while their parents wait for them."""

    def fill() -> None:
        for outer in range(5):
            above = scene.open(b"outer %d" % outer)
            for inner in range(20):
                number = scene.ledger.frontier.new_id()
                name = b"inner %02d" % inner
                prefix = prefix_of(Entry(name, stat_of(DIRECTORY)))
                scene.ledger.assemblies.open(Assembly(number, above, name, prefix))
                scene.ledger.assemblies.expect(above, 1)
                scene.add(number, files(b"a", text=str(inner // 2)))
                scene.ledger.assemblies.settle(number)
            scene.ledger.assemblies.settle(above)
        scene.ledger.assemblies.settle(1)

    done = threading.Event()
    scene.ledger.wake = done.set
    threads = TreeThreads(scene.ledger.assemblies, scene.builder.build, done.set, threads=4)
    threads.start()
    fill()
    assert done.wait(60)
    threads.stop()
    assert threads.error is None
    expected = tree_of(
        {
            b"outer %d" % outer: directory_node(
                Entry(b"outer %d" % outer, stat_of(DIRECTORY)),
                blob_id(
                    tree_of(
                        {
                            b"inner %02d" % inner: directory_node(
                                Entry(b"inner %02d" % inner, stat_of(DIRECTORY)),
                                blob_id(tree_of(files(b"a", text=str(inner // 2)))),
                            )
                            for inner in range(20)
                        }
                    )
                ),
            )
            for outer in range(5)
        }
    )
    assert scene.builder.root_tree == blob_id(expected)
    # Ten kinds of the innermost, one of those above, and the root.
    assert len(scene.packer.blobs) == len({blob.id for blob in scene.packer.blobs}) == 12
    assert scene.ledger.state.counters["dirs_new"] == 105


def test_the_root_tree_is_remembered(scene: Scene) -> None:
    scene.add(1, files(b"a"))
    scene.ledger.assemblies.settle(1)
    scene.build()
    assert scene.builder.root_tree == blob_id(tree_of(files(b"a")))
    scene.ledger.job.commit()
    before = scene.builder.root_tree
    scene.crash()
    scene.builder.load()
    assert scene.builder.root_tree == before


def test_what_stands_in_the_parents_tree_what_was_dropped_and_what_came(scene: Scene) -> None:
    base = tree_of(files(b"a", b"b", b"c", b"d"))
    scene.there[blob_id(base)] = base
    number = scene.open(b"d", base=blob_id(base), dropped=[b"b", b"c"])
    scene.add(number, files(b"c", text="new"))
    scene.add(number, files(b"e", b"d", text="newer"))
    scene.ledger.assemblies.settle(number)
    scene.build()
    expected = files(b"a") | files(b"c", text="new") | files(b"d", b"e", text="newer")
    assert scene.subtree(b"d") == blob_id(tree_of(expected))
    assert scene.ledger.state.counters["dirs_changed"] == 1


def test_a_tree_that_is_as_it_was_is_not_stored_again(scene: Scene) -> None:
    base = tree_of(files(b"a", b"b"))
    scene.there[blob_id(base)] = base
    number = scene.open(b"d", base=blob_id(base), dropped=[b"b"])
    scene.add(number, files(b"b"))
    scene.ledger.assemblies.settle(number)
    scene.build()
    assert scene.subtree(b"d") == blob_id(base)
    assert scene.packer.blobs == []
    assert scene.ledger.state.counters["dirs_unmodified"] == 1


def test_equal_trees_are_packed_once_until_the_lookup_knows_them(scene: Scene) -> None:
    for name in (b"one", b"two"):
        number = scene.open(name)
        scene.add(number, files(b"a"))
        scene.ledger.assemblies.settle(number)
    scene.build()
    tree_id = blob_id(tree_of(files(b"a")))
    assert len(scene.packer.blobs) == 1
    scene.builder.keep_sealed(tree_id, b"sealed by a worker", 9)
    scene.builder.keep_sealed(identity("known"), b"", 0)
    assert len(scene.packer.blobs) == 1
    scene.builder.heard([StoredPack(b"p" * 32, 1, encode_entry(BlobType.TREE, tree_id, 40, 1))])
    scene.builder.keep_sealed(tree_id, b"sealed by a worker", 9)
    assert len(scene.packer.blobs) == 2


def test_after_a_crash_trees_without_a_durable_pack_are_packed_again(scene: Scene) -> None:
    number = scene.open(b"d")
    scene.add(number, files(b"a"))
    scene.ledger.assemblies.settle(number)
    scene.build()
    scene.builder.keep_sealed(identity("w"), b"sealed", 9)
    before = scene.packer.blobs
    scene.ledger.job.commit()
    scene.crash()
    scene.builder.load()
    assert sorted(blob.id for blob in scene.packer.blobs) == sorted(blob.id for blob in before)
    scene.builder.keep_sealed(identity("w"), b"sealed", 9)
    assert len(scene.packer.blobs) == 2


def test_a_crash_between_ready_and_built_builds_it(scene: Scene) -> None:
    number = scene.open(b"d")
    scene.add(number, files(b"a"))
    scene.ledger.assemblies.settle(number)
    scene.ledger.job.commit()
    scene.crash()
    scene.build()
    assert scene.subtree(b"d") == blob_id(tree_of(files(b"a")))


@pytest.mark.parametrize("committed", [False, True])
def test_a_large_tree_is_streamed_to_the_same_id(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    """Overlapping runs, later ones above earlier ones, some on disk and some not."""
    names = [b"%03d" % number for number in range(300)]
    parts = [
        files(*names[:120]),
        files(*names[200:]),
        files(*names[100:220], text="later"),
        files(*names[5:300:50], text="latest"),
    ]
    expected: dict[bytes, bytes] = {}

    def fill(name: bytes) -> None:
        number = scene.open(name)
        for at, part in enumerate(parts):
            scene.add(number, part)
            expected.update(part)
            if committed and at == 2:
                scene.ledger.job.commit()
        scene.ledger.assemblies.settle(number)

    fill(b"in memory")
    scene.build()
    assert scene.large == []
    scene.packer.blobs.clear()
    monkeypatch.setattr(trees_module, "LARGE_TREE_BYTES", 1000)
    fill(b"streamed")
    scene.build()
    tree = tree_of(expected)
    assert scene.large == [tree]
    assert scene.subtree(b"streamed") == scene.subtree(b"in memory") == blob_id(tree)
    assert [pack.blobs[0].id for pack in scene.recorded] == [blob_id(tree)]
    assert scene.packer.blobs == []
    scene.there[blob_id(tree)] = tree
    fill(b"again")
    scene.build()
    assert len(scene.large) == 1
    assert scene.subtree(b"again") == blob_id(tree)
    scene.ledger.job.commit()
    assert scene.ledger.job.read("SELECT DISTINCT directory_id FROM parts") == [(1,)]


def test_building_stops_after_its_time(scene: Scene) -> None:
    for name in (b"a", b"b"):
        scene.ledger.assemblies.settle(scene.open(name))
    assert scene.builder.build_ready(seconds=-1.0)
    assert not scene.builder.build_ready(seconds=-1.0)
