"""SIGKILL of a prune at each named crash point: the repository is whole, and the next prune ends what it began."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from argosy.engine.here import make_engine_here
from argosy.engine.interface import MakeEngine
from argosy.engine.local import make_local_engine
from argosy.operations.prune.options import PruneObserver, PruneOptions
from argosy.operations.prune.run import run_prune
from tests.faults.conftest import make_source
from tests.support.backups import ROOT, Scene, assert_sound
from tests.support.command import TIMEOUT_SECONDS, Argosy
from tests.support.pruned import ALL_UNUSED, PACK_BYTES, assert_nothing_lost, copied, make_unpruned, restic_at
from tests.support.restic import require_restic

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


def prune_and_die(scene: Scene, name: str, nth: int, *, after_seconds: float = 100.0) -> int:
    """The exit code. After so many seconds it is killed, if it has not died by then."""
    command = [sys.executable, "-P", "-m", "tests.support.prune_driver", str(scene.home), name, str(nth)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    try:
        return subprocess.run(command, env=environment, check=False, cwd=ROOT, timeout=after_seconds).returncode
    except subprocess.TimeoutExpired:  # run() has killed it
        return -signal.SIGKILL


def test_every_crash_point_of_the_code_is_tested() -> None:
    named = set()
    for module in (ROOT / "src/argosy/operations/prune").glob("*.py"):
        named |= set(re.findall(r'crash_point\("([^"]+)"\)', module.read_text(encoding="utf-8")))
    assert named == set(CRASH_POINTS)


@pytest.mark.parametrize(("name", "nth"), [(name, nth) for name, moments in CRASH_POINTS.items() for nth in moments])
def test_a_prune_killed_at_a_crash_point_loses_nothing(made: Scene, tmp_path: Path, name: str, nth: int) -> None:
    scene = copied(made, tmp_path)
    assert prune_and_die(scene, name, nth) == -signal.SIGKILL
    assert_nothing_lost(made, scene)


@pytest.mark.parametrize("make_engine", [make_engine_here, make_local_engine])
def test_a_prune_on_workers_keeps_all_that_is_needed(make_engine: MakeEngine, made: Scene, tmp_path: Path) -> None:
    scene = copied(made, tmp_path)
    options = PruneOptions(ALL_UNUSED, pack_size_bytes=PACK_BYTES, workers=2, alone_bytes=0)
    assert run_prune(scene.access(), options, PruneObserver(), make_engine).repack
    assert_nothing_lost(made, scene)


def test_a_worker_that_is_killed_costs_nothing_but_its_work(made: Scene, tmp_path: Path) -> None:
    scene = copied(made, tmp_path)
    killed: list[int] = []

    def kill_one_worker() -> bool:
        """The master asks this each time round, also before the worker is there."""
        for pid in Path("/proc/self/task", str(threading.get_native_id()), "children").read_text().split():
            if not killed:
                os.kill(int(pid), signal.SIGKILL)
                killed.append(int(pid))
        return False

    options = PruneOptions(ALL_UNUSED, pack_size_bytes=PACK_BYTES, workers=1, alone_bytes=0)
    run_prune(scene.access(), options, PruneObserver(stop_requested=kill_one_worker), make_local_engine)
    assert killed
    assert_nothing_lost(made, scene)


def prune_and_die_beside_a_backup(scene: Scene, name: str, nth: int, **moment: float) -> int:
    """The same while a backup wants the repository, too, of what the prune takes for unused. It gets it in the end.

    A dead prune's lock is in its way until somebody removes it, as the message says.
    """
    with Argosy(scene.home).started("backup", "gone", "--retry-lock", "10m") as backup:
        code = prune_and_die(scene, name, nth, **moment)
        if code:
            restic_at(scene).run("unlock")
        output = b"".join(backup.communicate(timeout=TIMEOUT_SECONDS))
        assert backup.returncode == 0, output
    return code


@pytest.mark.long
@pytest.mark.parametrize(("name", "nth"), [(name, nth) for name, moments in CRASH_POINTS.items() for nth in moments])
def test_a_prune_killed_at_a_crash_point_beside_a_backup_loses_nothing(
    made: Scene, tmp_path: Path, name: str, nth: int
) -> None:
    scene = copied(made, tmp_path)
    assert prune_and_die_beside_a_backup(scene, name, nth) == -signal.SIGKILL
    assert_nothing_lost(made, scene, more=1)


@pytest.fixture(scope="module")
def run_seconds(made: Scene, tmp_path_factory: pytest.TempPathFactory) -> float:
    """How long a prune takes here that nothing kills. An interpreter that only starts takes a good half of it."""
    whole = copied(made, tmp_path_factory.mktemp("whole"))
    began = time.monotonic()
    assert prune_and_die(whole, "at none of them", 1) == 0
    return time.monotonic() - began


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", range(50))
@pytest.mark.parametrize(("die", "more"), [(prune_and_die, 0), (prune_and_die_beside_a_backup, 1)])
def test_a_prune_killed_at_a_random_moment_loses_nothing(
    made: Scene, run_seconds: float, tmp_path: Path, die: Callable[..., int], more: int, number: int
) -> None:
    """Alone, and beside a backup. One that came to its end is told to die earlier."""
    rng = random.Random(number)
    moment = run_seconds * rng.uniform(0.3, 1.0)
    for attempt in count():
        scene = copied(made, tmp_path / str(attempt))
        code = die(scene, "at none of them", 1, after_seconds=moment)
        assert_nothing_lost(made, scene, more)
        if code == -signal.SIGKILL:
            return
        assert code == 0
        moment *= 0.8


def test_a_backup_that_was_interrupted_before_the_prune_stores_again_what_that_removed(tmp_path: Path) -> None:
    """Its packs are in no snapshot, and the prune may not wait for it."""
    scene = Scene(tmp_path / "scene").init()
    source = make_source(tmp_path / "source", 300)
    assert scene.run(source, crash="before the indexes", pack_size_bytes=PACK_BYTES).killed
    assert scene.pack_files()
    restic_at(scene).run("unlock")
    plan = run_prune(scene.access(), PruneOptions(ALL_UNUSED), PruneObserver())
    assert plan.unindexed
    assert not scene.pack_files()
    outcome = scene.run(source, pack_size_bytes=PACK_BYTES)
    assert outcome.returncode == 0, outcome
    assert_sound(scene, require_restic())
