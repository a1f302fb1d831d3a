"""A prune and a backup of one repository at the same time: one waits for the other, or is told whose lock it is."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.backups import ROOT, Scene
from tests.support.command import TIMEOUT_SECONDS, Argosy
from tests.support.pruned import copied, restic_at
from tests.support.trees import assert_same_tree

PRUNE = ("prune", "--max-unused", "0", "--pack-size", "4")
RETRY = ("--retry-lock", "5m")

# Many processes: on a loaded machine they take their time.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def scene(unpruned: Scene, tmp_path: Path) -> Scene:
    return copied(unpruned, tmp_path)


@contextmanager
def argosys_backup(scene: Scene) -> Iterator[int]:
    """A backup that waits for its input; gives its pid, and ends well at the end."""
    pipe = scene.home / "pipe"
    os.mkfifo(pipe)
    with Argosy(scene.home).started("backup", "--stdin-from-command", "--", "cat", pipe) as process:
        with pipe.open("wb") as writer:  # opened once cat reads it: by then the lock is held
            writer.write(b"data")
            yield process.pid
        output = b"".join(process.communicate(timeout=TIMEOUT_SECONDS))
        assert process.returncode == 0, output


def restics_backup(scene: Scene) -> AbstractContextManager[int]:
    """The same of restic 0.18."""
    return restic_at(scene).locked()


def assert_whole(unpruned: Scene, scene: Scene, snapshots: int) -> None:
    """restic reads every byte; all that was there restores, and so does what has come."""
    restic = restic_at(scene)
    assert not list((scene.repository / "locks").iterdir())
    restic.check()
    ids = [stored.id.hex() for stored in scene.snapshots()]
    assert len(ids) == snapshots
    kept = [stored.id.hex() for stored in unpruned.snapshots()]
    assert set(kept) < set(ids)
    for name in ids:
        restic.run("restore", name, "--target", scene.home / "restored" / name)
    assert_same_tree(unpruned.home / "source", scene.home / "restored" / kept[-1] / "source")


@pytest.mark.parametrize("backup", [argosys_backup, restics_backup])
def test_a_prune_beside_a_backup_is_told_whose_lock_it_is_or_waits(
    unpruned: Scene, scene: Scene, backup: Callable[[Scene], AbstractContextManager[int]]
) -> None:
    argosy = Argosy(scene.home)
    with ExitStack() as stack:
        with backup(scene) as pid:
            said = argosy.says(*PRUNE, expect=11)
            assert f"PID {pid}" in said
            assert "ago" in said
            waiting = stack.enter_context(argosy.started(*PRUNE, *RETRY))
            assert waiting.stdout is not None
            line = waiting.stdout.readline()
            assert f"PID {pid}".encode() in line
            assert b"waiting for it, 300 seconds at most" in line
        output = b"".join(waiting.communicate(timeout=TIMEOUT_SECONDS))
        assert waiting.returncode == 0, output
        assert b"done" in output
    assert_whole(unpruned, scene, 3)


def test_a_backup_beside_a_prune_is_told_whose_lock_it_is_or_waits(unpruned: Scene, scene: Scene) -> None:
    """The prune is held where its new packs are stored, and in no index yet."""
    argosy, restic = Argosy(scene.home), restic_at(scene)
    command = [sys.executable, "-P", "-m", "tests.support.prune_driver", str(scene.home), "new packs are stored", "1"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    with subprocess.Popen([*command, str(int(signal.SIGSTOP))], env=environment, cwd=ROOT) as prune:
        try:
            assert os.WIFSTOPPED(os.waitpid(prune.pid, os.WUNTRACED)[1])
            backup = ("backup", "source")
            assert f"PID {prune.pid}" in argosy.says(*backup, expect=11)
            assert b"locked exclusively" in restic.run("backup", scene.home / "source", expect=(11,)).stderr
            with argosy.started(*backup, *RETRY) as waiting:
                assert waiting.stdout is not None
                assert f"PID {prune.pid}".encode() in waiting.stdout.readline()
                prune.send_signal(signal.SIGCONT)
                output = b"".join(waiting.communicate(timeout=TIMEOUT_SECONDS))
                assert waiting.returncode == 0, output
            assert prune.wait(TIMEOUT_SECONDS) == 0
        finally:
            prune.kill()
    assert_whole(unpruned, scene, 3)


def run_both(scene: Scene, program: str, offset_seconds: float) -> None:
    """A backup of a directory, and a prune that begins so long after it (or before)."""
    argosy, restic = Argosy(scene.home), restic_at(scene)
    source = scene.home / "source"
    (source / "new").write_bytes(os.urandom(3_000_000))
    backup = argosy.run if program == "argosy" else restic.run

    def back_up() -> None:
        time.sleep(max(0.0, -offset_seconds))
        backup("backup", source, *RETRY)

    def prune() -> None:
        time.sleep(max(0.0, offset_seconds))
        argosy.run(*PRUNE, *RETRY)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(back_up), pool.submit(prune)]:
            done.result()


@pytest.mark.parametrize("program", ["argosy", "restic"])
def test_a_prune_and_a_backup_of_one_moment_are_both_done(unpruned: Scene, scene: Scene, program: str) -> None:
    run_both(scene, program, 0.0)
    assert_whole(unpruned, scene, 3)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("program", ["argosy", "restic"])
def test_a_prune_and_a_backup_are_both_done_whichever_begins_when(
    unpruned: Scene, tmp_path: Path, program: str
) -> None:
    rng = random.Random(program)
    for number in range(20):
        scene = copied(unpruned, tmp_path / str(number))
        run_both(scene, program, rng.uniform(-1.0, 1.0))
        assert_whole(unpruned, scene, 3)
