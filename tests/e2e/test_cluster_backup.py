"""One backup over a master and proxies: restic reads what they wrote, whichever of them dies."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from argosy.archiver.messages import WorkerSetup, decode, encode
from argosy.daemon import backup_work
from argosy.daemon.fitting import HANDLERS
from argosy.daemon.protocol import backup_order
from argosy.engine.nats.agent import Agent
from argosy.engine.nats.connection import Connection
from argosy.errors import EngineError, Interrupted, SourceGone, UsageError, WrongPassword
from argosy.operations.backup.options import BackupOptions, BackupResult
from argosy.operations.backup.run import run_backup
from argosy.operations.session import Access
from argosy.operations.status import JobStatus, read_jobs
from tests.support.backups import Scene
from tests.support.masters import PATIENCE_SECONDS, running_master
from tests.support.restic import PASSWORD, require_restic

_LOOK_SECONDS = 0.1


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(tmp_path / "scene")
    scene.home.mkdir()
    return scene.init()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Some hundred files in directories, every one with bytes of its own."""
    root = tmp_path / "source"
    for number in range(400):
        directory = root / f"d{number % 20:02}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"f{number:03}").write_bytes(b"%d" % number * (number * 20 + 1))
    return root


def test_a_job_over_a_master_and_two_proxies_makes_the_same_tree(scene: Scene, source: Path, tmp_path: Path) -> None:
    alone = Scene(tmp_path / "alone")
    alone.home.mkdir()
    alone.init_like(scene)
    expected = alone.backup(source).tree_id
    with running_master(scene, workers=1) as bed, bed.client() as client:
        bed.start_proxy("one")
        bed.start_proxy("two")
        submitted = client.submit(scene.access(), backup_order(scene.options(source, batch_files=10)))
        result = client.follow(submitted.run, scene.heard.observer())
    assert result.tree_id == expected


def many_files(root: Path, count: int) -> Path:
    """So many small files with bytes of their own."""
    for number in range(count):
        directory = root / f"d{number % 50:02}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"f{number:04}").write_bytes(b"content of %d" % number)
    return root


