"""A directory whose tree has 90 MB: no command holds it as a whole, whether it reads it or makes it anew.

One that did would need more than those for it alone, beside what every command takes.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from argosy.restic_format.blob import BlobType
from argosy.restic_format.node import encode_metadata, finish_file
from argosy.restic_format.tree import PREFIX, SEPARATOR, SUFFIX
from benchmarks.process import run_measured
from tests.support.backups import Scene
from tests.support.command import Argosy
from tests.support.damage import Ground
from tests.support.restic import PASSWORD

NODES = 285_000
MOST_BYTES = 85_000_000
CONTENT = b"what each of the files holds"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scene, bytes]:
    """A repository with one snapshot, which is that directory, and its tree's id."""
    scene = Scene(tmp_path_factory.mktemp("huge")).init()
    ground = Ground(scene.repository, scene.open())
    (blob,) = ground.store([CONTENT], BlobType.DATA)
    document = SEPARATOR.join(finish_file(_metadata(number), [blob]) for number in range(NODES)).join((PREFIX, SUFFIX))
    assert len(document) > MOST_BYTES
    (tree_id,) = ground.store([document])
    ground.save_snapshot_of(tree_id)
    return scene, tree_id


def _metadata(number: int) -> bytes:
    return encode_metadata(
        b"file %08d" % number, "file", 0o644, number, number, number, 0, 0, "", "", number, 1, len(CONTENT), 1
    )


def peak_bytes(home: Path, *arguments: str, native: str = "") -> int:
    """The most memory that a command needs that ends well."""
    variables = {**Argosy(home).variables(), "ARGOSY_FROM_PASSWORD": PASSWORD, "ARGOSY_NATIVE": native}
    command = [sys.executable, "-P", "-m", "argosy", *arguments]
    return run_measured(command, variables, home, sample_memory=True).peak_bytes


def of_repository(scene: Scene) -> tuple[str, str]:
    return "--repo", str(scene.repository)


@pytest.mark.parametrize("native", ["", "off"])
@pytest.mark.parametrize("verb", ["check", "prune"])
def test_it_is_looked_at_in_little_memory(made: tuple[Scene, bytes], tmp_path: Path, verb: str, native: str) -> None:
    assert peak_bytes(tmp_path, verb, *of_repository(made[0]), native=native) < MOST_BYTES


def test_a_file_is_taken_out_of_it_in_little_memory(made: tuple[Scene, bytes], tmp_path: Path) -> None:
    scene, tree_id = made
    left_out = ("--exclude", "file 00000007")
    assert peak_bytes(tmp_path, "rewrite", *left_out, *of_repository(scene)) < MOST_BYTES
    new = {stored.snapshot.tree for stored in scene.snapshots()} - {tree_id}
    document = SEPARATOR.join(
        finish_file(_metadata(number), [hashlib.sha256(CONTENT).digest()]) for number in range(NODES) if number != 7
    ).join((PREFIX, SUFFIX))
    assert new == {hashlib.sha256(document).digest()}
    assert peak_bytes(tmp_path, "check", *of_repository(scene)) < MOST_BYTES


def test_it_is_repaired_in_little_memory(made: tuple[Scene, bytes], tmp_path: Path) -> None:
    assert peak_bytes(tmp_path, "repair", "snapshots", "--dry-run", *of_repository(made[0])) < MOST_BYTES


def test_it_is_copied_in_little_memory(made: tuple[Scene, bytes], tmp_path: Path) -> None:
    scene, tree_id = made
    target = Scene(tmp_path).init()
    assert peak_bytes(tmp_path, "copy", "--from-repo", str(scene.repository), *of_repository(target)) < MOST_BYTES
    assert tree_id in {stored.snapshot.tree for stored in target.snapshots()}
    assert peak_bytes(tmp_path, "check", *of_repository(target)) < MOST_BYTES
