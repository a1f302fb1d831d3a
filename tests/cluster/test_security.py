"""What can be reached and read from other hosts: ports, strangers' certificates, and secrets on a proxy."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.certificates.addresses import Address
from argosy.certificates.cluster_directory import ClusterDirectory
from argosy.certificates.role import Role
from argosy.restic_format.crypto import MasterKey
from tests.cluster.bed import Bed, Host, why_no_bed
from tests.cluster.hosts import PORT, Cluster, OnHost, cluster_on
from tests.support.restic import PASSWORD
from tests.support.servers import SECRET_KEY

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]

SLOW = 2_000_000
DAY = 86400.0
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
# python -c ASK PATH HOST PORT JOIN NOW LINE…: what the server says to each of these lines, as if it were NOW here.
ASK = """
import sys
sys.path[:] = sys.argv[1].split(":")
from pathlib import Path
from argosy.certificates.contexts import client_context
from argosy.certificates.join_file import load_join_file
from tests.support.nats_words import talking
host, port, join, now = sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), float(sys.argv[5])
try:
    with talking((host, port), client_context(load_join_file(join, now=now)), host) as ask:
        for line in sys.argv[6:]:
            said = ask(line.encode())
            print("hung up" if b"PONG" not in said else "refused" if b"Permissions Violation" in said else "done")
except OSError as error:
    print("turned away:", error)
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
        make_older(cluster)
        cluster.start_master()
        cluster.start_proxy("nas-1")
        yield cluster


def make_older(cluster: Cluster) -> None:
    """An authority that is ten days old instead of the new one, so that a certificate of it may have expired."""
    directory = cluster.argosy.state / "cluster"
    shutil.rmtree(directory)
    address = Address(cluster.hosts["master"].address, PORT)
    ClusterDirectory(directory, lambda: time.time() - 10 * DAY).init([address])


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
    # It is not asked for long, since the answer is known.
    command = stranger.command(*status, "--join", "ann.join")
    refused = subprocess.run(command, env=stranger.variables(), capture_output=True, check=False)
    assert b"not, or no longer, in the master's register" in refused.stderr


def asked(cluster: Cluster, join: Path, *lines: str, now: float) -> list[str]:
    """What a stranger who has this file is answered."""
    address = cluster.hosts["master"].address
    words = (":".join(sys.path), address, str(PORT), str(join), str(now), *lines)
    return cluster.bed.run(cluster.hosts["stranger"], sys.executable, "-c", ASK, *words).stdout.splitlines()


def test_an_expired_certificate_is_turned_away(cluster: Cluster) -> None:
    """By the command that is given it, and by the server whoever shows it."""
    then = time.time() - 5 * DAY
    join = cluster.home / "expired.join"
    ClusterDirectory(cluster.argosy.state / "cluster", lambda: then).add("expired", Role.OPERATOR, join, [], 1)
    command = cluster.argosy.command("status", "--cluster", cluster.url, "--join", join)
    done = subprocess.run(command, env=cluster.argosy.variables(), capture_output=True, check=False)
    assert done.returncode == 1
    assert b"expired" in done.stderr
    (said,) = asked(cluster, join, "PUB argosy.control.status 0\r\n", now=then)
    assert said.startswith(("turned away", "hung up")), said


def test_a_proxys_certificate_neither_submits_a_job_nor_reads_anothers(cluster: Cluster) -> None:
    join = cluster.home / "nas-1.join"
    allowed = ("PUB argosy.member.nas-1.hello 0\r\n", "SUB _INBOX_nas-1.> 1")
    forbidden = (
        "PUB argosy.control.submit 0\r\n",
        "SUB argosy.control.> 2",
        "SUB argosy.member.> 3",
        "SUB argosy.member.nas-2.> 4",
        "SUB _INBOX_nas-2.> 5",
        "SUB > 6",
        "PUB argosy.member.nas-2.hello 0\r\n",
        "PUB argosy.member.nas-2.segment 0\r\n",
    )
    said = asked(cluster, join, *allowed, *forbidden, now=time.time())
    assert said == ["done"] * len(allowed) + ["refused"] * len(forbidden)
    assert cluster.argosy.exit_code("backup", "--cluster", cluster.url, "--join", join, "-r", "/nowhere", "share") == 1


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


def test_a_proxy_with_credentials_of_its_own_is_sent_none(cluster: Cluster) -> None:
    """Since it fails with wrong ones, although the master has the right ones, and works with those that are right."""
    assert cluster.store is not None
    location, own = cluster.store.location("own-credentials"), cluster.store.credentials
    cluster.leave("nas-1")
    proxy = cluster.start_proxy("nas-1", {**own, "AWS_SECRET_ACCESS_KEY": "another"}, "--own-credentials")
    with cluster.backing_up(location) as backup:
        _, errors = backup.process.communicate()
    assert backup.process.returncode == 1
    assert b"nas-1" in errors
    assert "takes no part in a job" in proxy.text
    cluster.leave("nas-1")
    cluster.start_proxy("nas-1", own, "--own-credentials")
    with cluster.backing_up(location) as backup:
        assert backup.end()["resumed"]
