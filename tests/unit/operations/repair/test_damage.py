"""Each kind of damage: what `repair` makes of it, what is lost and named; then both checks find nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace

from argosy.errors import ArgosyError, Damaged
from argosy.operations.check.options import CheckObserver, CheckOptions, Part, Problem
from argosy.operations.check.run import run_check
from argosy.operations.check.subset import READ_ALL
from argosy.operations.repair.index import IndexRepairOptions, repair_index_in
from argosy.operations.repair.options import Loss, RepairObserver
from argosy.operations.repair.packs import PacksRepairOptions, repair_packs_in
from argosy.operations.repair.snapshots import SnapshotsRepairOptions, repair_snapshots_in
from argosy.operations.session import Access, open_session
from argosy.operations.snapshot_replacing import SnapshotListener
from argosy.operations.tree_walk import walk_tree
from argosy.repository.layout import FileKind
from argosy.repository.repository import open_repository
from argosy.repository.snapshots import load_snapshots
from argosy.restic_format.blob import PackedBlob
from argosy.restic_format.node import finish_file, finish_other
from argosy.restic_format.tree import encode_tree
from argosy.storage.open import open_storage
from tests.support import damage
from tests.support.backups import Scene
from tests.support.damage import Damage, Ground, copy_repository
from tests.support.restic import PASSWORD, require_restic
from tests.support.sound import make_sound


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A repository of several packs of each kind and two snapshots."""
    return make_sound(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def access(sound: Scene, tmp_path: Path) -> Access:
    """A copy of it, to be damaged."""
    directory = copy_repository(sound.repository, tmp_path / "repository")
    return Access(str(directory), PASSWORD.encode, tmp_path / "cache")


@dataclass
class Told:
    """What repairs told."""

    problems: list[str] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)

    def observer(self) -> RepairObserver:
        def problem(error: ArgosyError) -> None:
            self.problems.append(f"{error.message}. {error.hint}")

        return RepairObserver(problem=problem, lost=self.losses.append)


def problems_of(access: Access) -> list[Problem]:
    found: list[Problem] = []
    unlocked = replace(access, no_lock=True)
    run_check(unlocked, CheckOptions(READ_ALL, workers=1), CheckObserver(problem=found.append))
    return found


def mend(access: Access, home: Path) -> Told:
    """What docs/repair.md says to do: the index, then the packs that a check names, then the snapshots."""
    told = Told()
    # In one session, since a lock must stand alone for 200 ms each time.
    with open_session(access, exclusive=True) as session:
        repair_index_in(session, IndexRepairOptions(), told.observer())
        found = problems_of(access)
        if any(problem.part is Part.INDEX for problem in found):
            repair_index_in(session, IndexRepairOptions(read_all_packs=True), told.observer())
        if broken := named(found, Part.PACK):
            repair_packs_in(session, PacksRepairOptions(broken, home), told.observer())
        told.losses.clear()
        unreadable = [identity.hex() for identity in named(found, Part.SNAPSHOT)]
        for names in ([], unreadable) if unreadable else ([],):
            options = SnapshotsRepairOptions(names, forget=True)
            repair_snapshots_in(session, options, told.observer(), SnapshotListener())
    return told


def named(problems: list[Problem], part: Part) -> list[bytes]:
    return sorted({problem.identity for problem in problems if problem.part is part and problem.identity})


@dataclass(frozen=True)
class Mended:
    """``row``: how docs/repair.md calls the damage. ``lost``: paths that lose something, by all that `repair` does.

    ``of_pack``: what of the damaged pack is lost; which files that are depends on the pack.
    """

    row: str
    lost: tuple[str, ...] = ()
    of_pack: Callable[[Ground], Sequence[PackedBlob]] | None = None

    def expected(self, access: Access, ground: Ground) -> set[str]:
        """The paths, before the damage is done."""
        if self.of_pack is None:
            return set(self.lost)
        return set(holders(access, {blob.id for blob in self.of_pack(ground)}))


def holders(access: Access, lost: set[bytes]) -> Iterator[str]:
    """Files that hold one of these blobs; directories whose tree is one, but for those below such a directory."""
    with open_session(access, lock=False) as session:
        reader = session.blob_reader(session.open_lookup())
        for stored in load_snapshots(session.repository):
            if stored.snapshot.tree in lost:
                yield "the snapshot"
                continue
            for visit in walk_tree(reader, stored.snapshot.tree, enter=lambda _, node: node.subtree_id() not in lost):
                if not visit.left and lost & {*visit.node.content_ids(), visit.node.subtree_id()}:
                    yield visit.path.decode()


def _data(ground: Ground) -> Sequence[PackedBlob]:
    return ground.data_packs[0].blobs


def _first_blob(ground: Ground) -> Sequence[PackedBlob]:
    return _data(ground)[:1]


def _trees(ground: Ground) -> Sequence[PackedBlob]:
    return ground.tree_packs[0].blobs


