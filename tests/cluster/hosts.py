"""A whole cluster on a bed: a store, a master and proxies, each on a host of its own, run by the command line alone.

All hosts see the same folders, since mounts are the only difference between their file systems. The share is a bind
mount of ``source``, so that any host can lose it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.cluster.bed import Bed, Host
from tests.support.cluster import server_program
from tests.support.cluster_commands import Daemon
from tests.support.command import Argosy, decode_lines
from tests.support.servers import S3Server, started_seaweedfs
from tests.support.worker_processes import is_worker

PORT = 4222
LEASE_SECONDS = 3.0
PATIENCE_SECONDS = 240.0
_POLL_SECONDS = 0.1
# python -c … PATH LOCATION
_SUM = """
import os, sys
sys.path[:] = sys.argv[1].split(":")
from argosy.storage.open import open_storage
from argosy.storage.options import StorageOptions
storage = open_storage(sys.argv[2], StorageOptions(credentials=dict(os.environ)))
print(sum(found.size_bytes for found in storage.list("data/")))
"""


@dataclass(frozen=True)
class OnHost(Argosy):
    """The program on a host of the bed, in ``home``."""

    inside: tuple[str, ...] = ()

    def command(self, *arguments: str | bytes | Path) -> list[str | bytes | Path]:
        """Entering a host leads to its root directory, so that the way home is part of the words."""
        return [*self.inside, "env", "-C", self.home, *super().command(*arguments)]

    def exit_code(self, *arguments: str | Path) -> int:
        """Run it for its exit code alone."""
        command, variables = self.command(*arguments), self.variables()
        return subprocess.run(command, env=variables, capture_output=True, check=False).returncode


@dataclass
class Cluster:
    """A cluster; ``running`` are its daemons by the names of their hosts."""

    bed: Bed
    home: Path
    source: Path
    store: S3Server | None = None
    hosts: dict[str, Host] = field(default_factory=dict)
    running: dict[str, Daemon] = field(default_factory=dict)

    @property
    def share(self) -> Path:
        """Where each host has the source mounted."""
        return self.home / "share"

    @property
    def url(self) -> str:
        """Where the master listens."""
        return f"tls://{self.hosts['master'].address}:{PORT}"

    @property
    def argosy(self) -> OnHost:
        """The program on the master's host, with the password and the store's keys."""
        keys = self.store.credentials if self.store else {}
        return OnHost(self.home, environment={**_path(), **keys}, inside=self.hosts["master"].inside)

    def add_host(self, name: str) -> None:
        """A member's host, which has mounted the share."""
        self.hosts[name] = self.bed.add(name)
        self.mount(name, self.source, self.share)

    def mount(self, name: str, what: Path, where: Path) -> None:
        """Let a host see ``what`` at ``where`` (a folder)."""
        self.bed.run(self.hosts[name], "mount", "--bind", what, where)

    def unmount(self, name: str, where: Path) -> None:
        """As when a share goes away under those who use it."""
        self.bed.run(self.hosts[name], "umount", "--lazy", where)

    def limit(self, bits_per_second: int) -> None:
        """The rate of each member's link."""
        for name, host in self.hosts.items():
            if name != "store":
                self.bed.limit(host, bits_per_second)

    def start_master(self) -> Daemon:
        """Start the master, which has the password in a file of its own, and wait until it listens."""
        password = self.home / "password"
        password.write_text(self.argosy.password, encoding="utf-8")
        keys = self.store.credentials if self.store else {}
        lease = ("--lease", f"{LEASE_SECONDS:g}s")
        words = ("master", "--listen", f"0.0.0.0:{PORT}", "--no-workers", *lease, "-p", str(password))
        master = self._spawn("master", keys, *words)
        assert master.until_said("listening on"), master.text
        return master

    def start_proxy(self, name: str, environment: Mapping[str, str] | None = None, *flags: str) -> Daemon:
        """Give a proxy its certificate, if it has none, start it and wait until it has joined."""
        join = self.home / f"{name}.join"
        if not join.exists():
            self.argosy.run("cluster", "add", name, "--output", join)
        proxy = self._spawn(name, environment or {}, "proxy", "--join", str(join), "--workers", "1", *flags)
        assert proxy.until_said("joined the master"), proxy.text
        return proxy

    @contextmanager
    def backing_up(self, location: str, *flags: str) -> Iterator[Backup]:
        """A backup of the share that runs; so named that no directory above it is in the snapshot."""
        words = ("backup", "--cluster", self.url, "-r", location, "--init", "--json", "--pack-size", "4", *flags)
        said_before = {daemon: daemon.lines_said for daemon in self.running.values()}
        with self.argosy.started(*words, "share") as process:
            yield Backup(self, process, said_before)

    def status(self) -> dict[str, Any]:
        """What `status --cluster` says."""
        (document,) = self.argosy.documents("status", "--cluster", self.url)
        return dict(document)

    def stored_bytes(self, location: str) -> int:
        """The bytes of a repository's packs, whether or not an index names them."""
        keys = self.store.credentials if self.store else {}
        words = (sys.executable, "-c", _SUM, ":".join(sys.path), location)
        return int(self.bed.run(self.hosts["master"], *words, environment=keys).stdout)

    def server_process(self) -> int:
        """The process of the master's nats-server."""
        for process in self.hosts["master"].processes():
            if Path(f"/proc/{process}/comm").read_text(encoding="utf-8").strip() == "nats-server":
                return process
        raise AssertionError("there is no nats-server")

    def start(self, name: str) -> None:
        """Start what runs on a host."""
        if name == "master":
            self.start_master()
        else:
            self.start_proxy(name)

    def leave(self, name: str) -> None:
        """Tell a proxy to end, and wait until the master knows."""
        master = self.running["master"]
        before = master.lines_said
        assert self.running[name].end(signal.SIGTERM) == 0
        assert master.until_said(f"{name} left", since=before), master.text

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(_POLL_SECONDS)

    def signal(self, name: str, number: int) -> None:
        """Send a signal to all processes of a host, as when the machine itself hangs."""
        for process in self.hosts[name].processes():
            os.kill(process, number)

    def workers_of(self, name: str) -> list[int]:
        """The worker processes of a member."""
        return [process for process in self.hosts[name].processes() if is_worker(process)]

    def cache_of(self, name: str) -> Path:
        """A member's cache directory."""
        return self.home / f"cache-{name}"

    def _spawn(self, name: str, environment: Mapping[str, str], *words: str) -> Daemon:
        cache = self.cache_of(name)
        cache.mkdir(exist_ok=True)
        host = self.hosts[name]
        # The bed enters the host.
        argosy = OnHost(self.home, environment={**_path(), **environment, "ARGOSY_CACHE_DIR": str(cache)})
        variables = argosy.variables()
        # Daemons get neither repository nor password from their surroundings, and a proxy has a state of its own.
        for variable in ("ARGOSY_REPOSITORY", "ARGOSY_PASSWORD"):
            variables.pop(variable)
        if name != "master":
            variables["ARGOSY_STATE_DIR"] = str(self.home / f"state-{name}")
        self.running[name] = self.bed.spawn(host, *argosy.command(*words), environment=variables)
        return self.running[name]


