"""Hosts on one machine: namespaces for network, mounts and host name, each host linked to one switch by a veth pair.

A host is held by a process that ends with this one, however that ends, and the kernel ends what runs on the host
likewise. Links, addresses, mounts and bridges lie inside the namespaces and go with them. So nothing of a bed can be
seen from outside, nothing needs a name of its own, and any number of beds run side by side.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from tests.support.cluster_commands import Daemon

PROGRAMS = ("ip", "tc", "unshare", "nsenter", "setpriv")
_NETWORK = "10.77.0"
_BURST_BYTES = 65_536
_LATENCY = "200ms"
_END_SECONDS = 30.0

Entered = TypeVar("Entered")


class Host:
    """One host of a bed: ``name`` is its host name, ``address`` that of its link."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.address = f"{_NETWORK}.{number}"
        script = f"echo {name} > /proc/sys/kernel/hostname && ip link set lo up && echo ready && exec cat"
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--uts", "--propagation", "private", "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"ready\n":
            self.close()
            raise OSError(f"the host {name} cannot be made")

    @property
    def pid(self) -> int:
        """The process that holds the namespaces."""
        return self._holder.pid

    @property
    def inside(self) -> tuple[str, ...]:
        """The words before a command that is to run on this host; it dies with the thread that starts it."""
        return ("setpriv", "--pdeathsig", "KILL", "nsenter", f"--target={self.pid}", "--net", "--mount", "--uts", "--")

    def processes(self) -> Iterator[int]:
        """All that run on this host but its holder."""
        ours = self._network_of(self.pid)
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self.pid and self._network_of(int(entry.name)) == ours:
                yield int(entry.name)

    def close(self) -> None:
        """End all that runs on it, and the host."""
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        assert self._holder.stdin is not None
        assert self._holder.stdout is not None
        self._holder.stdin.close()
        self._holder.wait(_END_SECONDS)
        self._holder.stdout.close()

    @staticmethod
    def _network_of(process: int) -> str:
        try:
            return os.readlink(f"/proc/{process}/ns/net")
        except OSError:  # it has ended
            return ""


class Bed:
    """A switch and hosts; they are there from ``__enter__`` to ``__exit__``."""

    def __enter__(self) -> Self:
        self._stack = contextlib.ExitStack()
        try:
            self._switch = self._make("switch", 0)
            self.run(self._switch, "ip", "link", "add", "bridge", "type", "bridge")
            self.run(self._switch, "ip", "link", "set", "bridge", "up")
        except BaseException:
            self._stack.close()
            raise
        self._hosts = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, name: str) -> Host:
        """A new host, linked without limit."""
        self._hosts += 1
        host = self._make(name, self._hosts)
        port = _port(host)
        peer = ("peer", "name", "eth0", "netns", str(host.pid))
        self.run(self._switch, "ip", "link", "add", port, "type", "veth", *peer)
        self.run(self._switch, "ip", "link", "set", port, "master", "bridge", "up")
        self.run(host, "ip", "address", "add", f"{host.address}/24", "dev", "eth0")
        self.run(host, "ip", "link", "set", "eth0", "up")
        return host

    def limit(self, host: Host, bits_per_second: int) -> None:
        """Let this host send, and be sent, no more than that."""
        limit = ("root", "tbf", "rate", f"{bits_per_second}bit", "burst", str(_BURST_BYTES), "latency", _LATENCY)
        self.run(host, "tc", "qdisc", "replace", "dev", "eth0", *limit)
        self.run(self._switch, "tc", "qdisc", "replace", "dev", _port(host), *limit)

    def cut(self, host: Host) -> None:
        """Pull the cable: what is sent is lost, and nobody is told."""
        self.run(self._switch, "ip", "link", "set", _port(host), "down")

    def mend(self, host: Host) -> None:
        """Plug it in again."""
        self.run(self._switch, "ip", "link", "set", _port(host), "up")

    def run(
        self, host: Host, *command: str | Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host to its end; CalledProcessError, with what it printed, if it fails."""
        done = subprocess.run(
            [*host.inside, *map(str, command)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            error = subprocess.CalledProcessError(done.returncode, command, done.stdout)
            error.add_note(done.stdout)
            raise error
        return done

    def spawn(self, host: Host, *command: str | bytes | Path, environment: Mapping[str, str]) -> Daemon:
        """Start a program on a host; it is killed with the bed at the latest."""
        return self.enter(contextlib.closing(Daemon([*host.inside, *command], dict(environment))))

    def enter(self, context: contextlib.AbstractContextManager[Entered]) -> Entered:
        """Enter a context that is left before the hosts are taken away."""
        return self._stack.enter_context(context)

    def _make(self, name: str, number: int) -> Host:
        host = Host(name, number)
        self._stack.callback(host.close)
        return host


def why_no_bed() -> str:
    """What keeps this machine from having a bed, or nothing."""
    if os.geteuid():
        return "needs root, who may make network namespaces"
    if lacking := [name for name in PROGRAMS if shutil.which(name) is None]:
        return f"needs {' and '.join(lacking)}: apt-get install iproute2 util-linux"
    try:
        with Bed() as bed:
            bed.limit(bed.add("trial"), 1_000_000)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "output", None) or error
        return f"needs rights and a kernel for namespaces, bridges, veth and tbf: {said}"
    return ""


def _port(host: Host) -> str:
    return f"port{host.number}"
