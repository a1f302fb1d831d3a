"""`argosy master` and `argosy proxy` as processes of their own, with certificates, on loopback."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.cluster import server_program
from tests.support.command import Argosy
from tests.support.mortal import mortal

PATIENCE_SECONDS = 60.0
_TRIES = 10
# Below the ports that the kernel gives to outgoing connections.
_PORTS = range(20_000, 32_000)


class Daemon:
    """A running process whose lines are heard. Killed at the end of ``ExitStack`` that it was started on."""

    def __init__(self, command: list[str | bytes | Path], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            mortal(command), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        """All that it has said."""
        return "\n".join(self._lines)

    @property
    def lines_said(self) -> int:
        """How many lines it has said."""
        return len(self._lines)

    def until_said(self, *words: str, since: int = 0) -> str:
        """Wait for the first line with one of these words, or for the process's end; returns that line, or nothing.

        ``since`` lines are passed over.
        """

        def found() -> str:
            return next((line for line in self._lines[since:] if any(word in line for word in words)), "")

        with self._changed:
            assert self._changed.wait_for(lambda: found() or self._ended, PATIENCE_SECONDS), self.text
            return found()

    def end(self, number: int = signal.SIGKILL) -> int:
        """Send a signal and wait for the end; returns the exit status."""
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        return status

    def close(self) -> None:
        """Kill it, if it still runs."""
        self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self._lines.append(line.decode("utf-8", "replace").rstrip())
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


@dataclass
class Commands:
    """A cluster made by commands. ``argosy`` is the program on the master's host."""

    argosy: Argosy
    port: int = 0
    master: Daemon | None = None
    proxies: dict[str, Daemon] = field(default_factory=dict)
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        """Where the master listens."""
        return f"tls://localhost:{self.port}"

    def start_master(self, *flags: str) -> Daemon:
        """Start the master on a free port, or again on the one that it had."""
        for _ in range(_TRIES):
            port = self.port or random.choice(_PORTS)
            master = self.start("master", "--listen", f"127.0.0.1:{port}", *flags)
            if master.until_said("listening on", "already in use").startswith("listening"):
                self.port, self.master = port, master
                return master
        raise AssertionError(f"no port is free: {master.text}")

    def start_proxy(self, name: str, *flags: str) -> Daemon:
        """Give a proxy its certificate, if it has none, start it and wait until it has joined."""
        join = self.argosy.home / f"{name}.join"
        if not join.exists():
            self.argosy.run("cluster", "add", name, "--output", join)
        proxy = self.start("proxy", self.url, "--join", join, "--workers", "1", *flags, cache=f"cache-{name}")
        assert proxy.until_said("joined the master"), proxy.text
        self.proxies[name] = proxy
        return proxy

    def start(self, *arguments: str | Path, cache: str = "cache") -> Daemon:
        """Start the program with these arguments."""
        variables = {**self.argosy.variables(), "ARGOSY_CACHE_DIR": str(self.argosy.home / cache)}
        # The daemons get neither repository nor password: jobs bring them.
        for name in ("ARGOSY_REPOSITORY", "ARGOSY_PASSWORD"):
            variables.pop(name)
        daemon = Daemon([*self.argosy.command(*arguments)], variables)
        self.stack.callback(daemon.close)
        return daemon


@contextmanager
def cluster_of_commands(home: Path) -> Iterator[Commands]:
    """An initialised cluster; nothing runs yet."""
    program = Path(server_program())
    home.mkdir(exist_ok=True)
    environment = {"PATH": f"{program.parent}:{os.environ.get('PATH', os.defpath)}"}
    commands = Commands(Argosy(home, environment=environment))
    commands.argosy.run("cluster", "init", "--address", "localhost:4222")
    with commands.stack:
        yield commands


@contextmanager
def cluster_with(home: Path, *proxies: str) -> Iterator[Commands]:
    """A running master without workers, and proxies of these names."""
    with cluster_of_commands(home) as commands:
        commands.start_master("--no-workers", "--lease", "1h")
        for name in proxies:
            commands.start_proxy(name)
        yield commands


def jobs_of(cluster: Commands) -> list[dict[str, Any]]:
    """What the master says of its jobs."""
    (document,) = cluster.argosy.documents("status", "--cluster", cluster.url)
    return list(document["jobs"])


@contextmanager
def stopped_proxies(cluster: Commands) -> Iterator[None]:
    """Within, no proxy does anything: a job that is submitted cannot end. The lease is long enough."""
    processes = [proxy.process for proxy in cluster.proxies.values()]
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


def until_running(cluster: Commands) -> str:
    """Wait until the submitted job runs; its id."""
    while True:
        for job in jobs_of(cluster):
            if job["state"] == "running":
                return str(job["job_id"])


def until_followed(process: subprocess.Popen[bytes]) -> None:
    """Wait until a command with --json shows how far its job is."""
    assert process.stdout is not None
    assert any(b'"status"' in line for line in process.stdout)