class Hold:
    """Holds a master's job as soon as ``until`` holds for it: it can hand out no batch then, so it cannot end.

    That is, unless told otherwise, as soon as a member has a batch.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, state_directory: Path) -> None:
        self._state_directory = state_directory
        self.until: Callable[[JobStatus], bool] = _is_a_batch_held
        self._reached = threading.Event()
        self._go_on = threading.Event()

        def run_held(access: Access, options: BackupOptions, *arguments: Any, **named: Any) -> BackupResult:
            return run_backup(access, msgspec.structs.replace(options, crash_point=self._reach), *arguments, **named)

        monkeypatch.setattr(backup_work, "run_backup", run_held)

    def wait(self) -> None:
        """Until the job is held."""
        assert self._reached.wait(PATIENCE_SECONDS)

    def release(self) -> None:
        """Let it go on, to its end."""
        self._go_on.set()

    def _reach(self, point: str) -> None:
        if point == "after a commit" and not self._reached.is_set() and self._holds():
            self._reached.set()
            assert self._go_on.wait(PATIENCE_SECONDS)

    def _holds(self) -> bool:
        return any(self.until(job) for job in read_jobs(self._state_directory, lambda _error: None))


def _is_a_batch_held(job: JobStatus) -> bool:
    return any(member.holding for member in job.members)


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch, scene: Scene) -> Hold:
    return Hold(monkeypatch, scene.state)


def test_batches_of_a_killed_proxy_are_in_progress_then_done_by_another(
    scene: Scene, tmp_path: Path, hold: Hold
) -> None:
    source = many_files(tmp_path / "source", 300)
    alone = Scene(tmp_path / "alone")
    alone.home.mkdir()
    expected = alone.init_like(scene).backup(source).tree_id
    with running_master(scene) as bed, bed.client() as client:
        victim = bed.start_proxy("one")
        submitted = client.submit(scene.access(), backup_order(scene.options(source, batch_files=2)))
        hold.wait()
        victim.kill()
        bed.until_said("one was silent")
        (job,) = client.status().jobs
        assert job.queue.in_progress or job.queue.waiting
        assert not [batch for member in job.members for batch in member.holding if batch.state == "failed"]
        hold.release()
        bed.start_proxy("two")
        result = client.follow(submitted.run, scene.heard.observer())
    assert result.tree_id == expected
    assert result.exit_code == 0
    assert result.counters["files_new"] == 300
    scene.restic(require_restic()).run("check", "--read-data")


def test_a_proxy_that_joins_late_knows_what_was_stored_before(scene: Scene, tmp_path: Path, hold: Hold) -> None:
    """Though no index names it yet."""
    source = tmp_path / "source"
    (source / "first").mkdir(parents=True)
    for number in range(60):
        (source / "first" / f"f{number}").write_bytes(os.urandom(100_000))
    shutil.copytree(source / "first", source / "second")
    hold.until = lambda job: job.packs > 0
    with running_master(scene) as bed, bed.client() as client:
        early = bed.start_proxy("one")
        options = scene.options(source, batch_files=10, pack_size_bytes=1 << 20)
        submitted = client.submit(scene.access(), backup_order(options))
        hold.wait()
        early.kill()
        bed.until_said("one was silent")
        bed.start_proxy("two")
        hold.release()
        assert client.follow(submitted.run, scene.heard.observer()).exit_code == 0
    assert scene.blobs_twice() == 0


def test_a_proxy_that_cannot_write_is_left_out_and_the_others_go_on(scene: Scene, source: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root, whose rights the proxy is refused")
    (scene.repository / "data").mkdir(exist_ok=True)
    (scene.repository / "data").chmod(0o555)
    with running_master(scene) as bed, bed.client() as client:
        bed.start_proxy("reading", without_rights=True)
        bed.start_proxy("writing")
        submitted = client.submit(scene.access(), backup_order(scene.options(source, batch_files=10)))
        result = client.follow(submitted.run, scene.heard.observer())
    assert result.exit_code == 0
    assert result.counters["files_new"] == 400


def test_a_proxy_that_fails_at_each_batch_is_expelled(scene: Scene, source: Path, hold: Hold) -> None:
    """No file is set aside for it, since what fails there is tried elsewhere; the other one sleeps meanwhile."""
    with running_master(scene, lease_seconds=60.0) as bed, bed.client() as client:
        sound = bed.start_proxy("sound")
        submitted = client.submit(scene.access(), backup_order(scene.options(source, batch_files=2)))
        hold.wait()
        sound.send_signal(signal.SIGSTOP)
        try:
            with failing_member(bed.url, "broken"):
                bed.until_said("broken joined")
                hold.release()
                until_logged(scene, "broken was expelled: it fails at one batch after the other: ValueError")
        finally:
            sound.send_signal(signal.SIGCONT)
        result = client.follow(submitted.run, scene.heard.observer())
    assert result.exit_code == 0
    assert result.counters["files_new"] == 400


@contextmanager
def failing_member(url: str, name: str) -> Iterator[None]:
    """A member whose workers look for the source at a path that no system takes."""

    def astray(_handler: str, setup: bytes) -> bytes:
        return encode(msgspec.structs.replace(decode(setup, WorkerSetup), elsewhere=True, maps=[(b"", b"/\0")]))

    connection = Connection(url, name)
    try:
        connection.open(PATIENCE_SECONDS)
        agent = Agent(connection, name, 1, HANDLERS, prepare=astray)
        agent.start()
        yield
        agent.close()
    finally:
        connection.close()


def until_logged(scene: Scene, words: str) -> None:
    """Wait until the log of a job says so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not any(words in text for job in read_jobs(scene.state, lambda _error: None) for _, text in job.log):
        assert time.monotonic() < deadline, [job.log for job in read_jobs(scene.state, lambda _error: None)]
        time.sleep(_LOOK_SECONDS)


def test_a_proxy_knows_what_the_repository_holds(scene: Scene, source: Path) -> None:
    """Files whose content is stored are not stored again, though the proxy has never seen the repository."""
    scene.backup(source)
    for path in source.rglob("f*"):
        os.utime(path, (1, 1))
    with running_master(scene) as bed, bed.client() as client:
        bed.start_proxy("one")
        submitted = client.submit(scene.access(), backup_order(scene.options(source, batch_files=50)))
        result = client.follow(submitted.run, scene.heard.observer())
    assert result.counters["files_changed"] == 400
    assert result.counters["data_blobs"] == 0


def test_a_job_that_is_stopped_is_resumed_by_the_next_request(scene: Scene, tmp_path: Path, hold: Hold) -> None:
    source = many_files(tmp_path / "source", 300)
    with running_master(scene) as bed, bed.client() as client:
        bed.start_proxy("one")
        submitted = client.submit(scene.access(), backup_order(scene.options(source, batch_files=2)))
        hold.wait()
        client.stop(submitted.run)
        hold.release()
        with pytest.raises(Interrupted):
            client.follow(submitted.run, scene.heard.observer())
        (job,) = scene.job_files()
        again = client.submit(scene.access(), backup_order(scene.options(source, batch_files=2)))
        result = client.follow(again.run, scene.heard.observer())
    assert result.resumed
    assert result.job_id == job.stem == submitted.run


