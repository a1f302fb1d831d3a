"""Backups as tests run them: in this process, or in one of their own that may be killed at any moment.

A ``Scene`` is a directory that holds a repository, a state directory and a cache. ``Scene.backup`` runs a backup here,
``Scene.start`` in a child process (``backup_driver.py``), with a crash point, with limits made small, without root's
rights, or with a disk that forgets what was not synced.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from argosy.operations.backup.options import BackupObserver, BackupOptions, BackupResult
from argosy.operations.session import Access
from argosy.repository.keys import ScryptNumbers
from argosy.repository.layout import FileKind
from argosy.repository.repository import Repository, init_repository, open_repository
from argosy.repository.snapshots import StoredSnapshot, load_snapshots
from argosy.sqlite import open_database
from argosy.storage.open import open_storage
from tests.support.machines import ONE_MACHINE, Machines
from tests.support.restic import PASSWORD, Restic, ResticRepository
from tests.support.trees import assert_same_tree

ROOT = Path(__file__).resolve().parents[2]
CHEAP = ScryptNumbers(n=1024, r=8, p=1)
HOST = "tester"
WORKER_FAULTS = "ARGOSY_TEST_WORKER_FAULTS"
PATIENCE_SECONDS = 100.0
_LOOK_SECONDS = 0.001

_ORDERS = ("crash", "nth", "after_directories", "limits", "faults", "power")
_OF_ONE_MACHINE = frozenset({"crash", "nth", "after_directories", "power"})
_WITHOUT_ROOT = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")


@dataclass
class Heard:
    """What an observer was told."""

    messages: list[str] = field(default_factory=list)
    unread: list[tuple[bytes, str]] = field(default_factory=list)

    def observer(self) -> BackupObserver:
        """An observer that notes everything here."""
        return BackupObserver(
            message=self.messages.append, unread=lambda path, reason: self.unread.append((path, reason))
        )


@dataclass
class Scene:
    """A repository with its password, a state directory and a cache, all below ``home``; its jobs run on ``machines``.

    A cluster's jobs have the state directory of its master.
    """

    home: Path
    machines: Machines = ONE_MACHINE
    heard: Heard = field(default_factory=Heard)

    @property
    def repository(self) -> Path:
        """The repository's directory."""
        return self.home / "repository"

    @property
    def state(self) -> Path:
        """The state directory."""
        return self.home / "state"

    def init(self) -> Scene:
        """Make the repository, with a key that is cheap to derive."""
        init_repository(open_storage(str(self.repository)), PASSWORD.encode(), scrypt=CHEAP)
        return self

    def init_like(self, other: Scene) -> Scene:
        """Make an empty repository with the other's key and cuts: equal files are equal blobs in both."""
        shutil.copytree(other.repository, self.repository, ignore=shutil.ignore_patterns("data", "index", "snap*"))
        return self

    def access(self, password: str = PASSWORD) -> Access:
        """The way to the repository."""
        return Access(str(self.repository), lambda: password.encode(), self.home / "cache")

    def options(self, *paths: Path | bytes, **options: Any) -> BackupOptions:
        """Options with this scene's host, two workers and no verification of what was just encoded.

        A Path is named relative to its parent: then the tree holds nothing of the directories above, whose times
        change whenever some test makes a directory there. Bytes are passed as they are.
        """
        given: dict[str, Any] = {"host": HOST, "workers": 2, "verify": False, **options}
        if len(paths) == 1 and isinstance(paths[0], Path):
            given["working_directory"] = os.fsencode(paths[0].parent)
            paths = (os.fsencode(paths[0].name),)
        return BackupOptions(tuple(os.fsencode(path) for path in paths), **given)

    def backup(self, *paths: Path | bytes, observer: BackupObserver | None = None, **options: Any) -> BackupResult:
        """Run a backup from this process; what its observer hears is in ``heard``."""
        self.heard = Heard()
        observer = observer or self.heard.observer()
        return self.machines.backup(self.access(), self.options(*paths, **options), self.state, observer)

    def open(self) -> Repository:
        """The repository, opened."""
        return open_repository(open_storage(str(self.repository)), PASSWORD.encode())

    def restic(self, restic: Restic) -> ResticRepository:
        """restic at this repository."""
        return restic.at(self.repository, self.home)

    def snapshots(self) -> list[StoredSnapshot]:
        """All snapshots, oldest first."""
        return load_snapshots(self.open())

    def pack_files(self) -> dict[str, int]:
        """Size by name of each pack's file, indexed or not."""
        return {path.name: path.stat().st_size for path in (self.repository / "data").rglob("*") if path.is_file()}

    def indexed_packs(self) -> dict[str, list[bytes]]:
        """The blobs of each pack that an index names."""
        repository = self.open()
        found: dict[str, list[bytes]] = {}
        for identity in repository.list_ids(FileKind.INDEX):
            for pack in repository.load_index(identity).packs:
                found[pack.id.hex()] = [blob.id for blob in pack.blobs]
        return found

    def blobs_twice(self) -> int:
        """How many blobs stand in more than one indexed pack."""
        counted = Counter(blob for blobs in self.indexed_packs().values() for blob in blobs)
        return sum(count > 1 for count in counted.values())

    def job_files(self) -> list[Path]:
        """The files of unfinished jobs."""
        return sorted((self.state / "jobs").glob("*.job"))

    def job(self) -> JobFile:
        """What stands in the one unfinished job's file."""
        (path,) = self.job_files()
        job = read_job(path)
        assert job is not None
        return job

    def edit_job(self, sql: str, bindings: Sequence[Any] = ()) -> None:
        """Change the one unfinished job's file, as time or another hand would."""
        (path,) = self.job_files()
        database = open_database(path, durable=True)
        try:
            database.execute(sql, bindings)
        finally:
            database.close()

    def read_job(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the one unfinished job's file."""
        (path,) = self.job_files()
        database = open_database(path, durable=False)
        try:
            return database.execute(sql)
        finally:
            database.close()

    @contextmanager
    def start(self, *paths: Path | bytes, **spec: Any) -> Iterator[Child]:
        """Start a backup in a process group of its own; it is killed at the end if it still runs.

        On a cluster, that process is the master, with a proxy of its own.

        ``spec``: ``confined`` takes root's rights away; ``crash``, ``nth``, ``after_directories``, ``limits``,
        ``faults`` and ``power`` see ``backup_driver.py``; anything else is an option of the backup.
        """
        confined = spec.pop("confined", False)
        own = {name: spec.pop(name) for name in _ORDERS if name in spec}
        assert not self.machines.is_cluster or not _OF_ONE_MACHINE & own.keys(), "a master is not told where to die"
        order: dict[str, Any] = {
            **own,
            "home": str(self.home),
            "paths": [os.fsdecode(path) for path in paths],
            "options": spec,
            "cluster": self.machines.is_cluster,
        }
        self.machines.used += 1
        command = [sys.executable, "-m", "tests.support.backup_driver"]
        if confined and os.geteuid() == 0:
            command = [*_WITHOUT_ROOT, *command]
        environment = dict(os.environ, PYTHONPATH=f"{ROOT / 'src'}:{ROOT}")
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(order).encode("ascii") + b"\n")
            process.stdin.flush()
            yield Child(process)
        finally:
            if process.poll() is None:
                kill_group(process)
            process.communicate()

    def run(self, *paths: Path | bytes, **spec: Any) -> Outcome:
        """Run a backup in a child process to its end, whatever that is."""
        with self.start(*paths, **spec) as child:
            return child.end()

    def scanned(self) -> list[bytes]:
        """Each directory that children of this scene listed, in order, with repetitions; forgets them."""
        log = self.home / "scanned"
        found = [os.fsencode(json.loads(line)) for line in log.read_text().splitlines()] if log.exists() else []
        log.unlink(missing_ok=True)
        return found


