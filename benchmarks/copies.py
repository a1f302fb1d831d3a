"""What a cluster stores of the same data in four directories: ``python -m benchmarks.copies``. Needs root and iproute2.

Hosts are as in ``benchmarks/cluster.py``: a master without workers, a store, and four proxies of one worker each, with
no limits. Files are random bytes, so that one copy of them is what any tool stores. *In sequence* the four directories
lie one behind the other; *interleaved* the four copies of a file lie side by side: several members meet the same new
content at once.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.cluster.bed import Bed, why_no_bed
from tests.cluster.hosts import cluster_on
from tests.support.command import decode_lines

COPIES = 4
GOAL = 1.05
_FILE_BYTES = (2_000_000, 40_000_000)
_MEMBERS = tuple(f"nas-{number}" for number in range(1, 5))


def main() -> int:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.copies", description="Measure what copies cost.")
    parser.add_argument("--megabytes", default=1000, type=int, metavar="N", help="of each copy (1000)")
    parser.add_argument("--directory", type=Path, metavar="DIR", help="where to work (the folder for temporary files)")
    given = parser.parse_args()
    if reason := why_no_bed():
        sys.stderr.write(f"benchmarks: {reason}\n")
        return 1
    sys.stdout.write("| order | files of | stored by one copy | seconds |\n| --- | --- | --- | --- |\n")
    for interleaved in (False, True):
        for file_bytes in _FILE_BYTES:
            with tempfile.TemporaryDirectory(prefix="argosy-benchmark-", dir=given.directory) as home:
                source = Path(home) / "source"
                one_copy = _make(source, given.megabytes * 1_000_000 // file_bytes, file_bytes, interleaved=interleaved)
                stored, seconds = _measure(Path(home) / "cluster", source)
            share = stored / one_copy
            met = "met" if share <= GOAL else "MISSED"
            order = "interleaved" if interleaved else "in sequence"
            cells = (order, f"{file_bytes / 1e6:.0f} MB", f"{share:.3f} ≤ {GOAL} {met}", f"{seconds:.1f}")
            sys.stdout.write(f"| {' | '.join(cells)} |\n")
            sys.stdout.flush()
    return 0


def _make(source: Path, count: int, file_bytes: int, *, interleaved: bool) -> int:
    """Write the copies; the bytes of one of them."""
    for number in range(count):
        content = os.urandom(file_bytes)
        for copy in range(COPIES):
            names = (f"f{number:05}", f"copy-{copy}")
            path = source.joinpath(*(names if interleaved else reversed(names)))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return count * file_bytes


def _measure(home: Path, source: Path) -> tuple[int, float]:
    """One job: the bytes of its packs, and the seconds."""
    with Bed() as bed:
        cluster = cluster_on(bed, home, source, *_MEMBERS)
        assert cluster.store is not None
        cluster.start_master()
        for name in _MEMBERS:
            cluster.start_proxy(name)
        location = cluster.store.location("copies")
        words = (
            "backup",
            "--cluster",
            cluster.url,
            "-r",
            location,
            "--init",
            "--compression",
            "off",
            "--json",
            "share",
        )
        summary = decode_lines(cluster.argosy.run(*words).stdout)[-1]
        return cluster.stored_bytes(location), float(summary["total_duration"])


if __name__ == "__main__":
    sys.exit(main())
