"""A comparison of a snapshot with a directory over a master and proxies: the same as by one machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from argosy.daemon import verify_work
from argosy.daemon.protocol import VerifyOrder
from argosy.errors import EngineError, SourceGone
from argosy.operations.verify import coordinator, plan
from argosy.operations.verify.messages import Difference
from argosy.operations.verify.options import VerifyObserver, VerifyOptions, VerifyResult
from argosy.operations.verify.run import run_verify
from tests.support.backups import Scene
from tests.support.cluster_commands import (
    Commands,
    cluster_of_commands,
    cluster_with,
    stopped_proxies,
    until_followed,
    until_running,
)
from tests.support.command import decode_lines
from tests.support.holding import Hold
from tests.support.masters import running_master
from tests.support.trees import make_tree

FILES = 120

# Many processes: on a loaded machine they take their time.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A repository with a snapshot of its ``source``."""
    home = tmp_path_factory.mktemp("verified")
    make_tree(
        home / "source",
        {f"d{number}": {f"f{n}": b"%d" % n * 300 for n in range(FILES // 10)} for number in range(10)},
    )
    scene = Scene(home).init()
    scene.backup(home / "source")
    return scene


@pytest.fixture
def source(saved: Scene, tmp_path: Path) -> Path:
    """A copy of the source, to be changed, with some changes made."""
    copy = tmp_path / "copy"
    shutil.copytree(saved.home / "source", copy)
    shutil.rmtree(copy / "d1")
    (copy / "d2" / "f3").write_bytes(b"other")
    (copy / "d3" / "new").touch()
    for path in (copy, copy / "d2", copy / "d3"):
        shutil.copystat(saved.home / "source" / path.relative_to(copy), path)
    return copy


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that each member gets some."""
    monkeypatch.setattr(plan, "_NODES_A_TASK", 5)


def options_of(source: Path, **more: Any) -> VerifyOptions:
    return VerifyOptions(os.fsencode(source), "latest:/source", **more)


def by_path(found: list[Difference]) -> list[Difference]:
    return sorted(found, key=lambda difference: difference.path)


def counts(result: VerifyResult) -> tuple[int, ...]:
    return (result.files, result.directories, result.size_bytes, result.differences, result.below, result.unreadable)


def lines_of(report: Path) -> list[str]:
    return sorted(line for line in report.read_text().splitlines() if not line.startswith("#"))


def test_members_find_what_one_machine_finds(saved: Scene, source: Path, tmp_path: Path) -> None:
    alone: list[Difference] = []
    together: list[Difference] = []
    done: dict[str, int] = {}
    reports = [tmp_path / "alone", tmp_path / "together"]
    observer = VerifyObserver(
        found=together.append,
        progress=lambda look: done.update({name: files for name, _, _, files, _ in look.members}),
    )
    expected = run_verify(
        saved.access(), options_of(source, report=os.fsencode(reports[0])), VerifyObserver(found=alone.append)
    )
    with running_master(saved) as bed, bed.client() as client:
        for name in ("one", "two"):
            bed.start_proxy(name)
        order = VerifyOrder(options_of(source, report=os.fsencode(reports[1])))
        submitted = client.submit(saved.access(), order)
        result: VerifyResult = client.follow(submitted.run, observer)
        whole = client.job(submitted.run)
    assert by_path(together) == by_path(alone)
    assert counts(result) == counts(expected)
    assert (result.exit_code, result.report) == (4, os.fsencode(reports[1]))
    assert lines_of(reports[1]) == lines_of(reports[0])
    assert set(done) <= {"one", "two"}
    assert sum(done.values()) == result.files
    assert whole.ended is not None
    assert (whole.ended.kind, whole.ended.outcome) == ("verify", "different")
    assert (b"d1", "missing in source") in whole.unread


def test_what_a_killed_proxy_held_is_compared_by_another(saved: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinator, "_LOOK_SECONDS", 0.0)
    hold = Hold(monkeypatch, verify_work, "run_verify")
    said: list[str] = []
    with running_master(saved) as bed, bed.client() as client:
        victim = bed.start_proxy("one")
        submitted = client.submit(saved.access(), VerifyOrder(options_of(saved.home / "source")))
        hold.wait()
        victim.kill()
        bed.until_said("one was silent")
        bed.start_proxy("two")
        hold.release()
        result = client.follow(submitted.run, VerifyObserver(message=said.append))
    assert (result.exit_code, result.files) == (0, FILES)
    assert any("one was silent" in text for text in said)


def test_what_a_proxy_may_not_read_is_read_by_another_and_is_no_difference(saved: Scene, tmp_path: Path) -> None:
    """It has proved its sight by a sample. Were its word taken, an archive would seem to have lost what it has."""
    if os.geteuid():
        pytest.skip("needs root, whose rights the proxy is refused")
    source = tmp_path / "copy"
    shutil.copytree(saved.home / "source", source)
    (source / "d5").chmod(0)
    os.chown(source / "d5", 65534, 65534)
    order = VerifyOrder(options_of(source, ignored=frozenset({"mode", "owner"})))
    with running_master(saved) as bed, bed.client() as client:
        bed.start_proxy("weak", without_rights=True)
        with pytest.raises(EngineError, match="the member weak was expelled: it cannot read"):
            client.follow(client.submit(saved.access(), order).run, VerifyObserver())
        bed.start_proxy("strong")
        result = client.follow(client.submit(saved.access(), order).run, VerifyObserver())
    assert (result.exit_code, result.files, result.unreadable) == (0, FILES, 0)


def test_a_proxy_that_does_not_see_the_source_is_not_asked(saved: Scene, tmp_path: Path) -> None:
    """The path is the master's: a link there may be the directory itself elsewhere."""
    source, link = saved.home / "source", tmp_path / "link"
    link.symlink_to(source)
    with cluster_of_commands(tmp_path / "home") as cluster:
        cluster.start_master("--no-workers")
        lost = cluster.start_proxy("nas-1", "--map", f"{link}={tmp_path / 'nowhere'}")
        words = ("verify", "latest:/source", link, "--cluster", cluster.url, "-r", saved.repository)
        assert "nas-1 does not see what the master sees" in cluster.argosy.says(*words, expect=1)
        assert lost.until_said("takes no part in a job")
        cluster.start_proxy("nas-2", "--map", f"{link}={source}")
        assert "no differences were found" in cluster.argosy.says(*words)


def test_a_source_that_is_not_there_is_said(saved: Scene, tmp_path: Path) -> None:
    with running_master(saved, workers=1) as bed, bed.client() as client:
        submitted = client.submit(saved.access(), VerifyOrder(options_of(tmp_path / "nowhere")))
        with pytest.raises(SourceGone, match="nowhere"):
            client.follow(submitted.run, VerifyObserver())


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """A master without workers, and a proxy."""
    with cluster_with(tmp_path_factory.mktemp("home"), "nas-1") as commands:
        yield commands


def test_the_command_says_and_ends_as_on_one_machine(
    cluster: Commands, saved: Scene, source: Path, tmp_path: Path
) -> None:
    words = ("verify", "latest:/source", source.name, "-r", saved.repository, "--json")
    reach = ("--cluster", cluster.url)
    alone = decode_lines(cluster.argosy.run(*words, cwd=tmp_path, expect=4).stdout)
    report = ("--report", "proof")
    together = decode_lines(cluster.argosy.run(*words, *reach, *report, cwd=tmp_path, expect=4).stdout)
    for documents in (alone, together):
        for document in documents:
            document.pop("seconds_elapsed", None)
    kinds = ("difference", "summary")
    assert [entry for entry in together if entry["message_type"] in kinds] == [
        entry for entry in alone if entry["message_type"] in kinds
    ]
    proved = cluster.argosy.says("verify", "--check-report", tmp_path / "proof", "-r", saved.repository)
    assert "is as it was written" in proved
    both = ("verify", "--check-report", tmp_path / "proof", *reach, "-r", saved.repository)
    assert "Give it alone" in cluster.argosy.says(*both, expect=1)
    assert "--workers makes no sense" in cluster.argosy.says(*words, *reach, "--workers", "2", expect=1, cwd=tmp_path)


def test_a_detached_one_is_attached_to_by_its_id(cluster: Commands, saved: Scene, source: Path) -> None:
    words = ("verify", "latest:/source", source, "-r", saved.repository, "--cluster", cluster.url)
    with stopped_proxies(cluster):
        cluster.argosy.run(*words, "--detach")
        job = until_running(cluster)
        said = cluster.argosy.says("status", "--cluster", cluster.url)
        assert f"job {job}: verify {saved.repository} against {source}" in said
    summary = decode_lines(cluster.argosy.run("attach", job, "--cluster", cluster.url, "--json", expect=4).stdout)[-1]
    assert (summary["message_type"], summary["differences"]) == ("summary", 3)
    said = cluster.argosy.says("jobs", job, "--cluster", cluster.url)
    assert "different" in said
    assert "differs, or could not be compared (3)" in said


def test_a_killed_masters_comparison_begins_anew_when_it_is_started_again(saved: Scene, tmp_path: Path) -> None:
    """What it has written of the report goes, and the whole one is signed."""
    with cluster_of_commands(tmp_path / "home") as cluster:
        (tmp_path / "password").write_text(cluster.argosy.password)
        flags = ("--no-workers", "-p", str(tmp_path / "password"))
        master = cluster.start_master(*flags)
        cluster.start_proxy("nas-1")
        report, source = tmp_path / "report", saved.home / "source"
        reach = ("--cluster", cluster.url, "-r", saved.repository)
        with cluster.argosy.started("verify", "latest", source, "--report", report, *reach, "--json") as process:
            with stopped_proxies(cluster):
                until_followed(process)
                master.end()
                assert report.with_name("report.unfinished").exists()
                assert cluster.start_master(*flags).until_said("is taken up again")
            output, errors = process.communicate()
            assert process.returncode == 0, errors
        assert decode_lines(output)[-1]["files"] == FILES
        assert "is as it was written" in cluster.argosy.says("verify", "--check-report", report, "-r", saved.repository)
        assert not report.with_name("report.unfinished").exists()
        cluster.argosy.run("unlock", "-r", saved.repository)