@dataclass(frozen=True)
class JobFile:
    """What an interrupted job's file says."""

    id: str
    frontier: Mapping[bytes, frozenset[bytes]]
    in_progress: frozenset[bytes]
    packs: frozenset[str]
    batches: Mapping[int, str]


def read_job(path: Path) -> JobFile | None:
    """Read a job file that nobody runs; None if it died before its first commit.

    ``frontier`` maps paths to the subdirectories handed out before.
    """
    database = open_database(path, durable=False)
    try:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'job'"):
            return None
        if not database.execute("SELECT 1 FROM job WHERE key = 'record'"):
            return None
        known: dict[bytes, frozenset[bytes]] = {}
        busy = set()
        for place, thread, names in database.execute("SELECT path, thread, known_subdirectories FROM frontier"):
            known[place] = frozenset() if names is None else frozenset(msgspec.msgpack.decode(names, type=list[bytes]))
            if thread is not None:
                busy.add(place)
        packs = frozenset(row[0].hex() for row in database.execute("SELECT pack_id FROM packs"))
        batches = {row[0]: row[1] for row in database.execute("SELECT seq, state FROM batches")}
    finally:
        database.close()
    return JobFile(path.stem, known, frozenset(busy), packs, batches)


@dataclass(frozen=True)
class Outcome:
    """How a child ended. ``document`` is what it said last: the result, or the error with its exit code."""

    returncode: int
    document: Mapping[str, Any]
    errors: str

    @property
    def killed(self) -> bool:
        """Whether it died by SIGKILL."""
        return self.returncode == -signal.SIGKILL

    @property
    def tree_id(self) -> str:
        """The snapshot's tree; the test fails if the backup did not end well."""
        if "tree" not in self.document:
            pytest.fail(f"the backup ended with {self.returncode}: {dict(self.document)}\n{self.errors}")
        return str(self.document["tree"])

    def __getitem__(self, key: str) -> Any:
        if key not in self.document:
            pytest.fail(f"the backup ended with {self.returncode}: {dict(self.document)}\n{self.errors}")
        return self.document[key]


