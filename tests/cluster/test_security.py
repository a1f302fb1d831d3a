"""What can be reached and read from other hosts: ports, strangers' certificates, and secrets on a proxy."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.restic_format.crypto import MasterKey
from tests.cluster.bed import Bed, Host, why_no_bed
from tests.cluster.hosts import PORT, Cluster, OnHost, cluster_on
from tests.support.restic import PASSWORD
from tests.support.servers import SECRET_KEY

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]

SLOW = 2_000_000
_LISTENS = "0A"
_LOOPBACK = ("0100007F", "00000000000000000000000001000000")

# python -c SCAN ADDRESS: the ports that take a connection.
SCAN = """
import socket, sys
for port in range(1, 65536):
    with socket.socket() as one:
        one.settimeout(10)
        if one.connect_ex((sys.argv[1], port)) == 0:
            print(port)
"""
# python -c GREET ADDRESS PORT: what the server says to whoever shows no certificate.
GREET = """
import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as plain:
    try:
        with context.wrap_socket(plain) as connection:
            print("heard", connection.recv(4096))
    except OSError as error:
        print("refused", error)
"""
# python -c STREAMS PATH URL CERTS: all that the server's streams hold, a message a line: "message", and base64.
STREAMS = """
import sys
sys.path[:] = sys.argv[1].split(":")
import asyncio, base64
from pathlib import Path
import nats
from argosy.certificates.cluster_directory import ClusterDirectory
from argosy.certificates.contexts import client_context
from argosy.certificates.role import Role

async def main():
    tls = client_context(ClusterDirectory(Path(sys.argv[3])).own(Role.MASTER))
    client = await nats.connect(sys.argv[2], tls=tls, tls_handshake_first=True)
    jetstream = client.jetstream()
    for stream in await jetstream.streams_info():
        for number in range(stream.state.first_seq, stream.state.last_seq + 1):
            try:
                message = await jetstream.get_msg(stream.config.name, number)
            except nats.js.errors.NotFoundError:
                continue
            print("message", base64.b64encode((message.subject or "").encode() + b" " + (message.data or b"")).decode())
    await client.close()

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master and a proxy that run, and a host of a stranger."""
    if reason := why_no_bed():
        pytest.skip(reason)
    source = tmp_path_factory.mktemp("source")
    for directory in range(8):
        (source / f"d{directory}").mkdir()
        for file in range(1_000):
            (source / f"d{directory}" / f"f{file:03}").write_bytes(os.urandom(2_000))
    with Bed() as bed:
        cluster = cluster_on(bed, tmp_path_factory.mktemp("cluster"), source, "nas-1")
        cluster.hosts["stranger"] = bed.add("stranger")
        cluster.start_master()
        cluster.start_proxy("nas-1")
        yield cluster


def listeners(host: Host) -> set[int]:
    """The TCP ports on which something listens for other hosts."""
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{host.pid}/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            address, port = local.split(":")
            if state == _LISTENS and address not in _LOOPBACK:
                ports.add(int(port, 16))
    return ports


@pytest.mark.parametrize(("name", "expected"), [("master", [PORT]), ("nas-1", [])])
def test_only_the_masters_one_port_is_open(cluster: Cluster, name: str, expected: list[int]) -> None:
    host = cluster.hosts[name]
    scan = cluster.bed.run(cluster.hosts["stranger"], sys.executable, "-c", SCAN, host.address)
    assert [int(line) for line in scan.stdout.splitlines()] == expected
    assert sorted(listeners(host)) == expected
    udp = Path(f"/proc/{host.pid}/net/udp").read_text(encoding="ascii").splitlines()[1:]
    assert udp == []


def test_who_shows_no_certificate_hears_nothing(cluster: Cluster) -> None:
    address = cluster.hosts["master"].address
    said = cluster.bed.run(cluster.hosts["stranger"], sys.executable, "-c", GREET, address, str(PORT)).stdout
    assert said.startswith("refused") or said == "heard b''\n"


def test_a_strangers_and_a_revoked_certificate_are_refused(cluster: Cluster) -> None:
    stranger = OnHost(cluster.home, environment=cluster.argosy.environment, inside=cluster.hosts["stranger"].inside)
    address = f"{cluster.hosts['master'].address}:{PORT}"
    cluster.argosy.run("cluster", "init", "--certs", "theirs", "--address", address)
    cluster.argosy.run("cluster", "add", "ann", "--role", "operator", "--output", "ann.join")
    status = ("status", "--cluster", cluster.url)
    with stranger.started(*status, "--certs", "theirs") as theirs:
        stranger.run(*status, "--join", "ann.join")
        cluster.argosy.run("cluster", "revoke", "ann")
        cluster.until(lambda: stranger.exit_code(*status, "--join", "ann.join") == 1)
        _, errors = theirs.communicate()
    assert theirs.returncode == 1
    assert b"no connection" in errors


def forms(secret: bytes) -> list[bytes]:
    """How a secret may be written down."""
    return [secret, base64.b64encode(secret).rstrip(b"="), secret.hex().encode()]


def texts_of(cluster: Cluster, name: str) -> dict[str, bytes]:
    """Environments and command lines of a host's processes, and the files that they hold open."""
    texts = {}
    for process in cluster.hosts[name].processes():
        for what in ("environ", "cmdline"):
            texts[f"{what} of {process}"] = Path(f"/proc/{process}/{what}").read_bytes()
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            if descriptor.is_file():
                texts[f"{descriptor.readlink()} of {process}"] = descriptor.read_bytes()
    return texts


def files_below(home: Path) -> dict[str, bytes]:
    """All files but the master's password and the store's own."""
    return {
        str(path): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and path != home / "password" and home / "seaweedfs" not in path.parents
    }


def test_key_and_credentials_are_written_down_nowhere_on_a_proxy(cluster: Cluster) -> None:
    """Nor in the streams, nor anywhere in the master's state: looked for while a job runs, and after it."""
    assert cluster.store is not None
    location = cluster.store.location("secrets")
    cluster.limit(SLOW)
    with cluster.backing_up(location) as backup:
        backup.until_held_by("nas-1")
        certificates = cluster.argosy.state / "cluster"
        words = (sys.executable, "-c", STREAMS, ":".join(sys.path), cluster.url, certificates)
        said = cluster.bed.run(cluster.hosts["master"], *words).stdout.splitlines()
        dumped = [line.removeprefix("message ") for line in said if line.startswith("message ")]
        assert dumped, said
        places = texts_of(cluster, "nas-1") | files_below(cluster.home)
        places |= {f"message {number}": base64.b64decode(line) for number, line in enumerate(dumped)}
        cluster.limit(1_000_000_000)
        backup.end()
    places |= {f"{name} afterwards": text for name, text in files_below(cluster.home).items()}
    key = MasterKey.from_json(cluster.argosy.run("cat", "masterkey", "-r", location).stdout)
    secrets = [PASSWORD.encode(), SECRET_KEY.encode(), key.encrypt, key.mac_k, key.mac_r]
    # What is looked for can be found: the master's own password file, and a process that was given the store's keys.
    assert PASSWORD.encode() in (cluster.home / "password").read_bytes()
    assert any(SECRET_KEY.encode() in text for text in texts_of(cluster, "master").values())
    found = [place for place, text in places.items() for secret in secrets for form in forms(secret) if form in text]
    assert not found
