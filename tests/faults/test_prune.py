"""SIGKILL of a prune at each named crash point: the repository is whole, and the next prune ends what it began."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from argosy.operations.prune.options import PruneObserver, PruneOptions
from argosy.operations.prune.run import run_prune
from tests.support.backups import ROOT, Scene
from tests.support.pruned import ALL_UNUSED, PACK_BYTES, copied, make_unpruned
from tests.support.restic import ResticRepository, require_restic
from tests.support.trees import assert_same_tree

CRASH_POINTS = {
    "packs in no index are deleted": (1,),
    "a new pack is stored": (1, 3),
    "new packs are stored": (1,),
    "new indexes are stored": (1,),
    "old indexes are deleted": (1,),
    "a file is deleted": (1, 2, 3, 5),
    "old packs are deleted": (1,),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The repository before the prune."""
    return make_unpruned(tmp_path_factory.mktemp("made"))


def prune_and_die(scene: Scene, name: str, nth: int) -> int:
    command = [sys.executable, "-P", "-m", "tests.support.prune_driver", str(scene.home), name, str(nth)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    return subprocess.run(command, env=environment, check=False, cwd=ROOT, timeout=100).returncode


def restic_at(scene: Scene) -> ResticRepository:
    return require_restic((0, 18, 0)).at(scene.repository, scene.home)


def test_every_crash_point_of_the_code_is_tested() -> None:
    named = set()
    for module in (ROOT / "src/argosy/operations/prune").glob("*.py"):
        named |= set(re.findall(r'crash_point\("([^"]+)"\)', module.read_text(encoding="utf-8")))
    assert named == set(CRASH_POINTS)


@pytest.mark.parametrize(("name", "nth"), [(name, nth) for name, moments in CRASH_POINTS.items() for nth in moments])
def test_a_prune_killed_at_a_crash_point_loses_nothing(made: Scene, tmp_path: Path, name: str, nth: int) -> None:
    scene = copied(made, tmp_path)
    kept = [stored.id for stored in scene.snapshots()]
    assert prune_and_die(scene, name, nth) == -signal.SIGKILL
    restic = restic_at(scene)
    restic.run("unlock")
    restic.check()
    assert [stored.id for stored in scene.snapshots()] == kept

    options = PruneOptions(ALL_UNUSED, pack_size_bytes=PACK_BYTES)
    run_prune(scene.access(), options, PruneObserver())
    restic.check()
    assert run_prune(scene.access(), options, PruneObserver()).is_empty
    said = restic.run("prune", "--dry-run", "--max-unused", "0").stdout.decode()
    assert re.search(r"to delete: +0 blobs", said), said
    assert re.search(r"this removes: +0 blobs", said), said
    assert re.search(r"unused size after prune: 0 B", said), said
    assert scene.blobs_twice() == 0
    restic.run("restore", "latest", "--target", tmp_path / "restored")
    assert_same_tree(scene.home / "source", tmp_path / "restored" / "source")
