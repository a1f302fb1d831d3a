"""A restore and a check over a master and proxies: the same as by one machine, whichever of them dies."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from argosy.daemon import restore_work
from argosy.daemon.protocol import CheckOrder, RestoreOrder
from argosy.errors import EngineError, Interrupted, RestoreError, SnapshotMissing
from argosy.operations.check.options import CheckObserver, CheckOptions, Problem
from argosy.operations.check.subset import READ_ALL
from argosy.operations.restore import coordinator
from argosy.operations.restore.options import RestoreOptions, RestoreResult
from argosy.restorer.cuts import Cuts
from argosy.restorer.target import is_probe
from tests.e2e.restore_scene import Heard
from tests.support.backups import Scene
from tests.support.holding import Hold
from tests.support.masters import running_master
from tests.support.trees import assert_same_tree

LARGE_BYTES = 40 << 20


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(tmp_path / "scene")
    scene.home.mkdir()
    return scene.init()


@pytest.fixture
def source(scene: Scene, tmp_path: Path) -> Path:
    """Backed up: files in directories, further names of some, a link, an empty directory."""
    root = tmp_path / "source"
    for number in range(300):
        directory = root / f"d{number % 20:02}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"f{number:03}").write_bytes(b"%d" % number * (number * 20 + 1))
    os.link(root / "d00" / "f000", root / "d19" / "another name")
    (root / "link").symlink_to("d00/f000")
    (root / "empty").mkdir(mode=0o750)
    scene.backup(root)
    return root


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Hold:
    # At every turn: between two looks of the usual ones all may be done.
    monkeypatch.setattr(coordinator, "_LOOK_SECONDS", 0.0)
    small = {"cuts": Cuts(entries=2)}
    return Hold(monkeypatch, restore_work, "run_restore", lambda options: msgspec.structs.replace(options, **small))


def order(target: Path, **options: Any) -> RestoreOrder:
    return RestoreOrder(RestoreOptions(os.fsencode(target), **options))


def assert_restored(source: Path, target: Path) -> None:
    """All is there as it was, and nothing else: no file by which members had shown what they see."""
    assert_same_tree(source, target / source.name)
    assert [path.name for path in target.iterdir()] == [source.name]


def test_members_restore_what_one_machine_would(scene: Scene, source: Path, tmp_path: Path) -> None:
    target, heard = tmp_path / "target", Heard()
    with running_master(scene, workers=1) as bed, bed.client() as client:
        bed.start_proxy("one")
        bed.start_proxy("two")
        submitted = client.submit(scene.access(), order(target, verify=True, listing=True))
        result: RestoreResult = client.follow(submitted.run, heard.observer())
        (ended,) = client.jobs(1).ended
    assert_restored(source, target)
    assert heard.errors == []
    assert (result.exit_code, result.entries_restored, result.verified) == (0, 324, 300)
    assert len(heard.items) == 324
    assert (ended.id, ended.kind, ended.outcome) == (submitted.run, "restore", "done")
    assert ended.counters["files_restored"] == 324


def test_a_large_file_is_written_by_several_members(scene: Scene, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(restore_work, "_CUTS", Cuts(large_bytes=1 << 20, segment_bytes=1 << 20))
    source = tmp_path / "source"
    source.mkdir()
    (source / "large").write_bytes(os.urandom(LARGE_BYTES))
    scene.backup(source)
    target, done = tmp_path / "target", {}
    heard = msgspec.structs.replace(
        Heard().observer(),
        progress=lambda progress: done.update({name: size_bytes for name, _, _, _, size_bytes in progress.members}),
    )
    with running_master(scene) as bed, bed.client() as client:
        for name in ("one", "two"):
            bed.start_proxy(name)
        client.follow(client.submit(scene.access(), order(target)).run, heard)
    assert_restored(source, target)
    assert sum(done.values()) == LARGE_BYTES


def test_what_a_killed_proxy_held_is_restored_by_another(
    scene: Scene, source: Path, tmp_path: Path, hold: Hold
) -> None:
    target, heard = tmp_path / "target", Heard()
    said: list[str] = []
    with running_master(scene) as bed, bed.client() as client:
        victim = bed.start_proxy("one")
        submitted = client.submit(scene.access(), order(target))
        hold.wait()
        (run,) = client.status().runs
        assert (run.id, run.kind, run.is_running, run.paths) == (submitted.run, "restore", True, [os.fsencode(target)])
        victim.kill()
        bed.until_said("one was silent")
        bed.start_proxy("two")
        hold.release()
        observer = msgspec.structs.replace(heard.observer(), message=said.append)
        result = client.follow(submitted.run, observer)
        log = client.job(submitted.run).ended
    assert_restored(source, target)
    assert (heard.errors, result.exit_code) == ([], 0)
    assert any("one was silent" in text for text in said)
    assert log is not None
    assert any("one was silent" in text for _, text in log.log)


def test_a_stopped_restore_is_gone_on_with_by_the_same_command(
    scene: Scene, source: Path, tmp_path: Path, hold: Hold
) -> None:
    target = tmp_path / "target"
    with running_master(scene) as bed, bed.client() as client:
        bed.start_proxy("one")
        submitted = client.submit(scene.access(), order(target))
        hold.wait()
        client.stop(submitted.run)
        hold.release()
        with pytest.raises(Interrupted):
            client.follow(submitted.run, Heard().observer())
        (ended,) = client.jobs(1).ended
        assert (ended.outcome, ended.message) == ("closed", "stopped on request")
        result = client.follow(client.submit(scene.access(), order(target)).run, Heard().observer())
    assert_restored(source, target)
    assert result.exit_code == 0


def test_a_killed_server_does_not_end_a_restore(scene: Scene, source: Path, tmp_path: Path, hold: Hold) -> None:
    target = tmp_path / "target"
    with running_master(scene) as bed, bed.client() as client:
        bed.start_proxy("one")
        submitted = client.submit(scene.access(), order(target))
        hold.wait()
        os.kill(bed.master.server.pid, signal.SIGKILL)
        hold.release()
        assert client.follow(submitted.run, Heard().observer()).exit_code == 0
    assert_restored(source, target)


def test_a_proxy_that_may_not_do_in_the_target_what_the_master_may_takes_no_part(
    scene: Scene, source: Path, tmp_path: Path
) -> None:
    """As where a server maps root to nobody: its files would belong to somebody else, or not be made at all."""
    if os.geteuid():
        pytest.skip("needs root, whose rights the proxy is refused")
    target, heard, said = tmp_path / "target", Heard(), list[str]()
    target.mkdir(mode=0o555)
    os.chown(target, 65534, 65534)
    with running_master(scene) as bed, bed.client() as client:
        bed.start_proxy("weak", without_rights=True)
        submitted = client.submit(scene.access(), order(target))
        with pytest.raises(EngineError, match=r"weak does not see what the master sees: nothing can be made"):
            client.follow(submitted.run, heard.observer())
        bed.start_proxy("strong")
        observer = msgspec.structs.replace(heard.observer(), message=said.append)
        result = client.follow(client.submit(scene.access(), order(target)).run, observer)
    assert_restored(source, target)
    assert result.exit_code == 0
    assert any("weak takes no part" in text for text in said)


def test_nothing_is_deleted_but_what_the_snapshot_lacks(scene: Scene, source: Path, tmp_path: Path) -> None:
    """The files by which members show that they see the target are nobody's, and counted as nothing."""
    target, heard = tmp_path / "target", Heard()
    (target / source.name).mkdir(parents=True)
    (target / source.name / "stray").touch()
    with running_master(scene) as bed, bed.client() as client:
        bed.start_proxy("one")
        result = client.follow(client.submit(scene.access(), order(target, delete=True)).run, heard.observer())
    assert_restored(source, target)
    assert result.deleted == 1


