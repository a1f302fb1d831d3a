"""SIGKILL of a repair at each named crash point: nothing more is lost, and the same command ends what it began."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from argosy.repository.layout import FileKind
from tests.support.backups import ROOT, Scene
from tests.support.damage import FlippedPackHeader, Ground, MissingIndex
from tests.support.pruned import copied
from tests.support.restic import ResticRepository, require_restic
from tests.support.trees import assert_same_tree, make_tree

CRASH_POINTS = {
    "index": ("new indexes are stored", "an index is deleted"),
    "packs": ("new packs are stored", "new indexes are stored", "old indexes are deleted", "a pack is deleted"),
    "snapshots": ("new trees are listed", "a new snapshot is stored"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Two snapshots, each with an index of its own."""
    scene = Scene(tmp_path_factory.mktemp("made")).init()
    source = scene.home / "source"
    make_tree(source, {f"d{number}": {"f": b"%d" % number * 2000, "g": b"g%d" % number} for number in range(5)})
    scene.backup(source, workers=1)
    (source / "new").write_bytes(b"new" * 1000)
    scene.backup(source, workers=1)
    return scene


def repair(scene: Scene, what: str, crash_point: str, *pack_ids: str) -> int:
    """The exit code of a process that repairs, and dies if it comes to the crash point."""
    command = [sys.executable, "-P", "-m", "tests.support.rescue_driver", str(scene.home), what, crash_point, *pack_ids]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    return subprocess.run(command, env=environment, check=False, cwd=ROOT, timeout=100).returncode


def killed_and_repeated(scene: Scene, what: str, crash_point: str, *pack_ids: str) -> ResticRepository:
    """Kill a repair, look that nothing of its lock stays in the way, and let another one end it."""
    restic = require_restic((0, 18, 0)).at(scene.repository, scene.home)
    assert repair(scene, what, crash_point, *pack_ids) == -signal.SIGKILL
    restic.run("unlock")
    left = [pack_id for pack_id in pack_ids if pack_id in scene.pack_files()]
    if left or not pack_ids:
        assert repair(scene, what, "none", *left) == 0
    restic.check()
    return restic


def assert_all_is_there(made: Scene, scene: Scene, restic: ResticRepository) -> None:
    assert [stored.id for stored in scene.snapshots()] == [stored.id for stored in made.snapshots()]
    restic.run("restore", "latest", "--target", scene.home / "restored")
    assert_same_tree(scene.home / "source", scene.home / "restored" / "source")


def test_every_crash_point_of_the_code_is_tested() -> None:
    named = set()
    operations = ROOT / "src/argosy/operations"
    for module in (*(operations / "repair").glob("*.py"), operations / "snapshot_replacing.py"):
        named |= set(re.findall(r'crash_point\("([^"]+)"\)', module.read_text(encoding="utf-8")))
    assert named == {name for names in CRASH_POINTS.values() for name in names}


@pytest.mark.parametrize("crash_point", CRASH_POINTS["index"])
def test_a_killed_repair_of_the_index_loses_nothing(made: Scene, tmp_path: Path, crash_point: str) -> None:
    scene = copied(made, tmp_path)
    ground = Ground(scene.repository, scene.open())
    MissingIndex().plant(ground)
    path = ground.path(FileKind.INDEX, ground.index_ids[1])
    path.chmod(0o600)
    path.write_bytes(b"no index")
    assert_all_is_there(made, scene, killed_and_repeated(scene, "index", crash_point))


@pytest.mark.parametrize("crash_point", CRASH_POINTS["packs"])
def test_a_killed_repair_of_packs_loses_nothing(made: Scene, tmp_path: Path, crash_point: str) -> None:
    scene = copied(made, tmp_path)
    (words,) = FlippedPackHeader().plant(Ground(scene.repository, scene.open())).words
    assert_all_is_there(made, scene, killed_and_repeated(scene, "packs", crash_point, words.split()[1]))


@pytest.mark.parametrize("crash_point", CRASH_POINTS["snapshots"])
def test_a_killed_repair_of_snapshots_leaves_the_old_one_or_both(made: Scene, tmp_path: Path, crash_point: str) -> None:
    scene = copied(made, tmp_path)
    ground = Ground(scene.repository, scene.open())
    # Not its folder: once in a hundred runs that holds a pack of trees, too.
    ground.path(FileKind.PACK, ground.data_packs[0].id).unlink()
    assert repair(scene, "index", "none") == 0
    before = {stored.id for stored in scene.snapshots()}
    killed_and_repeated(scene, "snapshots", crash_point)
    after = scene.snapshots()
    # The mended one is there twice if the kill came between it and the end of the old one.
    assert len({stored.snapshot.tree for stored in after}) == len(before) <= len(after) <= len(before) + 1
    assert all(stored.snapshot.original in before for stored in after if stored.id not in before)
