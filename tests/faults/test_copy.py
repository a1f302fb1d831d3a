"""SIGKILL of a copy at each named crash point: the target is whole, and the same command copies the rest."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.backups import ROOT, Scene
from tests.support.restic import require_restic
from tests.support.sound import make_sound

CRASH_POINTS = ("blobs are copied", "blobs are listed", "a snapshot is copied")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_sound(tmp_path_factory.mktemp("source"))


def test_every_crash_point_of_the_code_is_tested() -> None:
    text = (ROOT / "src/argosy/operations/copy/run.py").read_text(encoding="utf-8")
    assert set(re.findall(r'crash_point\("([^"]+)"\)', text)) == set(CRASH_POINTS)


@pytest.mark.parametrize("crash_point", CRASH_POINTS)
def test_a_killed_copy_leaves_a_whole_target(source: Scene, tmp_path: Path, crash_point: str) -> None:
    target = Scene(tmp_path).init()
    shutil.copytree(source.repository, tmp_path / "source-home" / "repository")
    restic = target.restic(require_restic((0, 18, 0)))
    for point, code in ((crash_point, -signal.SIGKILL), ("none", 0)):
        command = [sys.executable, "-P", "-m", "tests.support.rescue_driver", str(tmp_path), "copy", point]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
        assert subprocess.run(command, env=environment, check=False, cwd=ROOT, timeout=100).returncode == code
        restic.run("unlock")
        restic.check()
    originals = {stored.snapshot.original for stored in target.snapshots()}
    assert originals == {stored.id for stored in source.snapshots()}
    assert len(target.snapshots()) == 2
    assert target.blobs_twice() == 0
