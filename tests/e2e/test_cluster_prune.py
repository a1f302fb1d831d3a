"""A prune over a master and proxies: the same as by one machine, whichever of them dies."""

from __future__ import annotations

import os
import queue
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from argosy.daemon import prune_work
from argosy.daemon.protocol import PruneOrder
from argosy.errors import Interrupted, RepositoryLocked
from argosy.operations.prune import tally
from argosy.operations.prune.options import PruneObserver, PruneOptions, PruneProgress
from argosy.operations.prune.plan import PruneSummary
from argosy.operations.prune.run import run_prune
from argosy.repository.locks import acquire
from tests.support.backups import Scene
from tests.support.cluster_commands import (
    PATIENCE_SECONDS,
    Commands,
    cluster_of_commands,
    cluster_with,
    stopped_proxies,
    until_running,
)
from tests.support.command import decode_lines
from tests.support.holding import Hold
from tests.support.masters import running_master
from tests.support.pruned import ALL_UNUSED, PACK_BYTES, assert_nothing_lost, copied

ORDER = PruneOrder.of(PruneOptions(ALL_UNUSED, pack_size_bytes=PACK_BYTES))
# What the command says with --pack-size 4 and --max-unused 0.
ALL = ("prune", "--max-unused", "0", "--pack-size", "4")

# Many processes: on a loaded machine they take their time.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def scene(unpruned: Scene, tmp_path: Path) -> Scene:
    return copied(unpruned, tmp_path / "scene")


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Hold:
    # At every turn: between two looks of the usual ones all may be done.
    monkeypatch.setattr(tally, "_LOOK_SECONDS", 0.0)
    return Hold(monkeypatch, prune_work, "run_prune")


def test_members_repack_what_one_machine_would(unpruned: Scene, scene: Scene, tmp_path: Path) -> None:
    plans: list[PruneSummary] = []
    looks: list[PruneProgress] = []
    observer = PruneObserver(show=plans.append, progress=looks.append)
    alone = run_prune(
        copied(unpruned, tmp_path / "alone").access(),
        PruneOptions(ALL_UNUSED, pack_size_bytes=PACK_BYTES),
        PruneObserver(),
    )
    with running_master(scene) as bed, bed.client() as client:
        for name in ("one", "two"):
            bed.start_proxy(name)
        submitted = client.submit(scene.access(), ORDER)
        result: PruneSummary = client.follow(submitted.run, observer)
        (ended,) = client.jobs(1).ended
    assert plans == [result] == [alone.summary(dry_run=False)]
    done = {name: packs for name, _, _, packs, _ in looks[-1].members}
    assert set(done) <= {"one", "two"}
    assert sum(done.values()) == looks[-1].packs_done == looks[-1].packs
    assert (ended.id, ended.kind, ended.outcome) == (submitted.run, "prune", "done")
    assert ended.counters["packs_repacked"] == result.repack > 0
    assert not list((scene.repository / "locks").iterdir())
    assert_nothing_lost(unpruned, scene)


def test_what_a_killed_proxy_held_is_repacked_by_another(unpruned: Scene, scene: Scene, hold: Hold) -> None:
    said: list[str] = []
    with running_master(scene) as bed, bed.client() as client:
        victim = bed.start_proxy("one")
        submitted = client.submit(scene.access(), ORDER)
        hold.wait()
        victim.kill()
        bed.until_said("one was silent")
        bed.start_proxy("two")
        hold.release()
        result = client.follow(submitted.run, PruneObserver(message=said.append))
        log = client.job(submitted.run).ended
    assert result.repack
    assert any("one was silent" in text for text in said)
    assert log is not None
    assert any("one was silent" in text for _, text in log.log)
    assert_nothing_lost(unpruned, scene)


def test_a_killed_server_does_not_end_a_prune(unpruned: Scene, scene: Scene, hold: Hold) -> None:
    with running_master(scene) as bed, bed.client() as client:
        bed.start_proxy("one")
        submitted = client.submit(scene.access(), ORDER)
        hold.wait()
        os.kill(bed.master.server.pid, signal.SIGKILL)
        hold.release()
        assert client.follow(submitted.run, PruneObserver()).repack
    assert_nothing_lost(unpruned, scene)


def test_a_stopped_prune_leaves_a_whole_repository_and_no_lock(unpruned: Scene, scene: Scene, hold: Hold) -> None:
    with running_master(scene) as bed, bed.client() as client:
        bed.start_proxy("one")
        submitted = client.submit(scene.access(), ORDER)
        hold.wait()
        client.stop(submitted.run)
        hold.release()
        with pytest.raises(Interrupted):
            client.follow(submitted.run, PruneObserver())
        (ended,) = client.jobs(1).ended
    assert (ended.outcome, ended.message) == ("closed", "stopped on request")
    assert not list((scene.repository / "locks").iterdir())
    assert_nothing_lost(unpruned, scene)


def test_a_locked_repository_is_not_pruned(scene: Scene) -> None:
    with running_master(scene) as bed, bed.client() as client:
        bed.start_proxy("one")
        lock = acquire(scene.open())
        try:
            with pytest.raises(RepositoryLocked, match=f"PID {os.getpid()}"):
                client.follow(client.submit(scene.access(), ORDER).run, PruneObserver())
        finally:
            lock.release()


def test_a_prune_without_members_waits_for_one_and_locks_nobody_out(unpruned: Scene, scene: Scene) -> None:
    said: queue.SimpleQueue[str] = queue.SimpleQueue()
    with running_master(scene) as bed, bed.client() as client, ThreadPoolExecutor(1) as others:
        submitted = client.submit(scene.access(), ORDER)
        following = others.submit(client.follow, submitted.run, PruneObserver(message=said.put))
        assert "waits for one" in said.get(timeout=PATIENCE_SECONDS)
        acquire(scene.open(), exclusive=True).release()
        bed.start_proxy("one")
        assert following.result().repack
    assert_nothing_lost(unpruned, scene)


