"""Damage, and a target that refuses: what cannot be restored is named, the rest is there, nothing poses as sound."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.engine.interface import TaskTaken
from argosy.errors import RestoreError, SnapshotMissing
from argosy.operations.restore import coordinator, tasks
from argosy.repository.snapshots import SnapshotFilter
from argosy.restic_format.blob import blob_id
from argosy.restorer.cuts import Cuts
from argosy.restorer.overwrite import Overwrite
from tests.e2e.engines import Why
from tests.e2e.restore_scene import (
    Forge,
    damage_blob,
    directory_node,
    file_node,
    hide_data,
    restore,
    restore_soundly,
    run_command,
)
from tests.support.backups import HOST, Scene
from tests.support.trees import File, HardLink, assert_same_tree, make_tree, require_root, snapshot_tree

pytestmark = pytest.mark.always_on_both

BEGINNING, MIDDLE, END = (os.urandom(200_000) for _ in range(3))


@pytest.fixture
def broken(scene: Scene) -> tuple[Scene, str]:
    """A snapshot in which one blob is damaged: a small file, a part of a file of three blobs, and names of it."""
    forge = Forge(scene)
    blobs = [forge.blob(part) for part in (BEGINNING, MIDDLE, END)]
    whole = {"links": 2, "inode": 7, "device_id": 7}
    inside = forge.tree(forge.file(b"inside", b"good too"))
    root = forge.tree(
        forge.file(b"bad", MIDDLE),
        file_node(b"bad of three", blobs, 600_000),
        file_node(b"bad one", blobs, 600_000, **whole),
        file_node(b"bad two", blobs, 600_000, **whole),
        directory_node(b"dir", inside),
        forge.file(b"good", b"good"),
        file_node(b"good of two", [blobs[0], blobs[2]], 400_000),
    )
    snapshot = forge.snapshot(root)
    damage_blob(scene, blob_id(MIDDLE))
    return scene, snapshot


@pytest.mark.parametrize("cuts", [Cuts(), Cuts(large_bytes=300_000, segment_bytes=1)], ids=["whole", "segments"])
@pytest.mark.parametrize("way", list(Overwrite))
def test_damaged_files_are_named_and_not_there(
    broken: tuple[Scene, str], tmp_path: Path, way: Overwrite, cuts: Cuts
) -> None:
    """Also further names of them. The rest is restored, to its directories' times."""
    scene, snapshot = broken
    result, heard = restore(scene, tmp_path / "target", snapshot=snapshot, overwrite=way, cuts=cuts, verify=True)
    assert heard.named == [b"/bad", b"/bad of three", b"/bad one", b"/bad two"]
    assert all(blob_id(MIDDLE).hex() in reason for _, reason in heard.errors)
    assert (result.exit_code, result.errors, result.verified) == (1, 4, 3)
    assert result.entries_restored == result.entries_total - 4
    assert set(snapshot_tree(tmp_path / "target")) == {b"dir", b"dir/inside", b"good", b"good of two"}


@pytest.mark.parametrize("cuts", [Cuts(), Cuts(large_bytes=300_000, segment_bytes=1)], ids=["whole", "segments"])
def test_an_existing_file_is_not_lost_to_damage(broken: tuple[Scene, str], tmp_path: Path, cuts: Cuts) -> None:
    """A small one stays as it was. A larger one, which is written in place, is not dated as if it were restored."""
    scene, snapshot = broken
    old = File(b"old" * 200_000, mtime_ns=1)
    make_tree(tmp_path / "target", {"bad": old, "bad of three": old})
    _, heard = restore(scene, tmp_path / "target", snapshot=snapshot, cuts=cuts)
    assert (tmp_path / "target/bad").read_bytes() == old.content
    assert (tmp_path / "target/bad").stat().st_mtime_ns == 1
    assert (tmp_path / "target/bad of three").stat().st_mtime_ns > 10**18
    reasons = dict(heard.errors)
    assert "it holds old and new content now" in reasons[b"/bad of three"]
    assert "old and new" not in reasons[b"/bad"]


