"""A restore over proxies on hosts of their own, one of which dies, or does not see the target."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.bed import Bed, why_no_bed
from tests.cluster.hosts import PATIENCE_SECONDS, Cluster, cluster_on
from tests.support.command import decode_lines
from tests.support.trees import assert_same_tree

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]

# More batches (of 250 entries) than the proxies have workers.
FILES, FILE_BYTES, DIRECTORIES = 2_000, 3_000, 40
SLOW, OPEN = 2_000_000, 1_000_000_000
PROXIES = ("nas-1", "nas-2")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two proxies; what is restored is in the store, in packs so small that a slow link is busy for long."""
    if reason := why_no_bed():
        pytest.skip(reason)
    source = tmp_path_factory.mktemp("source")
    for number in range(FILES):
        directory = source / f"d{number % DIRECTORIES:02}"
        directory.mkdir(exist_ok=True)
        (directory / f"f{number:03}").write_bytes(os.urandom(FILE_BYTES))
    with Bed() as bed:
        cluster = cluster_on(bed, tmp_path_factory.mktemp("cluster"), source, *PROXIES)
        assert cluster.store is not None
        location = cluster.store.location("restored")
        cluster.argosy.run("backup", "-r", location, "--init", "--pack-size", "4", "share")
        cluster.start_master()
        for name in PROXIES:
            cluster.start_proxy(name)
        yield cluster


@pytest.fixture
def target(tmp_path: Path, repeat: int) -> Path:
    """A new one for each try."""
    del repeat
    path = tmp_path / "target"
    path.mkdir()
    return path


def limit(cluster: Cluster, bits_per_second: int) -> None:
    """The rate of each proxy's link; the master's is as it was."""
    for name in PROXIES:
        cluster.bed.limit(cluster.hosts[name], bits_per_second)


@contextmanager
def restoring(cluster: Cluster, target: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A restore that runs. ``target`` is a path on every host."""
    assert cluster.store is not None
    words = ("restore", "latest:/share", "--cluster", cluster.url, "-r", cluster.store.location("restored"), "--json")
    with cluster.argosy.started(*words, "--target", target, "--no-lock") as process:
        yield process


def until_held_by(cluster: Cluster, process: subprocess.Popen[bytes], name: str) -> None:
    """Wait until a member holds a part of the restore."""

    def is_held() -> bool:
        assert process.poll() is None, process.communicate()
        members = [member for job in cluster.status()["jobs"] for member in job["members"]]
        return any(member["name"] == name and member["holding"] for member in members)

    cluster.until(is_held)


def ended(cluster: Cluster, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Its summary; it ends well."""
    output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, (output[-3000:], errors, cluster.running["master"].text[-3000:])
    return dict(decode_lines(output)[-1])


def test_a_proxy_is_killed(cluster: Cluster, target: Path) -> None:
    """The other restores what it held, over what it had begun."""
    limit(cluster, SLOW)
    with restoring(cluster, target) as process:
        until_held_by(cluster, process, "nas-1")
        master = cluster.running["master"]
        before = master.lines_said
        cluster.running["nas-1"].end()
        assert master.until_said("nas-1 was silent", since=before), master.text
        limit(cluster, OPEN)
        summary = ended(cluster, process)
    # What the killed one had ended and could not report the other finds as it is to be.
    assert summary["files_restored"] + summary.get("files_skipped", 0) == FILES + DIRECTORIES
    assert_same_tree(cluster.source, target)
    cluster.start_proxy("nas-1")


def test_a_proxy_sleeps_past_its_lease_and_wakes(cluster: Cluster, target: Path) -> None:
    """It has lost what it held, and changes nothing of what others have made of it meanwhile."""
    limit(cluster, SLOW)
    with restoring(cluster, target) as process:
        until_held_by(cluster, process, "nas-1")
        master = cluster.running["master"]
        before = master.lines_said
        cluster.signal("nas-1", signal.SIGSTOP)
        try:
            assert master.until_said("nas-1 was silent", since=before), master.text
            limit(cluster, OPEN)
            ended(cluster, process)
            assert_same_tree(cluster.source, target)
        finally:
            cluster.signal("nas-1", signal.SIGCONT)
        assert master.until_said("nas-1 joined", since=before), master.text
    assert_same_tree(cluster.source, target)


def test_a_proxy_that_lacks_the_target_takes_no_part_and_says_why(cluster: Cluster, target: Path) -> None:
    """What lies at that path on its own disk stays as it is."""
    mounted = cluster.home / target.parent.name
    mounted.mkdir()
    for name in ("master", "nas-2"):
        cluster.mount(name, target, mounted)
    limit(cluster, OPEN)
    with restoring(cluster, mounted) as process:
        ended(cluster, process)
    assert_same_tree(cluster.source, target)
    assert list(mounted.iterdir()) == []
    assert "nas-1 does not see what the master sees" in cluster.running["nas-1"].text
    log = cluster.argosy.says("logs", "--cluster", cluster.url)
    assert "nas-1 takes no part" in log