class Child:
    """A backup in a process of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def end(self, timeout_seconds: float = PATIENCE_SECONDS) -> Outcome:
        """Wait for its end."""
        output, errors = self.process.communicate(timeout=timeout_seconds)
        lines = [line for line in output.splitlines() if line.startswith(b"{")]
        document = json.loads(lines[-1]) if lines else {}
        return Outcome(self.process.returncode, document, errors.decode("utf-8", "replace"))

    def kill_at(self, processor_seconds: float) -> Outcome:
        """Kill the whole process group once the process has used so much processor time, unless it ends before.

        Of all measures of how far a run has come this is the one that every moment of it has, from the first import to
        the last write, and that a busy machine hardly changes.
        """
        while self.process.poll() is None and self._processor_seconds() < processor_seconds:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_LOOK_SECONDS)
        if self.process.returncode is None:
            kill_group(self.process)
        return self.end()

    def _processor_seconds(self) -> float:
        # The clock of another process, as clock_getcpuclockid(3) numbers it.
        try:
            return time.clock_gettime(~self.process.pid << 3 | 2)
        except OSError:
            return 0.0  # it has just ended

    def workers(self) -> list[int]:
        """The process ids of its workers."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the process and all that it started."""
    os.killpg(process.pid, signal.SIGKILL)


def scanned_in_vain(before: Sequence[bytes], job: JobFile, after: Sequence[bytes]) -> list[bytes]:
    """Directories listed by both runs although the job's file had them finished at the time of the crash."""
    again = set(before).intersection(after)
    return sorted(path for path in again if not _unfinished(path, job))


def _unfinished(path: bytes, job: JobFile) -> bool:
    """Whether a resume may list it: its row was there, or nobody had heard of it or of a directory above it."""
    child = path
    while child not in job.frontier:
        parent, _, name = child.rpartition(b"/")
        if parent in job.frontier:
            return name not in job.frontier[parent]
        if not parent:
            return False
        child = parent
    return child == path


def assert_sound(scene: Scene, restic: Restic) -> None:
    """restic finds nothing wrong with the repository, all data read. Stale locks are removed before."""
    at = scene.restic(restic)
    at.run("unlock")
    at.check()


def assert_restores(scene: Scene, restic: Restic, source: Path, *, ignore: frozenset[str] = frozenset()) -> None:
    """restic restores the latest snapshot of ``source`` to something equal to it."""
    target = scene.home / "restored"
    scene.restic(restic).run("restore", "latest", "--target", target)
    assert_same_tree(source, target / source.name, ignore=ignore)


def tell(figure: str) -> None:
    """A figure for whoever runs the tests with -s or -rP."""
    sys.stdout.write(f"{figure}\n")
