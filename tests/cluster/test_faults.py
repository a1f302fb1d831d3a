"""Faults of members, links, servers and mounts while a cluster backs up, and what becomes of the job.

Whatever happens, the snapshot has the tree of a backup by one machine, and restic finds all data readable. Links are
slow until a fault has had its effect, so that it always meets a job under way; then they are opened. Each test prints
the bytes that were stored twice, and after how long the lost batches were with others.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.cluster.bed import Bed, why_no_bed
from tests.cluster.hosts import PATIENCE_SECONDS, Backup, Cluster, cluster_on
from tests.support.restic import Restic, ResticRepository, require_restic

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]

DIRECTORIES = 16
FILES_IN_DIRECTORY = 1_000  # a batch's worth
FILE_BYTES = 2_000
SLOW = 2_000_000
OPEN = 1_000_000_000
PROXIES = ("nas-1", "nas-2", "nas-3")

Fault: TypeAlias = Callable[[Cluster], AbstractContextManager[None]]


@dataclass(frozen=True)
class OnHostRepository(ResticRepository):
    """restic on a host of the bed."""

    inside: tuple[str, ...] = ()

    def command(self, *arguments: str | bytes | Path) -> list[str | bytes | Path]:
        return [*self.inside, *super().command(*arguments)]


@dataclass
class Scene:
    """A cluster, and what one machine makes of the same source: its tree, and the bytes of its packs."""

    cluster: Cluster
    restic: Restic
    tree: str
    plain_bytes: int
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def new_location(self) -> str:
        """A repository that is not there yet."""
        assert self.cluster.store is not None
        return self.cluster.store.location(f"r{next(self.numbers)}")

    def heal(self) -> None:
        """All that an earlier fault has broken works again, and links are slow."""
        cluster = self.cluster
        for name in ("master", *PROXIES):
            cluster.bed.mend(cluster.hosts[name])
            if name not in cluster.running or cluster.running[name].process.poll() is not None:
                cluster.start(name)
        cluster.limit(SLOW)

    @contextmanager
    def backing_up(self, location: str, *holders: str) -> Iterator[Backup]:
        """A backup over slow links; it is under way, and these members hold batches."""
        self.heal()
        with self.cluster.backing_up(location) as backup:
            backup.until_held_by(*holders)
            yield backup

    def judge(self, location: str, summary: dict[str, Any], **figures: float) -> None:
        """The right tree, all data readable; print the figures."""
        assert summary["tree"] == self.tree
        keys = self.cluster.store.credentials if self.cluster.store else {}
        inside = self.cluster.hosts["master"].inside
        repository = OnHostRepository(self.restic, location, self.cluster.home, environment=keys, inside=inside)
        # The lock of a killed master is still there.
        repository.run("check", "--read-data", "--no-lock")
        twice = max(0, self.cluster.stored_bytes(location) - self.plain_bytes)
        words = "".join(f"; {name.replace('_', ' ')}: {value:.1f}" for name, value in figures.items())
        sys.stdout.write(f"stored twice: {twice / 1e6:.1f} MB of {self.plain_bytes / 1e6:.1f}{words}\n")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    if reason := why_no_bed():
        pytest.skip(reason)
    restic = require_restic()
    source = tmp_path_factory.mktemp("source")
    for directory in range(DIRECTORIES):
        (source / f"d{directory:02}").mkdir()
        for file in range(FILES_IN_DIRECTORY):
            (source / f"d{directory:02}" / f"f{file:03}").write_bytes(os.urandom(FILE_BYTES))
    with Bed() as bed:
        cluster = cluster_on(bed, tmp_path_factory.mktemp("cluster"), source, *PROXIES, "nas-4")
        # A disk of its own for nas-1's cache, small enough to be filled.
        cluster.cache_of("nas-1").mkdir()
        bed.run(cluster.hosts["nas-1"], "mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", cluster.cache_of("nas-1"))
        plain = ("backup", "-r", "plain", "--init", "--json", "--pack-size", "4", "share")
        tree = cluster.argosy.documents(*plain)[-1]["tree"]
        yield Scene(cluster, restic, tree, cluster.stored_bytes(str(cluster.home / "plain")))


@pytest.fixture
def location(scene: Scene, repeat: int) -> str:
    """A new repository for each try."""
    del repeat
    return scene.new_location()


def test_a_proxy_is_killed(scene: Scene, location: str) -> None:
    with scene.backing_up(location, *PROXIES) as backup:
        lost = backup.held("nas-1")
        scene.cluster.running["nas-1"].end()
        seconds = backup.until_said("nas-1 was silent")
        scene.cluster.limit(OPEN)
        seconds += backup.until_taken_from("nas-1", lost)
        scene.judge(location, backup.end(), taken_up_after_seconds=seconds)


def test_a_proxy_sleeps_past_its_lease_and_wakes(scene: Scene, location: str) -> None:
    with scene.backing_up(location, *PROXIES) as backup:
        lost = backup.held("nas-1")
        scene.cluster.signal("nas-1", signal.SIGSTOP)
        try:
            seconds = backup.until_said("nas-1 was silent")
        finally:
            scene.cluster.signal("nas-1", signal.SIGCONT)
        back = backup.until_said("nas-1 joined")
        scene.cluster.limit(OPEN)
        seconds += back + backup.until_taken_from("nas-1", lost)
        scene.judge(location, backup.end(), taken_up_after_seconds=seconds, joined_again_after_seconds=back)


def test_a_link_is_cut_and_mended(scene: Scene, location: str) -> None:
    host = scene.cluster.hosts["nas-2"]
    with scene.backing_up(location, *PROXIES) as backup:
        lost = backup.held("nas-2")
        scene.cluster.bed.cut(host)
        seconds = backup.until_said("nas-2 was silent")
        scene.cluster.bed.mend(host)
        back = backup.until_said("nas-2 joined")
        scene.cluster.limit(OPEN)
        seconds += back + backup.until_taken_from("nas-2", lost)
        scene.judge(location, backup.end(), taken_up_after_seconds=seconds, joined_again_after_seconds=back)


@pytest.mark.parametrize("hanging", [("nas-1",), ("nas-1", "nas-2")], ids=len)
def test_workers_hang_and_their_batches_are_run_a_second_time(
    scene: Scene, location: str, hanging: tuple[str, ...]
) -> None:
    """As on a mount that no longer answers: their proxies are well, and no lease lapses. Others end the job alone."""
    cluster = scene.cluster
    with scene.backing_up(location, *PROXIES) as backup:
        for process in itertools.chain.from_iterable(map(cluster.workers_of, hanging)):
            os.kill(process, signal.SIGSTOP)
        cluster.limit(OPEN)
        summary = backup.end()
        log = cluster.argosy.run("logs", summary["job_id"]).stdout
        assert b"it is run a second time elsewhere" in log, log
        scene.judge(location, summary, seconds=summary["total_duration"])


def test_the_server_is_killed(scene: Scene, location: str) -> None:
    with scene.backing_up(location, *PROXIES) as backup:
        os.kill(scene.cluster.server_process(), signal.SIGKILL)
        seconds = backup.until_said("nats-server ended")
        scene.cluster.limit(OPEN)
        scene.judge(location, backup.end(), noticed_after_seconds=seconds)


def test_the_master_is_killed_and_started_again(scene: Scene, location: str) -> None:
    with scene.backing_up(location, *PROXIES) as backup:
        scene.cluster.running["master"].end()
        scene.cluster.start_master()
        backup.until_said("is taken up again")
        scene.cluster.limit(OPEN)
        seconds = backup.until_begun_by(*PROXIES)
        summary = backup.end()
        assert summary["resumed"]
        scene.judge(location, summary, all_at_work_after_seconds=seconds)


def test_all_at_once(scene: Scene, location: str) -> None:
    cluster = scene.cluster
    with scene.backing_up(location, *PROXIES) as backup:
        cluster.signal("nas-2", signal.SIGSTOP)
        try:
            cluster.bed.cut(cluster.hosts["nas-3"])
            cluster.running["nas-1"].end()
            os.kill(cluster.server_process(), signal.SIGKILL)
            cluster.running["master"].end()
            cluster.start_master()
        finally:
            cluster.signal("nas-2", signal.SIGCONT)
        cluster.bed.mend(cluster.hosts["nas-3"])
        cluster.start_proxy("nas-1")
        cluster.limit(OPEN)
        seconds = backup.until_begun_by(*PROXIES)
        scene.judge(location, backup.end(), all_at_work_after_seconds=seconds)


def test_a_proxy_joins_half_way_and_leaves_when_it_is_told_to(scene: Scene, location: str) -> None:
    with scene.backing_up(location, *PROXIES) as backup:
        proxy = scene.cluster.start_proxy("nas-4")
        joined = backup.until_held_by("nas-4")
        held = backup.held("nas-4")
        assert proxy.end(signal.SIGTERM) == 0
        scene.cluster.limit(OPEN)
        left = backup.until_taken_from("nas-4", held)
        scene.judge(location, backup.end(), at_work_after_seconds=joined, taken_up_after_seconds=left)


def test_the_disk_of_a_proxys_cache_is_full(scene: Scene, location: str) -> None:
    with scene.backing_up(location, *PROXIES) as backup, full_cache(scene.cluster):
        scene.cluster.limit(OPEN)
        scene.judge(location, backup.end())


def test_the_share_goes_away_on_a_proxy(scene: Scene, location: str) -> None:
    with scene.backing_up(location, *PROXIES) as backup, lacking_share(scene.cluster):
        scene.cluster.limit(OPEN)
        scene.judge(location, backup.end())


def test_the_share_goes_away_on_the_master(scene: Scene, location: str) -> None:
    """The job stops, and goes on when the share is there again."""
    cluster = scene.cluster
    with scene.backing_up(location, *PROXIES) as backup:
        cluster.unmount("master", cluster.share)
        try:
            cluster.limit(OPEN)
            output, errors = backup.process.communicate()
            assert backup.process.returncode == 1, output
            assert b"share" in errors
        finally:
            cluster.mount("master", cluster.source, cluster.share)
    with cluster.backing_up(location) as again:
        summary = again.end()
    assert summary["resumed"]
    scene.judge(location, summary)


@contextmanager
def full_cache(cluster: Cluster) -> Iterator[None]:
    """No room on the disk of nas-1's cache."""
    host, ballast = cluster.hosts["nas-1"], cluster.cache_of("nas-1") / "ballast"
    cluster.bed.run(host, "sh", "-c", f"cat /dev/zero > {ballast} 2>/dev/null || true")
    try:
        yield
    finally:
        cluster.bed.run(host, "rm", ballast)