def test_a_second_copy_of_a_damaged_blob_is_used(scene: Scene, tmp_path: Path) -> None:
    make_tree(tmp_path / "source", {"file": MIDDLE})
    scene.backup(tmp_path / "source")
    damage_blob(scene, blob_id(MIDDLE))
    forge = Forge(scene)
    forge.snapshot(forge.tree(forge.file(b"again", MIDDLE)))
    restore_soundly(scene, tmp_path / "target", wanted=SnapshotFilter(hosts=(HOST,)))
    assert_same_tree(tmp_path / "source", tmp_path / "target/source")


def test_a_missing_pack_costs_its_files(scene: Scene, tmp_path: Path) -> None:
    make_tree(tmp_path / "source", {"a": b"a", "empty": b"", "link": HardLink("a"), "z": b"z"})
    scene.backup(tmp_path / "source")
    hide_data(scene)
    _, heard = restore(scene, tmp_path / "target")
    assert heard.named == [b"/source/a", b"/source/link", b"/source/z"]
    assert set(os.listdir(tmp_path / "target/source")) == {"empty"}


def test_a_damaged_directory_costs_what_is_below_it(scene: Scene, tmp_path: Path) -> None:
    forge = Forge(scene)
    snapshot = forge.snapshot(forge.tree(directory_node(b"bad", bytes(32)), forge.file(b"good", b"good")))
    result, heard = restore(scene, tmp_path / "target", snapshot=snapshot)
    assert heard.named == [b"/bad"]
    assert "nothing below it could be restored" in heard.errors[0][1]
    assert result.exit_code == 1
    assert set(snapshot_tree(tmp_path / "target")) == {b"good"}


