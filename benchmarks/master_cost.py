"""What a batch costs a cluster's master: ``python -m benchmarks.master_cost``. Needs nats-server.

A master without workers and one proxy on this machine. Four first backups: few and many empty files, 1,024 to a batch,
and few and many files of 65 MiB without data, each a batch of its own. The differences say what a batch more costs the
master's process (scan, hand-out, result, database) and the server beside it, in seconds of a processor; what any job
costs falls out. What depends on time alone (a few commits and looks a second) does not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from argosy.archiver.open_batch import BatchLimits
from benchmarks.data import make_empty_files
from benchmarks.memory import process_tree
from benchmarks.process import own_cpu_seconds
from tests.support.cluster_commands import Commands, cluster_of_commands

ENTRIES = (20_000, 120_000)
BATCHES = (20, 120)


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of a processor, of the master's process and of those that it started: the server."""

    master: float
    server: float

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.master - other.master, self.server - other.server)

    def by(self, count: float) -> Spent:
        """A part of it."""
        return Spent(self.master / count, self.server / count)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.master_cost", description="What the master spends.")
    parser.add_argument("--scale", default=1.0, type=float, metavar="X", help="so many times as much: 0.1 to try")
    parser.add_argument("--directory", type=Path, metavar="DIR", help="where to work (the folder for temporary files)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="argosy-master-", dir=given.directory) as directory:
        costs = _measure(Path(directory), given.scale)
    for name, spent in zip(("one file of 65 MiB", f"{BatchLimits().files:,} empty files"), costs, strict=True):
        sys.stdout.write(
            f"a batch of {name}: {spent.master * 1e3:.2f} ms of the master, {spent.server * 1e3:.2f} of NATS\n"
        )
    return 0


def _measure(directory: Path, scale: float) -> tuple[Spent, Spent]:
    """What a batch of each kind costs."""
    entries, batches = ([round(count * scale) for count in counts] for counts in (ENTRIES, BATCHES))
    with cluster_of_commands(directory / "cluster") as cluster:
        master = cluster.start_master("--no-workers", "--lease", "1h").process.pid
        cluster.start_proxy("nas-1")
        spent = {}
        # The first job imports what jobs need.
        for kind, count in (
            ("entries", 10),
            *(("batches", each) for each in batches),
            *(("entries", each) for each in entries),
        ):
            source = directory / f"{kind}-{count}"
            if kind == "entries":
                make_empty_files(source, count)
            else:
                _make_files_without_data(source, count)
            spent[kind, count] = _job(cluster, master, source)
    few, many = (spent["batches", count] for count in batches)
    large = (many - few).by(batches[1] - batches[0])
    few, many = (spent["entries", count] for count in entries)
    return large, (many - few).by((entries[1] - entries[0]) / BatchLimits().files)


def _make_files_without_data(source: Path, count: int) -> None:
    source.mkdir()
    for number in range(count):
        with open(source / f"f{number:04}", "wb") as file:
            file.truncate(BatchLimits().bytes + (1 << 20))


def _job(cluster: Commands, master: int, source: Path) -> Spent:
    before = _spent(master)
    repository = source.with_name(f"{source.name}.repository")
    cluster.argosy.run("backup", "-r", repository, "--init", "--cluster", cluster.url, source)
    return _spent(master) - before


def _spent(master: int) -> Spent:
    server = sum(map(own_cpu_seconds, process_tree(master)[1:]))
    return Spent(own_cpu_seconds(master), server)


if __name__ == "__main__":
    sys.exit(main())
