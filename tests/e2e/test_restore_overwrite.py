"""A target that is not empty: --overwrite in its four ways, and a restore that goes on after it was cut short."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from argosy.restorer.cuts import Cuts
from argosy.restorer.file_jobs import temporary_name
from argosy.restorer.overwrite import Overwrite
from tests.e2e.engines import Why
from tests.e2e.restore_scene import command, hide_data, restore, restore_soundly, run_command
from tests.support.backups import Scene
from tests.support.restic import require_restic
from tests.support.trees import File, HardLink, Symlink, assert_same_tree, make_tree, snapshot_tree

SECOND_NS = 1_000_000_000
OLD_NS, SAVED_NS, NEW_NS = 1_000 * SECOND_NS, 2_000 * SECOND_NS, 3_000 * SECOND_NS
SAVED: dict[str, Any] = {
    "same": File(b"same", mtime_ns=SAVED_NS),
    "older": File(b"saved", mtime_ns=SAVED_NS),
    "newer": File(b"saved", mtime_ns=SAVED_NS),
    "looks same": File(b"saved", mtime_ns=SAVED_NS),
    "shorter": File(b"saved and longer", mtime_ns=SAVED_NS),
    "longer": File(b"sa", mtime_ns=SAVED_NS),
    "blobs": File(parts={0: b"a" * 700_000, 700_000: bytes(range(256)) * 4000}, mtime_ns=SAVED_NS),
    "was a link": File(b"saved", mtime_ns=SAVED_NS),
    "was an empty directory": File(b"saved", mtime_ns=SAVED_NS),
    "link": Symlink("saved", mtime_ns=SAVED_NS),
    "missing": File(b"saved", mtime_ns=SAVED_NS),
    "dir": {"inside": File(b"saved", mtime_ns=SAVED_NS)},
    "mode": File(b"same", mode=0o640, mtime_ns=SAVED_NS),
}
FOUND: dict[str, Any] = {
    "same": File(b"same", mtime_ns=SAVED_NS),
    "older": File(b"found", mtime_ns=OLD_NS),
    "newer": File(b"found", mtime_ns=NEW_NS),
    "looks same": File(b"found", mtime_ns=SAVED_NS),
    "shorter": File(b"saved", mtime_ns=OLD_NS),
    "longer": File(b"saved", mtime_ns=OLD_NS),
    "blobs": File(parts={0: b"a" * 700_000, 700_000: b"x" * 300_000}, mtime_ns=OLD_NS),
    "was a link": Symlink("../elsewhere", mtime_ns=OLD_NS),
    "was an empty directory": {},
    "link": Symlink("found", mtime_ns=OLD_NS),
    "dir": {"superfluous": File(b"x", mtime_ns=OLD_NS)},
    "mode": File(b"same", mode=0o600, mtime_ns=OLD_NS),
}


@pytest.mark.parametrize("way", list(Overwrite))
def test_each_way_of_overwriting_is_restics(scene: Scene, tmp_path: Path, way: Overwrite) -> None:
    """The same scene, restored over by restic and by this, gives the same files, and the same counts."""
    make_tree(tmp_path / "source", SAVED)
    scene.backup(tmp_path / "source")
    theirs, ours = tmp_path / "by restic", tmp_path / "by argosy"
    for target in (theirs, ours):
        make_tree(target / "source", FOUND)
        os.utime(target / "source/was an empty directory", ns=(OLD_NS, OLD_NS))
    *_, summary = scene.restic(require_restic((0, 18, 0))).json_lines(
        "restore", "latest", "--target", theirs, "--overwrite", str(way)
    )
    result = restore_soundly(scene, ours, overwrite=way)
    assert_same_tree(theirs, ours)
    counted = (result.entries_restored, result.entries_skipped, result.bytes_restored, result.bytes_skipped)
    names = ("files_restored", "files_skipped", "bytes_restored", "bytes_skipped")
    assert counted == tuple(summary.get(name, 0) for name in names)


@pytest.mark.parametrize("cuts", [Cuts(), Cuts(large_bytes=100_000, segment_bytes=300_000)], ids=["whole", "segments"])
@pytest.mark.parametrize("way", list(Overwrite))
def test_what_is_there_is_not_fetched_again(scene: Scene, tmp_path: Path, way: Overwrite, cuts: Cuts) -> None:
    """With all data gone from the repository, a second restore finds every file in place."""
    make_tree(tmp_path / "source", SAVED)
    scene.backup(tmp_path / "source")
    restore_soundly(scene, tmp_path / "target", cuts=cuts)
    hide_data(scene)
    again = restore_soundly(scene, tmp_path / "target", overwrite=way, cuts=cuts)
    assert again.bytes_restored == 0
    assert_same_tree(tmp_path / "source", tmp_path / "target/source", with_root=True)


def test_only_what_differs_is_fetched(scene: Scene, tmp_path: Path) -> None:
    """Of a file with a damaged end only the end is fetched: the data of its beginning may be missing."""
    parts = {at << 20: os.urandom(1 << 20) for at in range(12)}
    make_tree(tmp_path / "source", {"file": File(parts=parts)})
    first = scene.backup(tmp_path / "source", pack_size_bytes=4 << 20)
    assert first.counters["data_blobs"] > 4
    restore_soundly(scene, tmp_path / "target")
    with (tmp_path / "target/source/file").open("r+b") as file:
        file.seek(-10, os.SEEK_END)
        file.write(b"other data")
    moved = hide_data(scene)
    _, heard = restore(scene, tmp_path / "target")
    assert heard.named == [b"/source/file"]
    newest = max(moved, key=lambda path: moved[path].stat().st_mtime_ns)
    moved[newest].rename(newest)
    restore_soundly(scene, tmp_path / "target")
    assert_same_tree(tmp_path / "source", tmp_path / "target/source")


def test_if_changed_trusts_size_and_time(scene: Scene, tmp_path: Path) -> None:
    make_tree(tmp_path / "source", {"file": File(b"saved", mtime_ns=SAVED_NS)})
    scene.backup(tmp_path / "source")
    make_tree(tmp_path / "target/source", {"file": File(b"found", mtime_ns=SAVED_NS)})
    restore_soundly(scene, tmp_path / "target", overwrite=Overwrite.IF_CHANGED)
    assert (tmp_path / "target/source/file").read_bytes() == b"found"
    restore_soundly(scene, tmp_path / "target")
    assert (tmp_path / "target/source/file").read_bytes() == b"saved"


def test_a_name_that_something_else_shares_is_not_written_through(scene: Scene, tmp_path: Path) -> None:
    """A hard link at the target leads to a file elsewhere: that one keeps its content, mode and times."""
    make_tree(tmp_path / "source", {"a": File(b"saved", mode=0o600), "b": File(b"kept!", mode=0o600)})
    scene.backup(tmp_path / "source")
    make_tree(tmp_path / "target", {"elsewhere": {"a": b"other", "b": b"kept!"}, "source": {}})
    for name in ("a", "b"):
        os.link(tmp_path / "target/elsewhere" / name, tmp_path / "target/source" / name)
    before = snapshot_tree(tmp_path / "target/elsewhere")
    restore_soundly(scene, tmp_path / "target")
    after = snapshot_tree(tmp_path / "target/elsewhere")
    assert [(state.sha256, state.mode, state.mtime_ns) for state in after.values()] == [
        (state.sha256, state.mode, state.mtime_ns) for state in before.values()
    ]
    assert_same_tree(tmp_path / "source", tmp_path / "target/source")


def test_a_running_program_is_replaced(scene: Scene, tmp_path: Path) -> None:
    make_tree(tmp_path / "source", {"program": File(b"#! of the snapshot", mode=0o755)})
    scene.backup(tmp_path / "source")
    make_tree(tmp_path / "target/source", {})
    shutil.copy(shutil.which("sleep") or "/bin/sleep", tmp_path / "target/source/program")
    with subprocess.Popen([tmp_path / "target/source/program", "100"]) as process:
        try:
            restore_soundly(scene, tmp_path / "target")
        finally:
            process.kill()
    assert_same_tree(tmp_path / "source", tmp_path / "target/source")


def test_the_second_name_is_restored_though_the_first_is_kept(scene: Scene, tmp_path: Path) -> None:
    """A link to what was kept would give the second name other content than the snapshot has."""
    make_tree(tmp_path / "source", {"one": File(b"saved", mtime_ns=SAVED_NS), "two": HardLink("one")})
    scene.backup(tmp_path / "source")
    make_tree(tmp_path / "target/source", {"one": File(b"found", mtime_ns=NEW_NS)})
    restore_soundly(scene, tmp_path / "target", overwrite=Overwrite.NEVER)
    assert (tmp_path / "target/source/one").read_bytes() == b"found"
    assert (tmp_path / "target/source/two").read_bytes() == b"saved"


def test_a_file_where_a_directory_belongs_gives_way_only_where_files_may_be_replaced(
    scene: Scene, tmp_path: Path
) -> None:
    make_tree(tmp_path / "source", {"dir": {"inside": b"x"}, "link": {"inside": b"x"}})
    scene.backup(tmp_path / "source")
    make_tree(tmp_path / "target", {"source": {"dir": b"found", "link": Symlink("../other")}, "other": {}})
    _, heard = restore(scene, tmp_path / "target", overwrite=Overwrite.NEVER)
    assert heard.named == [b"/source/dir", b"/source/link"]
    assert (tmp_path / "target/source/dir").read_bytes() == b"found"
    restore_soundly(scene, tmp_path / "target")
    assert_same_tree(tmp_path / "source", tmp_path / "target/source")
    assert list((tmp_path / "target/other").iterdir()) == []


def test_a_directory_with_something_in_it_gives_way_to_a_file_only_with_delete(scene: Scene, tmp_path: Path) -> None:
    make_tree(tmp_path / "source", {"file": b"saved", "link": Symlink("x"), "next": b"y"})
    scene.backup(tmp_path / "source")
    make_tree(tmp_path / "target/source", {"file": {"inside": b"x"}, "link": {"inside": b"x"}})
    _, heard = restore(scene, tmp_path / "target")
    assert heard.named == [b"/source/file", b"/source/link"]
    assert (tmp_path / "target/source/next").read_bytes() == b"y"
    restore_soundly(scene, tmp_path / "target", delete=True)
    assert_same_tree(tmp_path / "source", tmp_path / "target/source")


@pytest.fixture(scope="module")
def sizeable(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scene, Path]:
    """A repository whose restore takes a moment, and the source."""
    home = tmp_path_factory.mktemp("sizeable")
    scene = Scene(home / "scene").init()
    names = [f"file {number}" for number in range(150)]
    tree: dict[str, Any] = {f"dir {at}": {name: os.urandom(3000) for name in names} for at in range(20)}
    tree["large"] = {f"large {number}": os.urandom(8 << 20) for number in range(6)}
    tree["links"] = {name: HardLink(f"dir 0/{name}") for name in names}
    make_tree(home / "source", tree)
    scene.backup(home / "source")
    return scene, home / "source"


@pytest.mark.one_engine(Why.KILLED)
@pytest.mark.parametrize("way", list(Overwrite))
@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_a_restore_cut_short_goes_on(
    sizeable: tuple[Scene, Path], tmp_path: Path, way: Overwrite, signal_number: signal.Signals
) -> None:
    """Killed at any moment, or stopped on request, the same command completes it: also files that were half written."""
    scene, source = sizeable
    arguments = ("latest", "--target", tmp_path / "target", "--overwrite", str(way))
    for entries in (3, 1000, 2500):
        with command(scene, *arguments) as process:
            _wait_for_entries(process, tmp_path / "target", entries)
            os.killpg(process.pid, signal_number) if signal_number == signal.SIGKILL else process.terminate()
            assert process.wait(30) in (-signal_number, 130, 0)
    done = run_command(scene, *arguments)
    assert done.returncode == 0, done.stderr
    assert_same_tree(source, tmp_path / "target/source", with_root=True)


def _wait_for_entries(process: subprocess.Popen[bytes], target: Path, wanted: int) -> None:
    """Until there are so many entries at the target, or the restore has ended."""
    deadline = time.monotonic() + 60
    while process.poll() is None and sum(len(names) for _, _, names in os.walk(target)) < wanted:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_what_an_interrupted_restore_left_is_finished(scene: Scene, tmp_path: Path) -> None:
    """A file with the right beginning, one with the right size and no content, and shut directories."""
    make_tree(tmp_path / "source", {"a": b"content" * 9999, "b": b"content" * 9999, "dir": {"c": b"c"}})
    (tmp_path / "source/dir").chmod(0o500)
    scene.backup(tmp_path / "source")
    make_tree(tmp_path / "target/source", {"a": b"content", "b": File(size_bytes=69993), "dir": {}})
    (tmp_path / "target/source/dir").chmod(0o500)
    for way in (Overwrite.IF_CHANGED, Overwrite.ALWAYS):
        restore_soundly(scene, tmp_path / "target", overwrite=way)
        assert_same_tree(tmp_path / "source", tmp_path / "target/source")


def test_a_file_that_got_its_name_just_before_a_crash_keeps_that_one_alone(scene: Scene, tmp_path: Path) -> None:
    """Where existence counts, a file grows under another name; a crash between two steps leaves it under both."""
    make_tree(tmp_path / "source", {"file": b"content"})
    scene.backup(tmp_path / "source")
    restore_soundly(scene, tmp_path / "target", overwrite=Overwrite.NEVER)
    place = tmp_path / "target/source"
    os.link(place / "file", place / os.fsdecode(temporary_name(b"file")))
    restore_soundly(scene, tmp_path / "target", overwrite=Overwrite.NEVER)
    assert_same_tree(tmp_path / "source", place)
