"""A master with proxies on loopback, for tests of whole jobs: real servers, real processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from argosy.daemon.client import Client, connected
from argosy.daemon.master import Master, MasterSettings
from tests.support.backups import Scene
from tests.support.cluster import server_program

PATIENCE_SECONDS = 60.0

WITHOUT_ROOTS_RIGHTS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")

# A proxy in a process of its own: python -c PROXY PATH URL NAME WORKERS CACHE
PROXY = """
import sys
sys.path[:] = sys.argv[1].split(":")
from pathlib import Path
from argosy.daemon.proxy import Proxy, ProxySettings
with Proxy(ProxySettings(sys.argv[2], sys.argv[3], int(sys.argv[4]), Path(sys.argv[5])), lambda text: None):
    sys.stdin.read()
"""


class Said:
    """What a master has said; from any thread."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._changed = threading.Condition()

    def hear(self, words: str) -> None:
        """It says something."""
        with self._changed:
            self._lines.append(words)
            self._changed.notify_all()

    def wait_for(self, words: str) -> None:
        """Wait until it has said something with these words."""
        with self._changed:
            assert self._changed.wait_for(self._said(words), PATIENCE_SECONDS), self._lines

    def _said(self, words: str) -> Callable[[], bool]:
        return lambda: any(words in line for line in self._lines)


@dataclass
class TestBed:
    """A master in this process and proxies in their own."""

    __test__ = False  # a support class, whatever its name

    home: Path
    master: Master
    url: str
    said: Said
    proxies: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def until_said(self, words: str) -> None:
        """Wait until the master has said something with these words."""
        self.said.wait_for(words)

    def start_proxy(self, name: str, workers: int = 1, *, without_rights: bool = False) -> subprocess.Popen[bytes]:
        """Start a proxy and wait until it has joined; ``without_rights`` it is a root that modes apply to."""
        command = [
            *(WITHOUT_ROOTS_RIGHTS if without_rights else ()),
            sys.executable,
            "-c",
            PROXY,
            ":".join(sys.path),
            self.url,
            name,
            str(workers),
        ]
        proxy = subprocess.Popen([*command, str(self.home / f"cache-{name}")], stdin=subprocess.PIPE)
        self.proxies[name] = proxy
        self.until_said(f"{name} joined")
        return proxy

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client of the master."""
        with connected(self.url, "operator", None, PATIENCE_SECONDS) as client:
            yield client

    def close(self) -> None:
        """End the proxies."""
        for proxy in self.proxies.values():
            assert proxy.stdin is not None
            proxy.kill()
            proxy.wait()
            proxy.stdin.close()


@contextmanager
def running_master(scene: Scene, *, workers: int = 0, lease_seconds: float = 3.0) -> Iterator[TestBed]:
    """A master whose jobs have the scene's state directory."""
    server_program()
    with ExitStack() as stack:
        settings = MasterSettings(
            "127.0.0.1", 0, workers, scene.state, scene.home / "master-cache", lease_seconds=lease_seconds
        )
        said = Said()
        master = stack.enter_context(Master(settings, said.hear))
        bed = TestBed(scene.home, master, f"nats://127.0.0.1:{master.server.port}", said)
        stack.callback(bed.close)
        yield bed