@pytest.mark.one_engine(Why.THIS_PROCESS)
def test_verify_finds_what_changed_since(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Restored files are read again: one that is other by then, in content, size or kind, is named."""
    make_tree(tmp_path / "source", {name: name.encode() * 100 for name in ("changed", "longer", "gone", "sound")})
    scene.backup(tmp_path / "source")
    place = tmp_path / "target/source"
    verify = coordinator.Coordinator.verify

    def meddle(self: coordinator.Coordinator) -> None:
        (place / "changed").write_bytes(b"CHANGED" * 100)
        (place / "longer").write_bytes(b"longer" * 101)
        (place / "gone").unlink()
        verify(self)

    monkeypatch.setattr(coordinator.Coordinator, "verify", meddle)
    result, heard = restore(scene, tmp_path / "target", verify=True)
    assert heard.named == [b"/source/changed", b"/source/gone", b"/source/longer"]
    assert result.verified == 1


def test_verify_reads_only_what_was_restored(scene: Scene, tmp_path: Path) -> None:
    """What was left as it is, or was right, is no matter of this restore."""
    make_tree(tmp_path / "source", {"kept": b"saved", "new": b"saved"})
    scene.backup(tmp_path / "source")
    make_tree(tmp_path / "target/source", {"kept": b"found"})
    result = restore_soundly(scene, tmp_path / "target", overwrite=Overwrite.NEVER, verify=True)
    assert result.verified == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for 1 MiB, where this user may mount one."""
    require_root()
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount file systems here")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("cuts", [Cuts(), Cuts(large_bytes=100_000, segment_bytes=1)], ids=["whole", "segments"])
@pytest.mark.parametrize("size", [300_000, 3_000_000])
def test_a_full_target_ends_the_restore_with_one_clear_error(
    scene: Scene, tmp_path: Path, small_disk: Path, size: int, cuts: Cuts
) -> None:
    """It says what is full and what to do; with room, the same restore goes on."""
    make_tree(tmp_path / "source", {f"file {number}": os.urandom(size) for number in range(5)})
    scene.backup(tmp_path / "source")
    with pytest.raises(
        RestoreError, match=r"the target .*/disk is full: No space left on device, at /source/file"
    ) as caught:
        restore(scene, small_disk, cuts=cuts)
    assert "run the same command again" in caught.value.hint
    subprocess.run(["mount", "-o", "remount,size=32m", small_disk], check=True)
    restore_soundly(scene, small_disk, cuts=cuts)
    assert_same_tree(tmp_path / "source", small_disk / "source")


def test_a_directory_that_cannot_be_made_is_named_once(scene: Scene, tmp_path: Path, small_disk: Path) -> None:
    """On a disk without inodes left for it: full as well. On one that is read-only: that is what the error says."""
    make_tree(tmp_path / "source", {"dir": {"file": b"x"}})
    scene.backup(tmp_path / "source")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(RestoreError, match="cannot be written: Read-only file system"):
        restore(scene, small_disk)


def _require_interpreter_for(uid: int) -> None:
    try:
        subprocess.run([sys.executable, "-c", "import msgspec, apsw"], user=uid, check=True, capture_output=True)
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip("other users cannot run this interpreter: it lies in a private directory")


@pytest.mark.one_engine(Why.THIS_USER)
def test_without_roots_rights_owners_are_noted_and_errors_are_named(scene: Scene, tmp_path: Path) -> None:
    """restic's rule: that an ordinary user may not give files away is no error; a directory shut to him is."""
    require_root()
    _require_interpreter_for(4242)
    tree = {"of another": File(b"x", owner=(12345, 12345), mode=0o4755), "shut": {"a": b"x", "b": {"c": b"x"}}}
    make_tree(tmp_path / "source", tree)
    scene.backup(tmp_path / "source")
    target = tmp_path / "target"
    make_tree(target / "source", {"shut": {}})
    (target / "source/shut").chmod(0o555)
    for path in (tmp_path / "scene", *(tmp_path / "scene").rglob("*")):
        os.chown(path, 4242, 4242)
    os.chown(target / "source", 4242, 4242)
    for above in (tmp_path, *tmp_path.parents[:2]):
        above.chmod(0o755)
    done = run_command(scene, "latest", "--target", target, user=4242, group=4242, extra_groups=[])
    assert done.returncode == 1
    assert b"error: /source/shut: nothing in it could be restored" not in done.stderr  # it exists: its entries fail
    assert done.stderr.count(b"error: ") == 2, done.stderr
    assert b"error: /source/shut/a: Permission denied" in done.stderr
    assert b"error: /source/shut/b: nothing in it could be restored: Permission denied" in done.stderr
    assert b"owners could not be set" in done.stderr
    found = (target / "source/of another").stat()
    assert (found.st_uid, found.st_mode & 0o7777) == (4242, 0o755)


@pytest.mark.one_engine(Why.THIS_PROCESS)
def test_a_worker_that_dies_costs_time_only(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its batch is done again by another."""
    make_tree(tmp_path / "source", {f"dir {number}": {"a": os.urandom(5000), "b": b"x"} for number in range(30)})
    scene.backup(tmp_path / "source")
    handle = tasks.TaskLoop._handle
    killed: list[int] = []

    def kill_some(self: tasks.TaskLoop, event: object, settle: object) -> None:
        if isinstance(event, TaskTaken) and event.task_id in (3, 9) and event.attempt == 0:
            workers = self._engine.members()[0].workers
            for worker in workers:
                if worker.number == event.worker:
                    os.kill(worker.pid, signal.SIGKILL)
                    killed.append(worker.pid)
        handle(self, event, settle)  # type: ignore[arg-type]

    monkeypatch.setattr(tasks.TaskLoop, "_handle", kill_some)
    restore_soundly(scene, tmp_path / "target", cuts=Cuts(entries=4))
    assert killed
    assert_same_tree(tmp_path / "source", tmp_path / "target/source", with_root=True)


def test_a_subpath_that_is_not_there_is_named(scene: Scene, tmp_path: Path) -> None:
    make_tree(tmp_path / "source", {"a": b"x"})
    scene.backup(tmp_path / "source")
    with pytest.raises(SnapshotMissing, match="no directory /nowhere"):
        restore(scene, tmp_path / "target", snapshot="latest:/nowhere")
    assert not (tmp_path / "target").exists()