_INDEX = Mended("an index: changed, cut short")
_HEADER = Mended("a pack: its header, or the length of that, changed; a byte more or less at its end")
_SNAPSHOT = Mended("a snapshot's file: changed, cut short", ("the snapshot",))
_ROOT = Mended("the tree of a snapshot's root: lost, or no tree", ("the snapshot",))
_TREES = Mended("the tree of a directory: lost, no tree, or not named", of_pack=_trees)
_NAMES = "a tree out of order, with a name twice, or a name that is none"
MENDED = {
    damage.FlippedIndex: _INDEX,
    damage.TruncatedIndex: _INDEX,
    damage.FlippedSnapshot: _SNAPSHOT,
    damage.TruncatedSnapshot: _SNAPSHOT,
    damage.FlippedDataBlob: Mended("a pack: a blob of a file changed", of_pack=_first_blob),
    damage.FlippedPackHeader: _HEADER,
    damage.FlippedPackLength: _HEADER,
    damage.TruncatedPack: _HEADER,
    damage.GrownPack: _HEADER,
    damage.TruncatedTreePack: _HEADER,
    damage.EmptyPack: Mended("a pack: gone, or empty", of_pack=_data),
    damage.MissingPack: Mended("a pack: gone, or empty", of_pack=_data),
    damage.FlippedTree: _TREES,
    damage.MissingTreePack: _TREES,
    damage.CutTree: _ROOT,
    damage.SwappedPacks: Mended("two packs: each has the other's name"),
    damage.MissingIndex: Mended("an index: gone"),
    damage.WrongUncompressedLength: Mended("an index: sound, but wrong about a blob"),
    damage.OverlappingIndex: Mended("an index: sound, but impossible, or two that differ on a pack"),
    damage.DifferingIndexes: Mended("an index: sound, but impossible, or two that differ on a pack"),
    damage.UnsortedTree: Mended(_NAMES),
    damage.DoubledName: Mended(_NAMES, ("/a",)),
    damage.NameThatClimbs: Mended(_NAMES, ("/",)),
    damage.ContentNull: Mended("a file without a list of contents", ("/null file",)),
    damage.DirectoryWithoutTree: Mended("the tree of a directory: lost, no tree, or not named", ("/bare",)),
    damage.MissingSubtree: Mended("the tree of a directory: lost, no tree, or not named", ("/gone",)),
    damage.MissingBlob: Mended("a blob of a file: in no index", ("/hollow",)),
    damage.NullBlobId: Mended("a blob of a file: in no index", ("/empty id",)),
    damage.UnknownNodeType: Mended("an entry of an unknown type", ("/odd",)),
    damage.ImpossibleTime: Mended("a time that is none", ("/late",)),
    damage.WrongBlobHash: Mended("a blob that was written wrongly (faulty memory)", ("/altered",)),
}
NOT_MENDED = {
    damage.FlippedConfig: "the config",
    damage.TruncatedConfig: "the config",
    damage.FlippedKey: "a key",
    damage.TruncatedKey: "a key",
    damage.FlippedLock: "a lock",
    damage.TruncatedLock: "a lock",
}


def test_each_damage_has_its_answer_in_the_document() -> None:
    assert MENDED.keys() | NOT_MENDED.keys() == set(damage.DAMAGES)
    said = (Path(__file__).parents[4] / "docs" / "repair.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip() for line in said.splitlines() if line.startswith("| ")}
    assert {mended.row for mended in MENDED.values()} | set(NOT_MENDED.values()) <= rows


@pytest.mark.parametrize("kind", MENDED, ids=lambda kind: kind.__name__)
def test_what_is_lost_is_named_and_the_rest_is_sound(kind: type[Damage], access: Access, tmp_path: Path) -> None:
    repository = open_repository(open_storage(access.location), PASSWORD.encode())
    ground = Ground(Path(access.location), repository)
    lost = MENDED[kind].expected(access, ground)
    kind().plant(ground)
    told = mend(access, tmp_path)
    assert {loss.path.decode() or "the snapshot" for loss in told.losses} == lost
    assert all(loss.snapshot and loss.reason for loss in told.losses)
    assert problems_of(access) == []
    require_restic((0, 18, 0)).at(access.location, tmp_path).check()


def test_attributes_and_targets_that_cannot_be_decoded_go(access: Access, tmp_path: Path) -> None:
    ground = Ground(Path(access.location), open_repository(open_storage(access.location), PASSWORD.encode()))
    attributes = b',"extended_attributes":[{"name":"user.a","value":"!"}]'
    file = finish_file(damage.node(b"file") + attributes, [])
    link = finish_other(damage.node(b"link", "symlink") + b',"linktarget":"t","linktarget_raw":"!"')
    (tree_id,) = ground.store([encode_tree([file, link])])
    ground.save_snapshot_of(tree_id)
    assert len(problems_of(access)) == 2
    told = mend(access, tmp_path)
    assert [loss.path for loss in told.losses] == [b"/file", b"/link"]
    assert problems_of(access) == []


def test_a_wrong_index_does_not_change_the_sizes_of_sound_files(access: Access) -> None:
    ground = Ground(Path(access.location), open_repository(open_storage(access.location), PASSWORD.encode()))
    damage.WrongUncompressedLength().plant(ground)
    before = ground.repository.list_ids(FileKind.SNAPSHOT)
    with pytest.raises(Damaged) as raised, open_session(access, exclusive=True) as session:
        repair_snapshots_in(session, SnapshotsRepairOptions(forget=True), Told().observer(), SnapshotListener())
    assert "--read-all-packs" in raised.value.hint
    assert ground.repository.list_ids(FileKind.SNAPSHOT) == before