@contextmanager
def lacking_share(cluster: Cluster) -> Iterator[None]:
    """The share is not mounted on nas-1."""
    cluster.unmount("nas-1", cluster.share)
    try:
        yield
    finally:
        cluster.mount("nas-1", cluster.source, cluster.share)


@contextmanager
def as_it_is(cluster: Cluster) -> Iterator[None]:
    """Nothing is done to nas-1: it lacks the repository's mount anyway."""
    del cluster
    yield


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (as_it_is, "there is no repository at"),
        (lacking_share, "nas-1 does not see what the master sees"),
        (full_cache, "cache-nas-1"),
    ],
)
def test_a_proxy_that_lacks_something_takes_no_part_and_says_why(
    scene: Scene, tmp_path: Path, repeat: int, fault: Fault, words: str
) -> None:
    """Alone it is no help: the job ends with the reason, and goes on once others are there, with it or without."""
    del repeat
    cluster = scene.cluster
    scene.heal()
    mounted = cluster.home / tmp_path.name
    mounted.mkdir()
    lacking = fault is as_it_is
    for name in ("master", "nas-2", "nas-3", *(() if lacking else ("nas-1",))):
        cluster.mount(name, tmp_path, mounted)
    for name in ("nas-2", "nas-3"):
        cluster.leave(name)
    with fault(cluster):
        with cluster.backing_up(str(mounted)) as backup:
            _, errors = backup.process.communicate(timeout=PATIENCE_SECONDS)
        assert backup.process.returncode == 1, errors
        assert words in errors.decode(), errors
        assert words in cluster.running["nas-1"].text
        for name in ("nas-2", "nas-3"):
            cluster.start_proxy(name)
        with cluster.backing_up(str(mounted)) as backup:
            summary = backup.end()
    assert summary["resumed"]
    scene.judge(str(mounted), summary)
    assert not lacking or list(cluster.bed.run(cluster.hosts["nas-1"], "ls", mounted).stdout) == []
