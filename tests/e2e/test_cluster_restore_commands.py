"""`restore --cluster`, `check --cluster`, and what is told of such jobs: real processes, mutual TLS."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_cli_terminal import Terminal
from tests.support.cluster_commands import Commands, cluster_of_commands, stopped_proxies, until_running
from tests.support.command import decode_lines
from tests.support.trees import assert_same_tree

FILES = 200


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read by all tests, changed by none."""
    root = tmp_path_factory.mktemp("cluster") / "source"
    for number in range(FILES):
        directory = root / f"{number % 10:02d}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / str(number)).write_bytes(os.urandom(5_000))
    return root


def backed_up(cluster: Commands, source: Path) -> None:
    """By one machine."""
    cluster.argosy.run("backup", "--init", source.name, cwd=source.parent)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Iterator[Commands]:
    """A master without workers, and two proxies; the source is backed up."""
    with cluster_of_commands(tmp_path_factory.mktemp("home")) as commands:
        backed_up(commands, source)
        commands.start_master("--no-workers", "--lease", "1h")
        for name in ("nas-1", "nas-2"):
            commands.start_proxy(name)
        yield commands


def test_a_restore_is_shown_to_its_end(cluster: Commands, source: Path, tmp_path: Path) -> None:
    words = ("restore", "latest", "--cluster", cluster.url, "--target", tmp_path)
    documents = cluster.argosy.documents(*words, "--verify", "-v", "-v")
    summary = documents[-1]
    # Of directories there are ten, and the root's own entry.
    assert (summary["message_type"], summary["files_restored"], summary["files_verified"]) == ("summary", 211, 200)
    assert sum(document["message_type"] == "verbose_status" for document in documents) == 211
    assert_same_tree(source, tmp_path / "source")
    assert "Restored" in cluster.argosy.says(*words)


def test_a_relative_target_is_taken_from_where_the_command_is_typed(
    cluster: Commands, source: Path, tmp_path: Path
) -> None:
    cluster.argosy.run("restore", "latest:/source", "--cluster", cluster.url, "--target", "here", cwd=tmp_path)
    assert_same_tree(source / "00", tmp_path / "here" / "00")


def test_a_detached_restore_is_told_of_and_attached_to(cluster: Commands, source: Path, tmp_path: Path) -> None:
    with stopped_proxies(cluster):
        words = ("restore", "latest", "--cluster", cluster.url, "--target", tmp_path, "--detach")
        (submitted,) = cluster.argosy.documents(*words)
        job = until_running(cluster)
        assert submitted == {"message_type": "job_submitted", "job_id": job}
        waiting = cluster.argosy.documents("check", "--cluster", cluster.url, "--detach")[0]["job_id"]
        said = cluster.argosy.says("status", "--cluster", cluster.url)
        assert f"job {job}: restore from {cluster.argosy.repository} to {tmp_path}" in said
        listed = cluster.argosy.documents("jobs", "--cluster", cluster.url)
        assert [(entry["job_id"], entry["kind"], entry["state"]) for entry in listed[:2]] == [
            (waiting, "check", "waiting"),
            (job, "restore", "running"),
        ]
        (whole,) = cluster.argosy.documents("jobs", job, "--cluster", cluster.url)
        assert (whole["state"], whole["unread_items"]) == ("running", [])
        assert job in cluster.argosy.says("jobs", job, "--cluster", cluster.url)
    summary = cluster.argosy.documents("attach", job, "--cluster", cluster.url)[-1]
    assert (summary["message_type"], summary["files_restored"]) == ("summary", 211)
    assert_same_tree(source, tmp_path / "source")
    assert cluster.argosy.documents("attach", waiting, "--cluster", cluster.url)[-1]["num_errors"] == 0
    (ended,) = cluster.argosy.documents("jobs", job, "--cluster", cluster.url)
    assert (ended["state"], ended["counters"]["files_restored"]) == ("done", 211)
    assert f"job {waiting}" in cluster.argosy.says("logs", "--cluster", cluster.url)
    assert "nothing out of the ordinary" in cluster.argosy.says("logs", job, "--cluster", cluster.url)


def test_a_cancelled_restore_ends_its_command(cluster: Commands, tmp_path: Path) -> None:
    words = ("restore", "latest", "--cluster", cluster.url, "--target", tmp_path)
    with stopped_proxies(cluster), cluster.argosy.started(*words) as process:
        job = until_running(cluster)
        cluster.argosy.run("cancel", job, "--cluster", cluster.url)
        output = b"".join(process.communicate())
        assert process.returncode == 130, output
    (ended,) = cluster.argosy.documents("jobs", job, "--cluster", cluster.url)
    assert (ended["state"], ended["reason"]) == ("closed", "stopped on request")