@dataclass
class Backup:
    """A running `argosy backup --cluster`. ``said_before`` counts the lines that each daemon had said till then."""

    cluster: Cluster
    process: subprocess.Popen[bytes]
    said_before: dict[Daemon, int]

    def until(self, what: Callable[[dict[str, Any]], bool]) -> float:
        """Wait until the job's status is so, or the job has ended; the seconds that it took."""
        begin = time.monotonic()
        while self.process.poll() is None:
            jobs = self.cluster.status()["jobs"]
            if any(what(job) for job in jobs):
                break
            assert time.monotonic() - begin < PATIENCE_SECONDS, jobs
            time.sleep(_POLL_SECONDS)
        return time.monotonic() - begin

    def until_held_by(self, *names: str) -> float:
        """Wait until each of these members holds a batch; the seconds."""
        return self.until(lambda job: all(held_by(job, name) for name in names))

    def until_begun_by(self, *names: str) -> float:
        """Wait until each of these members has begun a batch from now on; the seconds. A job that was taken up again
        shows what its members held before until they do.
        """
        now = datetime.now(UTC)
        return self.until(lambda job: all(last_begun(job, name) > now for name in names))

    def until_said(self, words: str, by: str = "master") -> float:
        """Wait until the master, or another member, says so, if it has not since this backup began; the seconds."""
        begin = time.monotonic()
        daemon = self.cluster.running[by]
        assert daemon.until_said(words, since=self.said_before.get(daemon, 0)), daemon.text
        return time.monotonic() - begin

    def held(self, name: str) -> set[int]:
        """The batches that a member holds now."""
        return set().union(*(held_by(job, name) for job in self.cluster.status()["jobs"]))

    def until_taken_from(self, name: str, batches: set[int]) -> float:
        """Wait until all of these are with others or complete, till when they read as the lost one's; the seconds."""
        return self.until(lambda job: not batches & held_by(job, name))

    def end(self) -> dict[str, Any]:
        """Wait for the end; the summary. The test fails if it does not end well."""
        output, errors = self.process.communicate(timeout=PATIENCE_SECONDS)
        assert self.process.returncode == 0, (output[-3000:], errors, self.cluster.running["master"].text[-3000:])
        return dict(decode_lines(output)[-1])


def held_by(job: dict[str, Any], name: str) -> set[int]:
    """The numbers of the batches that a member holds in a job."""
    return {batch["batch"] for member in job["members"] if member["name"] == name for batch in member["batches"]}


def last_begun(job: dict[str, Any], name: str) -> datetime:
    """When a member has last begun, or gone on with, a batch that it holds."""
    held = [batch["updated"] for member in job["members"] if member["name"] == name for batch in member["batches"]]
    return max((moment_of(updated) for updated in held if updated), default=datetime.fromtimestamp(0, UTC))


def moment_of(text: str) -> datetime:
    """A time in a document."""
    return datetime.fromisoformat(text[:26].rstrip("Z") + "+00:00")


def cluster_on(bed: Bed, home: Path, source: Path, *proxies: str) -> Cluster:
    """A cluster with a store, certificates and hosts; of the daemons none runs yet."""
    server_program()
    cluster = Cluster(bed, home, source)
    cluster.share.mkdir(parents=True)
    cluster.hosts["store"] = store = bed.add("store")
    (home / "seaweedfs").mkdir()
    cluster.store = bed.enter(started_seaweedfs(home / "seaweedfs", store.address, store.inside))
    for name in ("master", *proxies):
        cluster.add_host(name)
    cluster.argosy.run("cluster", "init", "--address", f"{cluster.hosts['master'].address}:{PORT}")
    return cluster


def _path() -> dict[str, str]:
    return {"PATH": f"{Path(server_program()).parent}:{os.environ.get('PATH', os.defpath)}"}