def test_a_prune_without_members_can_be_stopped(scene: Scene) -> None:
    with running_master(scene) as bed, bed.client() as client:
        submitted = client.submit(scene.access(), ORDER)
        client.stop(submitted.run)
        with pytest.raises(Interrupted):
            client.follow(submitted.run, PruneObserver())


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """A master without workers, and a proxy."""
    with cluster_with(tmp_path_factory.mktemp("home"), "nas-1") as commands:
        yield commands


def test_a_prune_is_shown_to_its_end(cluster: Commands, unpruned: Scene, scene: Scene) -> None:
    words = (*ALL, "--cluster", cluster.url, "-r", scene.repository)
    (dry,) = cluster.argosy.documents(*words, "--dry-run")
    (summary,) = cluster.argosy.documents(*words)
    assert {**dry, "dry_run": False} == summary
    assert summary["packs_repacked"] > 0
    assert "nothing to do" in cluster.argosy.says(*words)
    assert_nothing_lost(unpruned, scene)


def test_forget_has_a_cluster_prune_what_only_its_snapshots_used(cluster: Commands, scene: Scene) -> None:
    words = ("--prune", *ALL[1:], "--cluster", cluster.url, "-r", scene.repository)
    snapshots = cluster.argosy.documents("snapshots", "-r", scene.repository)[0]
    oldest = snapshots[0]["id"]
    dry = cluster.argosy.documents("forget", oldest, *words, "--dry-run")[-1]
    done = cluster.argosy.documents("forget", oldest, *words)[-1]
    assert {**dry, "dry_run": False} == done
    assert done["packs_repacked"] > 0
    left = cluster.argosy.documents("snapshots", "-r", scene.repository)[0]
    assert [snapshot["id"] for snapshot in left] == [snapshot["id"] for snapshot in snapshots[1:]]
    cluster.argosy.run("check", "--read-data", "-r", scene.repository)
    assert cluster.argosy.documents("jobs", "--cluster", cluster.url, "--last", "1")[0]["kind"] == "prune"


def test_forget_alone_needs_no_cluster(cluster: Commands, scene: Scene) -> None:
    words = ("forget", "latest", "--cluster", cluster.url, "-r", scene.repository)
    assert "--prune" in cluster.argosy.says(*words, expect=1)


def test_a_detached_prune_is_told_of_attached_to_and_cancelled(
    cluster: Commands, unpruned: Scene, scene: Scene
) -> None:
    words = (*ALL, "--cluster", cluster.url, "-r", scene.repository)
    with stopped_proxies(cluster):
        cluster.argosy.run(*words, "--detach")
        job = until_running(cluster)
        backup = ("backup", scene.home, "-r", scene.repository)
        assert f"job {job}: prune of {scene.repository}" in cluster.argosy.says("status", "--cluster", cluster.url)
        assert "is locked: exclusive" in cluster.argosy.says(*backup, expect=11)
        with cluster.argosy.started("attach", job, "--cluster", cluster.url) as process:
            assert process.stdout is not None
            assert any(b"to repack" in line for line in process.stdout)
            cluster.argosy.run("cancel", job, "--cluster", cluster.url)
            output = b"".join(process.communicate())
            assert process.returncode == 130, output
    assert "stopped on request" in cluster.argosy.says("jobs", job, "--cluster", cluster.url)
    assert "nothing out of the ordinary" in cluster.argosy.says("logs", job, "--cluster", cluster.url)
    assert_nothing_lost(unpruned, scene)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("-r", "/nonexistent"), 10, "nonexistent"),
        (("--no-lock",), 1, "needs its lock"),
        (("--max-unused", "much"), 1, "no limit"),
        (("--join", "nas-1.join"), 1, "needs operator"),
    ],
)
def test_what_cannot_be_done_is_said(
    cluster: Commands, unpruned: Scene, arguments: tuple[str, ...], code: int, words: str
) -> None:
    flags: list[str | Path] = ["-r", unpruned.repository, *arguments, "--cluster", cluster.url]
    assert words in cluster.argosy.says("prune", *flags, expect=code, cwd=cluster.argosy.home)


def test_a_killed_masters_prune_goes_on_when_it_is_started_again(unpruned: Scene, scene: Scene, tmp_path: Path) -> None:
    """Killed while its proxy repacks; its own exclusive lock does not keep it out."""
    with cluster_of_commands(tmp_path / "home") as cluster:
        (tmp_path / "password").write_text(cluster.argosy.password)
        flags = ("--no-workers", "-p", str(tmp_path / "password"))
        master = cluster.start_master(*flags)
        cluster.start_proxy("nas-1")
        words = (*ALL, "--cluster", cluster.url, "-r", scene.repository, "--json")
        with cluster.argosy.started(*words) as process:
            with stopped_proxies(cluster):
                job = until_running(cluster)
                assert process.stdout is not None
                assert process.stdout.readline()
                master.end()
                assert list((scene.repository / "locks").iterdir())
                assert cluster.start_master(*flags).until_said("is taken up again")
            output, errors = process.communicate()
            assert process.returncode == 0, errors
        assert decode_lines(output)[-1]["message_type"] == "prune_summary"
        (ended,) = cluster.argosy.documents("jobs", job, "--cluster", cluster.url)
        assert (ended["kind"], ended["state"]) == ("prune", "done")
        assert list((cluster.argosy.state / "requests").iterdir()) == []
        # A file that a killed master was about to give its name is no lock.
        assert cluster.argosy.run("list", "locks", "--no-lock", "-r", scene.repository).stdout == b""
    assert_nothing_lost(unpruned, scene)
