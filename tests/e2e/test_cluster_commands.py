"""`argosy master`, `proxy`, `backup --cluster`, `attach`, `cancel`, `status --cluster`: real processes, mutual TLS."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.certificates.cluster_directory import ClusterDirectory
from argosy.daemon.guarding import users_of
from tests.support.cluster import nats_server
from tests.support.cluster_commands import (
    Commands,
    cluster_of_commands,
    cluster_with,
    stopped_proxies,
    until_followed,
    until_running,
)
from tests.support.command import decode_lines
from tests.support.restic import require_restic


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read by all tests, changed by none."""
    root = tmp_path_factory.mktemp("cluster") / "source"
    for directory in range(40):
        (root / f"{directory:02d}").mkdir(parents=True)
        for file in range(20):
            (root / f"{directory:02d}" / str(file)).write_bytes(os.urandom(20_000))
    return root


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """A master without workers, and two proxies."""
    with cluster_with(tmp_path_factory.mktemp("home"), "nas-1", "nas-2") as commands:
        yield commands


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return tmp_path / "repository"


def backup(cluster: Commands, repository: Path, source: Path, *flags: str) -> list[str | bytes | Path]:
    """The words of a backup over the cluster."""
    return ["backup", "--cluster", cluster.url, "-r", repository, "--init", *flags, source]


def test_restic_reads_what_a_cluster_wrote(cluster: Commands, repository: Path, source: Path, tmp_path: Path) -> None:
    documents = cluster.argosy.documents(*backup(cluster, repository, source))
    assert documents[-1]["message_type"] == "summary"
    assert documents[-1]["files_new"] == 800
    restic = require_restic().at(repository, tmp_path)
    restic.run("check", "--read-data")
    (snapshot,) = restic.json_lines("snapshots", "--json")[0]
    assert snapshot["id"] == documents[-1]["snapshot_id"]


def test_status_names_the_members(cluster: Commands) -> None:
    (document,) = cluster.argosy.documents("status", "--cluster", cluster.url)
    assert [(member["name"], member["workers"]) for member in document["members"]] == [("nas-1", 1), ("nas-2", 1)]
    assert "member nas-1 on" in cluster.argosy.says("status", "--cluster", cluster.url)


def test_a_detached_job_is_attached_to_by_its_id(cluster: Commands, repository: Path, source: Path) -> None:
    (submitted,) = cluster.argosy.documents(*backup(cluster, repository, source), "--detach")
    assert submitted["message_type"] == "job_submitted"
    documents = cluster.argosy.documents("attach", submitted["job_id"], "--cluster", cluster.url)
    assert documents[-1]["message_type"] == "summary"
    assert documents[-1]["files_new"] == 800


def test_a_cancelled_job_ends_its_command_and_is_resumed_by_the_next(
    cluster: Commands, repository: Path, source: Path
) -> None:
    with stopped_proxies(cluster), cluster.argosy.started(*backup(cluster, repository, source)) as process:
        job = until_running(cluster)
        assert "is being stopped" in cluster.argosy.says("cancel", job, "--cluster", cluster.url)
        output = b"".join(process.communicate())
        assert process.returncode == 130, output
    resumed = cluster.argosy.documents(*backup(cluster, repository, source))
    assert resumed[-1]["job_id"] == job
    assert resumed[-1]["resumed"]


def test_ctrl_c_stops_the_job_and_a_closed_terminal_does_not(cluster: Commands, repository: Path, source: Path) -> None:
    with stopped_proxies(cluster):
        with cluster.argosy.started(*backup(cluster, repository, source, "--json")) as process:
            until_followed(process)
            process.send_signal(signal.SIGHUP)
            process.communicate()
            assert process.returncode == -signal.SIGHUP
        job = until_running(cluster)
        with cluster.argosy.started("attach", job, "--cluster", cluster.url, "--json") as process:
            until_followed(process)
            process.send_signal(signal.SIGINT)
            output = b"".join(process.communicate())
            assert process.returncode == 130, output


def test_a_revoked_operators_session_ends_and_its_job_goes_on(
    cluster: Commands, repository: Path, source: Path, tmp_path: Path
) -> None:
    join = tmp_path / "ann.join"
    cluster.argosy.run("cluster", "add", "ann", "--role", "operator", "--output", join)
    with stopped_proxies(cluster):
        words = backup(cluster, repository, source, "--join", os.fspath(join), "--json")
        with cluster.argosy.started(*words) as process:
            until_followed(process)
            cluster.argosy.run("cluster", "revoke", "ann")
            _, errors = process.communicate()
            assert process.returncode == 1
            assert b"the master has cut this connection off" in errors
        job = until_running(cluster)
    assert cluster.argosy.documents("attach", job, "--cluster", cluster.url)[-1]["files_new"] == 800


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (("-p", "/dev/null"), 1, "empty password"),
        (("--workers", "2"), 1, "--workers makes no sense with --cluster"),
        (("--stdin",), 1, "pipe"),
        (("--exclude", "["), 1, "pattern"),
    ],
)
def test_what_a_cluster_cannot_do_is_refused_in_words(
    cluster: Commands, repository: Path, source: Path, flags: tuple[str, ...], code: int, words: str
) -> None:
    paths = [] if "--stdin" in flags else [source]
    said = cluster.argosy.says("backup", "--cluster", cluster.url, "-r", repository, *flags, *paths, expect=code)
    assert words in said