def test_ctrl_c_stops_a_check(cluster: Commands) -> None:
    with stopped_proxies(cluster), cluster.argosy.started("check", "--read-data", "--cluster", cluster.url) as process:
        assert process.stdout is not None
        assert any(b"check snapshots" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        output = b"".join(process.communicate())
        assert process.returncode == 130, output


def test_a_check_on_a_terminal_has_a_line_for_each_member(cluster: Commands) -> None:
    """While it goes on: here it would take hours."""
    words = ("check", "--read-data", "--limit-download", "1k", "--cluster", cluster.url)
    with Terminal(cluster.argosy, *words) as terminal:
        terminal.wait_for(b"enter password for repository: ")
        terminal.type(cluster.argosy.password.encode() + b"\n")
        for words_of_member in (b"nas-1", b"1 worker, ", b"nas-2", b"1 worker, "):
            terminal.wait_for(words_of_member)
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 130


def test_a_check_has_the_exit_code_of_one_machine(cluster: Commands, tmp_path: Path) -> None:
    words = ("check", "--cluster", cluster.url)
    assert "no errors were found" in cluster.argosy.says(*words, "--read-data")
    (summary,) = cluster.argosy.documents(*words, "--read-data-subset", "50%")
    assert (summary["num_errors"], summary["snapshots"]) == (0, 1)
    assert cluster.argosy.run(*words, "-r", tmp_path, expect=10)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("restore", "latest", "--target", "x", "--workers", "2"), "--workers makes no sense with --cluster"),
        (("restore", "latest"), "specify a directory to restore to"),
        (("restore", "abcdef", "--target", "x"), "abcdef"),
        (("check", "--read-data-subset", "nonsense"), "nonsense"),
        (("jobs", "nonsense"), "there is no job nonsense"),
        (("logs", "nonsense"), "there is no job nonsense"),
    ],
)
def test_what_cannot_be_done_is_said(cluster: Commands, arguments: tuple[str, ...], words: str) -> None:
    assert words in cluster.argosy.says(*arguments, "--cluster", cluster.url, expect=1)


def test_a_proxy_may_see_the_target_under_another_path(tmp_path: Path, source: Path) -> None:
    with cluster_of_commands(tmp_path / "home") as cluster:
        backed_up(cluster, source)
        cluster.start_master("--no-workers")
        target, other = tmp_path / "target", tmp_path / "seen by the proxy"
        target.mkdir()
        other.symlink_to(target)
        lost = cluster.start_proxy("nas-1", "--map", f"{target}={tmp_path / 'nowhere'}")
        cluster.start_proxy("nas-2", "--map", f"{target}={other}")
        words = ("restore", "latest", "--cluster", cluster.url, "--target", target)
        assert "nas-1 takes no part: nas-1 does not see what the master sees" in cluster.argosy.says(*words)
        assert lost.until_said("takes no part in a job")
        assert_same_tree(source, target / "source")
        assert [path.name for path in target.iterdir()] == ["source"]
        assert not (tmp_path / "nowhere").exists()


def test_a_killed_masters_jobs_go_on_when_it_is_started_again(tmp_path: Path, source: Path) -> None:
    """Its proxy joins by itself, and the command that waits for the job hears of its end."""
    with cluster_of_commands(tmp_path / "home") as cluster:
        backed_up(cluster, source)
        (tmp_path / "password").write_text(cluster.argosy.password)
        flags = ("--no-workers", "-p", str(tmp_path / "password"))
        master = cluster.start_master(*flags)
        cluster.start_proxy("nas-1")
        target = tmp_path / "target"
        for kind, words in (("restore", ("latest", "--target", str(target))), ("check", ("--read-data",))):
            with cluster.argosy.started(kind, *words, "--cluster", cluster.url, "--json") as process:
                with stopped_proxies(cluster):
                    job = until_running(cluster)
                    master.end()
                    master = cluster.start_master(*flags)
                    assert master.until_said("is taken up again")
                output, errors = process.communicate()
                assert process.returncode == 0, errors
            assert decode_lines(output)[-1]["message_type"] == "summary"
            (ended,) = cluster.argosy.documents("jobs", job, "--cluster", cluster.url)
            assert (ended["kind"], ended["state"]) == (kind, "done")
            if kind == "restore":
                cluster.argosy.run("unlock")  # as on one machine; a check has removed its own
            # A file that a killed master was about to give its name is no lock.
            assert cluster.argosy.run("list", "locks", "--no-lock").stdout == b""
        assert list((cluster.argosy.state / "requests").iterdir()) == []
    assert_same_tree(source, target / "source")
    assert [path.name for path in target.iterdir()] == ["source"]
