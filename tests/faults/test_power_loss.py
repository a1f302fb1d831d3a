"""Power loss: what was not synced is gone after the crash, and the next run must not have relied on it."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import make_source
from tests.support.backups import Outcome, Scene, assert_sound, tell
from tests.support.power_loss import PowerLoss, forget_what_is_not_synced
from tests.support.restic import require_restic

SMALL = {"pack_size_bytes": 1 << 15, "batch_files": 20}
MOMENTS = [
    ("the job's row exists", 1),
    ("after a commit", 3),
    ("batch complete, not recorded", 5),
    ("batch complete, not recorded", 30),
    ("before the indexes", 1),
    ("after the indexes", 1),
    ("the snapshot is sealed", 1),
    ("after the snapshot is put", 1),
    ("the history has the job", 1),
]


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory on tmpfs, where inode numbers are not used twice and syncs cost nothing."""
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("there is no writable tmpfs at /dev/shm")
    directory = Path(tempfile.mkdtemp(prefix="argosy-test-", dir="/dev/shm"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_source(tmp_path_factory.mktemp("source") / "source", 800)


@pytest.fixture
def scene(memory: Path) -> Scene:
    return Scene(memory / "scene").init()


def lose_power(scene: Scene, source: Path, crash: tuple[str, int], **spec: object) -> Outcome:
    """A run that dies at a crash point, on a machine that loses its power at that moment."""
    loss = PowerLoss(scene.home.with_name("disk"), scene.home)
    outcome = scene.run(source, crash=crash[0], nth=crash[1], power=str(loss.disk), **SMALL, **spec)
    loss.strike()
    shutil.rmtree(loss.disk)
    return outcome


def expected_tree(scene: Scene, source: Path) -> str:
    return Scene(scene.home.with_name("elsewhere")).init_like(scene).backup(source).tree_id.hex()


@pytest.mark.parametrize("crash", MOMENTS, ids=[f"{name} ({nth})" for name, nth in MOMENTS])
def test_a_run_that_loses_its_power_is_resumed(scene: Scene, source: Path, crash: tuple[str, int]) -> None:
    """The same job goes on, nothing that it relied on is missing, and the snapshot is sound."""
    assert lose_power(scene, source, crash).killed
    jobs = [path.stem for path in scene.job_files()]
    outcome = scene.run(source, **SMALL)
    assert outcome.tree_id == expected_tree(scene, source)
    if "snapshot is put" not in crash[0] and "history" not in crash[0]:
        assert jobs == [outcome["job"]]
        assert outcome["resumed"]
        assert not any("from its beginning" in message for message in outcome["messages"])
        assert scene.blobs_twice() == 0
    assert_sound(scene, require_restic())


def test_an_incremental_run_that_loses_its_power_is_resumed(scene: Scene, source: Path, tmp_path: Path) -> None:
    """Upon a parent, with a lookup that is filled, and twice in a row."""
    own = tmp_path / "source"
    shutil.copytree(source, own, symlinks=True)
    scene.run(own, **SMALL)
    for number, path in enumerate(sorted(path for path in own.rglob("f*") if path.is_file())):
        if number % 3 == 0:
            path.write_bytes(b"changed %d" % number)
    for crash in (("batch complete, not recorded", 4), ("after a commit", 2)):
        assert lose_power(scene, own, crash).killed
    outcome = scene.run(own, **SMALL)
    assert outcome["resumed"]
    assert outcome.tree_id == expected_tree(scene, own)
    assert_sound(scene, require_restic())


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_forty_power_losses_at_random_batches(memory: Path, tmp_path: Path) -> None:
    """The long form."""
    source, rng = make_source(tmp_path / "source", 5000), random.Random(40)
    whole = Scene(memory / "whole").init()
    first = whole.run(source, **SMALL)
    again: list[int] = []
    for number in range(60):
        scene = Scene(memory / f"{number}" / "scene").init_like(whole)
        name = rng.choice(["batch complete, not recorded", "before a commit", "after a commit"])
        # A disk that forgets is slower and commits more often, so that nearly every run comes to this moment.
        if not lose_power(scene, source, (name, rng.randint(1, first["passed"][name]))).killed:
            continue
        before = set(scene.pack_files())
        resumed = scene.run(source, **SMALL)
        assert resumed.tree_id == first.tree_id
        assert resumed["resumed"]
        assert scene.blobs_twice() == 0
        wasted = before - scene.indexed_packs().keys()
        again.append(sum(size for name, size in scene.pack_files().items() if name in wasted))
        assert_sound(scene, require_restic())
        shutil.rmtree(scene.home.parent)
        if len(again) == 40:
            break
    assert len(again) == 40
    tell(f"{len(again)} power losses; bytes uploaded again: mean {sum(again) / len(again):.0f}, most {max(again)}")


def test_a_store_that_does_not_sync_is_found_out(scene: Scene, source: Path) -> None:
    """That the tests above can fail: without the store's syncs the same crash costs the snapshot its data."""
    assert lose_power(scene, source, ("after the snapshot is put", 1), faults={"unsynced": True}).killed
    assert not scene.snapshots()
    assert not scene.pack_files()


class TestTheDisk:
    """What the model of a disk keeps and forgets."""

    @pytest.fixture
    def home(self, memory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A directory with one old file, whose syncs are kept from now on."""
        home = memory / "home"
        home.mkdir()
        (home / "old").write_bytes(b"old")
        self.loss = PowerLoss(memory / "disk", home)
        monkeypatch.setattr(os, "fsync", os.fsync)
        forget_what_is_not_synced(memory / "disk", home, sqlite=False)
        return home

    def test_what_is_synced_with_its_directory_survives(self, home: Path) -> None:
        write(home / "new", b"new", sync=True)
        sync_directory(home)
        self.loss.strike()
        assert {path.name: path.read_bytes() for path in home.iterdir()} == {"old": b"old", "new": b"new"}

    def test_bytes_that_are_not_synced_are_gone(self, home: Path) -> None:
        write(home / "new", b"new", sync=False)
        write(home / "old", b"changed", sync=False)
        sync_directory(home)
        self.loss.strike()
        assert {path.name: path.read_bytes() for path in home.iterdir()} == {"old": b"old", "new": b""}

    def test_names_that_are_not_synced_are_gone(self, home: Path) -> None:
        write(home / "new", b"new", sync=True)
        (home / "old").rename(home / "renamed")
        self.loss.strike()
        assert {path.name: path.read_bytes() for path in home.iterdir()} == {"old": b"old"}

    def test_a_removed_file_is_back_unless_its_directory_was_synced(self, home: Path) -> None:
        (home / "old").unlink()
        self.loss.strike()
        assert (home / "old").read_bytes() == b"old"


def write(path: Path, content: bytes, *, sync: bool) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        if sync:
            os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