def test_a_missing_repository_has_its_exit_code(cluster: Commands, repository: Path, source: Path) -> None:
    said = cluster.argosy.says("backup", "--cluster", cluster.url, "-r", repository, source, expect=10)
    assert str(repository) in said


def test_an_unknown_job_is_named(cluster: Commands) -> None:
    assert "nonsense" in cluster.argosy.says("attach", "nonsense", "--cluster", cluster.url, expect=1)
    assert "nonsense" in cluster.argosy.says("cancel", "nonsense", "--cluster", cluster.url, expect=1)


def test_a_proxys_certificate_submits_nothing(cluster: Commands, repository: Path, source: Path) -> None:
    join = cluster.argosy.home / "nas-1.join"
    said = cluster.argosy.says(*backup(cluster, repository, source), "--join", join, expect=1)
    assert "needs operator" in said


def test_a_killed_master_goes_on_when_it_is_started_again(tmp_path: Path, source: Path) -> None:
    """Its proxy joins by itself, and the command that waits for the job hears of its end."""
    with cluster_of_commands(tmp_path) as cluster:
        password = tmp_path / "password"
        password.write_text(cluster.argosy.password)
        flags = ("--no-workers", "-p", str(password))
        master = cluster.start_master(*flags)
        cluster.start_proxy("nas-1")
        repository = tmp_path / "repository"
        with cluster.argosy.started(*backup(cluster, repository, source, "--json")) as process:
            with stopped_proxies(cluster):
                job = until_running(cluster)
                master.end()
                again = cluster.start_master(*flags)
                assert again.until_said("is taken up again")
            output, errors = process.communicate()
            assert process.returncode == 0, errors
        summary = decode_lines(output)[-1]
        assert (summary["job_id"], summary["resumed"], summary["files_new"]) == (job, True, 800)
        assert list((cluster.argosy.state / "requests").iterdir()) == []
        restic = require_restic().at(repository, tmp_path)
        # The lock of the master that was killed.
        restic.run("unlock")
        restic.run("check", "--read-data")


def test_without_a_password_a_master_says_which_jobs_wait(tmp_path: Path, source: Path) -> None:
    with cluster_of_commands(tmp_path) as cluster:
        master = cluster.start_master("--no-workers")
        repository = tmp_path / "repository"
        (submitted,) = cluster.argosy.documents(*backup(cluster, repository, source), "--detach")
        master.end()
        again = cluster.start_master("--no-workers")
        assert submitted["job_id"] in again.until_said("waits for its password")
        (kept,) = (cluster.argosy.state / "requests").iterdir()
        assert cluster.argosy.password.encode() not in kept.read_bytes()
        assert kept.stat().st_mode & 0o777 == 0o600
        cluster.start_proxy("nas-1")
        cluster.argosy.run(*backup(cluster, repository, source))
        assert not kept.exists()


def test_a_master_may_use_a_nats_of_its_owners(tmp_path: Path, source: Path) -> None:
    with cluster_of_commands(tmp_path) as cluster:
        users = users_of(ClusterDirectory(cluster.argosy.state / "cluster")).configuration
        with nats_server(tmp_path / "nats", extra=users) as server:
            cluster.port = server.port
            master = cluster.start("master", "--nats", cluster.url, "--workers", "1")
            assert master.until_said("connected to")
            assert master.until_said("master joined")
            documents = cluster.argosy.documents(*backup(cluster, tmp_path / "repository", source))
        assert documents[-1]["files_new"] == 800


def test_a_master_listens_or_uses_a_nats(cluster: Commands) -> None:
    both = ("--listen", "127.0.0.1:4222", "--nats", "tls://localhost:4222")
    for flags in ((), both):
        assert "--listen or --nats" in cluster.argosy.says("master", *flags, expect=1)


def test_a_revoked_proxy_is_cut_off_at_once_and_a_stranger_never_gets_in(tmp_path: Path) -> None:
    with cluster_of_commands(tmp_path / "ours") as cluster, cluster_of_commands(tmp_path / "theirs") as other:
        master = cluster.start_master("--no-workers", "--lease", "1h")
        proxy = cluster.start_proxy("nas-1")
        cluster.argosy.run("cluster", "revoke", "nas-1")
        assert master.until_said("nas-1 was cut off")  # no lease has to lapse for that
        assert "not, or no longer, in the master's register" in proxy.until_said("no master answers")
        assert proxy.end(signal.SIGTERM) == 0
        said = other.argosy.says("status", "--cluster", cluster.url, expect=1)
        assert "no connection" in said
