"""The bed itself: what it promises to the tests that stand on it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cluster.bed import Bed, Host, why_no_bed

LISTEN = """
import socket
with socket.create_server(("", 7)) as server:
    print("listening", flush=True)
    while True:
        connection, _ = server.accept()
        while connection.recv(65536):
            pass
        connection.close()
"""
# python -c SEND ADDRESS BYTES SECONDS: sends and waits for the other's end; prints how long it took
SEND = """
import socket, sys, time
begin = time.monotonic()
with socket.create_connection((sys.argv[1], 7), float(sys.argv[3])) as connection:
    connection.sendall(bytes(int(sys.argv[2])))
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)
print(time.monotonic() - begin)
"""


@pytest.fixture
def bed() -> Iterator[Bed]:
    if reason := why_no_bed():
        pytest.skip(reason)
    with Bed() as bed:
        yield bed


def listening(bed: Bed, host: Host) -> None:
    daemon = bed.spawn(host, sys.executable, "-c", LISTEN, environment={})
    assert daemon.until_said("listening")


def send(bed: Bed, host: Host, to: Host, size_bytes: int, seconds: float = 60.0) -> float:
    """Seconds until all was received."""
    done = bed.run(host, sys.executable, "-c", SEND, to.address, str(size_bytes), str(seconds))
    return float(done.stdout)


def test_a_link_has_its_rate_and_can_be_cut_and_mended(bed: Bed) -> None:
    one, two = bed.add("one"), bed.add("two")
    listening(bed, two)
    send(bed, one, two, 1_000)
    bed.limit(one, 4_000_000)
    assert send(bed, one, two, 500_000) > 0.8 * (500_000 - 2 * 65_536) * 8 / 4_000_000
    bed.cut(two)
    with pytest.raises(subprocess.CalledProcessError, match="exit status 1"):
        send(bed, one, two, 1, seconds=0.5)
    bed.mend(two)
    send(bed, one, two, 1)


def test_hosts_have_names_and_mounts_of_their_own(bed: Bed, tmp_path: Path) -> None:
    one, two = bed.add("one"), bed.add("two")
    bed.run(one, "mount", "-t", "tmpfs", "tmpfs", tmp_path)
    (tmp_path / "outside").touch()
    assert bed.run(one, "ls", tmp_path).stdout == ""
    assert bed.run(two, "ls", tmp_path).stdout == "outside\n"
    assert bed.run(two, "uname", "-n").stdout == "two\n"


def _until_it_sleeps(host: Host) -> int:
    """The pid of the host's `sleep`: until it is executed it is a shell."""
    deadline = time.monotonic() + 60
    while True:
        for pid in host.processes():
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep"):
                return pid
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_nothing_of_a_bed_is_left(tmp_path: Path) -> None:
    if reason := why_no_bed():
        pytest.skip(reason)
    with Bed() as bed:
        host = bed.add("one")
        bed.run(host, "mount", "-t", "tmpfs", "tmpfs", tmp_path)
        # A program whose parent has gone is the host's all the same.
        bed.run(host, "sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!")
        orphan = _until_it_sleeps(host)
        namespaces = Path(f"/proc/{host.pid}/ns")
    assert not namespaces.exists()
    assert not Path(f"/proc/{orphan}/root/bin").exists()
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text(encoding="utf-8")


# python -c OWNER PATH: makes a bed with a program on a host, names the processes, and waits.
OWNER = """
import sys
sys.path[:] = sys.argv[1].split(":")
from tests.cluster.bed import Bed
with Bed() as bed:
    host = bed.add("one")
    program = bed.spawn(host, "sleep", "1000", environment={})
    print(host.pid, program.process.pid, flush=True)
    sys.stdin.read()
"""


def test_a_bed_goes_with_whoever_made_it() -> None:
    if reason := why_no_bed():
        pytest.skip(reason)
    command = [sys.executable, "-c", OWNER, ":".join(sys.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner, ExitStack() as stack:
        assert owner.stdout is not None
        descriptors = [os.pidfd_open(int(pid)) for pid in owner.stdout.readline().split()]
        for descriptor in descriptors:
            stack.callback(os.close, descriptor)
        assert len(descriptors) == 2
        owner.kill()
        for descriptor in descriptors:
            assert select.select([descriptor], [], [], 60)[0], "it outlives its owner"