def test_a_dry_run_writes_nothing(scene: Scene, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    with running_master(scene) as bed, bed.client() as client:
        bed.start_proxy("one")
        submitted = client.submit(scene.access(), order(target, dry_run=True))
        result = client.follow(submitted.run, Heard().observer())
    assert result.entries_restored == 324
    assert not target.exists()
    assert source.exists()


def test_the_errors_of_a_restore_are_its_commands(scene: Scene, source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with running_master(scene, workers=1) as bed, bed.client() as client:
        for options, error in (
            ({"target": tmp_path / "target", "snapshot": "abc"}, SnapshotMissing),
            ({"target": tmp_path / "file" / "target"}, RestoreError),
        ):
            submitted = client.submit(scene.access(), order(**options))
            with pytest.raises(error):
                client.follow(submitted.run, Heard().observer())
        outcomes = [job.outcome for job in client.jobs(2).ended]
    assert outcomes == ["failed", "failed"]
    assert source.exists()


def check(scene: Scene, client: Any, problems: list[Problem]) -> Any:
    submitted = client.submit(scene.access(), CheckOrder(CheckOptions(READ_ALL)))
    return client.follow(submitted.run, CheckObserver(problem=problems.append))


def test_members_check_every_byte(scene: Scene, source: Path) -> None:
    problems: list[Problem] = []
    with running_master(scene, workers=1) as bed, bed.client() as client:
        bed.start_proxy("one")
        sound = check(scene, client, problems)
        assert (sound.exit_code, problems) == (0, [])
        assert sound.packs_read == len(scene.pack_files())
        name, size_bytes = max(scene.pack_files().items(), key=lambda pack: pack[1])
        path = scene.repository / "data" / name[:2] / name
        path.chmod(0o600)
        with path.open("r+b") as file:
            file.seek(size_bytes // 2)
            file.write(b"damage")
        damaged = check(scene, client, problems)
        jobs = client.jobs(2).ended
        whole = client.job(jobs[0].id)
    assert (damaged.exit_code, damaged.broken_packs) == (1, [name])
    assert any(name in problem.what for problem in problems)
    assert [job.outcome for job in jobs] == ["damaged", "done"]
    assert any(name.encode() in what for what, _ in whole.unread)
    assert source.exists()


def test_a_probe_is_told_from_other_names() -> None:
    assert not is_probe(b".argosy-0123456789abcdef.part")
