"""Nothing of the fixtures outlives a run of the tests that is stopped (Ctrl-C, with pytest-xdist) or killed."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.cluster import server_program
from tests.support.cluster_commands import PATIENCE_SECONDS

# python -c OWNER PATH HOME: makes a cluster, names its processes and a command's, and waits.
OWNER = """
import sys
from pathlib import Path
sys.path[:] = sys.argv[1].split(":")
from tests.support.cluster_commands import cluster_with
with cluster_with(Path(sys.argv[2]), "nas-1") as cluster:
    watching = ("status", "--cluster", cluster.url, "--watch", "--json")
    with cluster.argosy.started(*watching) as command:
        command.stdout.readline()
        print(cluster.proxies["nas-1"].process.pid, cluster.master.process.pid, command.pid, flush=True)
        sys.stdin.read()
"""


def test_a_cluster_goes_with_whoever_started_it(tmp_path: Path) -> None:
    server_program()
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv: apt-get install util-linux")
    command = [sys.executable, "-c", OWNER, ":".join(sys.path), str(tmp_path / "home")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner, ExitStack() as stack:
        assert owner.stdout is not None
        daemons = [int(pid) for pid in owner.stdout.readline().split()]
        assert len(daemons) == 3
        descriptors = [os.pidfd_open(pid) for pid in (*daemons, *map(int, children_of(*daemons)))]
        for descriptor in descriptors:
            stack.callback(os.close, descriptor)
        assert len(descriptors) > len(daemons), "nats-server is a child of the master's"
        owner.kill()
        for descriptor in descriptors:
            assert select.select([descriptor], [], [], PATIENCE_SECONDS)[0], "it outlives its owner"


def children_of(*parents: int) -> list[str]:
    """The processes that these have started."""
    return [
        pid
        for parent in parents
        for task in Path(f"/proc/{parent}/task").iterdir()
        for pid in (task / "children").read_text(encoding="ascii").split()
    ]