def test_a_master_that_ends_leaves_a_job_that_the_next_one_resumes(scene: Scene, tmp_path: Path, hold: Hold) -> None:
    source = many_files(tmp_path / "source", 300)
    with running_master(scene) as bed, bed.client() as client:
        proxy = bed.start_proxy("one")
        client.submit(scene.access(), backup_order(scene.options(source, batch_files=2)))
        hold.wait()
        # Without it the job cannot end before its master does.
        proxy.kill()
        hold.release()
    with running_master(scene) as bed, bed.client() as client:
        bed.start_proxy("two")
        submitted = client.submit(scene.access(), backup_order(scene.options(source, batch_files=2)))
        result = client.follow(submitted.run, scene.heard.observer())
    assert result.resumed, (scene.heard.messages, result.parent, result.counters)


def test_an_error_of_the_job_is_the_commands_error(scene: Scene, source: Path) -> None:
    with running_master(scene) as bed, bed.client() as client:
        submitted = client.submit(scene.access("wrong"), backup_order(scene.options(source)))
        with pytest.raises(WrongPassword):
            client.follow(submitted.run, scene.heard.observer())


def test_a_source_that_is_not_there_is_named(scene: Scene, source: Path) -> None:
    with running_master(scene) as bed, bed.client() as client:
        submitted = client.submit(scene.access(), backup_order(scene.options(source / "absent")))
        with pytest.raises(SourceGone, match="absent"):
            client.follow(submitted.run, scene.heard.observer())


def test_a_job_waits_for_the_one_before_it(scene: Scene, source: Path) -> None:
    with running_master(scene) as bed, bed.client() as client:
        first = client.submit(scene.access(), backup_order(scene.options(source)))
        second = client.submit(scene.access(), backup_order(scene.options(source / "d00")))
        assert (first.ahead, second.ahead) == (0, 1)
        client.stop(second.run)
        bed.start_proxy("one")
        assert client.follow(first.run, scene.heard.observer()).exit_code == 0
        with pytest.raises(UsageError, match="cancelled before it began"):
            client.follow(second.run, scene.heard.observer())


def test_the_servers_end_does_not_end_the_job(scene: Scene, tmp_path: Path, hold: Hold) -> None:
    source = many_files(tmp_path / "source", 300)
    with running_master(scene) as bed, bed.client() as client:
        bed.start_proxy("one")
        submitted = client.submit(scene.access(), backup_order(scene.options(source, batch_files=2)))
        hold.wait()
        os.kill(bed.master.server.pid, signal.SIGKILL)
        hold.release()
        result = client.follow(submitted.run, scene.heard.observer())
    assert result.exit_code == 0
    assert result.counters["files_new"] == 300


def test_the_key_and_the_password_stand_in_no_file_of_a_proxy(scene: Scene, source: Path) -> None:
    with running_master(scene) as bed, bed.client() as client:
        proxy = bed.start_proxy("one")
        submitted = client.submit(scene.access(), backup_order(scene.options(source)))
        client.follow(submitted.run, scene.heard.observer())
        key = scene.open().key
        secrets = [PASSWORD.encode(), key.encrypt, key.mac_k + key.mac_r]
        places = [path.read_bytes() for path in (scene.home / "cache-one").rglob("*") if path.is_file()]
        places += [Path(f"/proc/{proxy.pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
    assert not [secret for secret in secrets for place in places if secret in place]


def test_a_proxy_that_may_not_read_what_the_master_can_takes_no_part(scene: Scene, source: Path) -> None:
    """As where a server maps root to nobody: its files must not count as unreadable."""
    if os.geteuid():
        pytest.skip("needs root, whose rights the proxy is refused")
    (source / "d07" / "f007").chmod(0)
    with running_master(scene) as bed, bed.client() as client:
        bed.start_proxy("blind", without_rights=True)
        submitted = client.submit(scene.access(), backup_order(scene.options(source)))
        with pytest.raises(EngineError, match=r"blind was expelled: it cannot read .*f007, which the master can"):
            client.follow(submitted.run, scene.heard.observer())
        bed.start_proxy("seeing")
        again = client.submit(scene.access(), backup_order(scene.options(source)))
        result = client.follow(again.run, scene.heard.observer())
    assert result.resumed
    assert result.exit_code == 0
    assert result.counters["files_new"] == 400
