"""How a cluster grows: ``python -m benchmarks.cluster``. Needs root, iproute2 and gcc.

Hosts are network namespaces of this machine (``tests/cluster/bed.py``): a master without workers, a store (SeaweedFS),
and 1, 2 and 4 *members*, proxies of one worker each (``--members``). There is one run for each number of members, with
as much data for every member, but for *big*:

- *links*: each member's link carries 40 Mbit/s, and files are large. Throughput is the bytes of all packs by the
  seconds of the job, from its first start to its snapshot; it is shown as a share of the links' sum. Headers of TCP and
  IP take 4.4% of a link, so that 0.956 is all there is.
- *calls*: files are small, and each call that a worker makes to the source (open, stat, read, extended attributes) is
  answered after 2 ms. A preloaded library (``slow_source.c``) does that, in the proxies alone. Files a second are shown
  as a share of so many times what one member does.
- *big*: one file of 10 GB (``--gigabytes``), links without limit. Each piece of 128 MB begins with 16 MB of its own,
  and the rest is the same in all: all of it is read, cut and hashed, and 1.36 GB differ. Throughput is the
  file's bytes by the seconds of the job.
- *restore*: the links and files of *links*, the other way: what was backed up before is restored to one directory that
  all see. Throughput is the bytes of all packs by the seconds of the job, as a share of so many times what one member
  does.

Idle is the share of the last tenth of the job in which a member held no batch, by the job's own state map, looked at
twice a second.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from tests.cluster.bed import Bed, why_no_bed
from tests.cluster.hosts import Cluster, cluster_on
from tests.support.command import decode_lines

MEMBERS = (1, 2, 4)
LINK_BITS_PER_SECOND = 40_000_000
LARGE_BYTES = 8_000_000
SMALL_BYTES = 1_000
FILES_IN_DIRECTORY = 1_000
CALL_NS = 2_000_000
BIG_PIECE_BYTES = 128_000_000
BIG_OWN_BYTES = 16_000_000
GOALS = {"links": 0.93, "calls": 0.9, "restore": 0.85}
_SHIM = Path(__file__).with_name("slow_source.c")
_INTERVAL = "0.5s"

Looks: TypeAlias = list[tuple[float, dict[str, Any]]]
"""When the status was looked at, and the members of the running job by name."""


@dataclass(frozen=True, slots=True)
class Source:
    """What there is to be saved."""

    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """One job over so many files and bytes. ``loads`` and ``idle`` are by member: its share of the bytes, and of the
    last tenth.
    """

    members: int
    seconds: float
    stored_bytes: int
    source: Source
    loads: list[float]
    idle: list[float]


def main() -> int:
    """Measure and print a table in Markdown for each kind."""
    given = _parse()
    if reason := why_no_bed():
        sys.stderr.write(f"benchmarks: {reason}\n")
        return 1
    with tempfile.TemporaryDirectory(prefix="argosy-benchmark-", dir=given.directory) as directory:
        home = Path(directory)
        shim = home / "slow_source.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-w", "-o", shim, _SHIM, "-ldl"], check=True)
        for kind in given.kinds.split(","):
            runs = [
                [_measure(home / f"{kind}-{members}-{run}", kind, members, given, shim) for members in given.members]
                for run in range(given.runs)
            ]
            sys.stdout.write(_table(kind, runs))
            sys.stdout.flush()
    return 0


def _measure(home: Path, kind: str, members: int, given: argparse.Namespace, shim: Path) -> Outcome:
    place = home / "source"
    source = _make_big(place, given.gigabytes) if kind == "big" else _make(place, kind, members, given.seconds)
    try:
        return _measure_with(home, place, source, kind, members, shim)
    finally:
        shutil.rmtree(home)


def _measure_with(home: Path, place: Path, source: Source, kind: str, members: int, shim: Path) -> Outcome:
    names = [f"nas-{number}" for number in range(1, members + 1)]
    with Bed() as bed:
        cluster = cluster_on(bed, home / "cluster", place, *names)
        cluster.start_master()
        environment: Mapping[str, str] = {}
        flags: tuple[str, ...] = ("--pack-size", "4", "--compression", "off")
        if kind == "calls":
            environment = {"LD_PRELOAD": str(shim), "SLOW_SOURCE": str(cluster.share), "SLOW_SOURCE_NS": str(CALL_NS)}
            flags = ("--read-concurrency", "2")
        for name in names:
            cluster.start_proxy(name, environment)
        if kind == "restore":
            _back_up(cluster, flags)
        if kind not in ("calls", "big"):
            for name in names:
                bed.limit(cluster.hosts[name], LINK_BITS_PER_SECOND)
        return _restore(cluster, names, source) if kind == "restore" else _run(cluster, names, source, flags)


def _back_up(cluster: Cluster, flags: tuple[str, ...]) -> None:
    """By the master's host alone, over a link without limit."""
    cluster.argosy.run("backup", "-r", _location(cluster), "--init", *flags, "share")


def _location(cluster: Cluster) -> str:
    assert cluster.store is not None
    return cluster.store.location("benchmark")


def _restore(cluster: Cluster, names: list[str], source: Source) -> Outcome:
    target = cluster.home / "target"
    words = ("restore", "latest", "--cluster", cluster.url, "-r", _location(cluster), "--target", str(target), "--json")
    looks = _watched(cluster, words)[1]
    (job,) = cluster.argosy.documents("jobs", "--cluster", cluster.url, "--last", "1")
    begin, end = _moment(job["started"]), _moment(job["ended"])
    return _outcome(cluster, names, source, (begin, end), looks)


def _run(cluster: Cluster, names: list[str], source: Source, flags: tuple[str, ...]) -> Outcome:
    location = _location(cluster)
    cluster.argosy.run("init", "-r", location)
    words = ("backup", "--cluster", cluster.url, "-r", location, *flags, "--json", "share")
    summary, looks = _watched(cluster, words)
    begin, end = _moment(summary["backup_start"]), _moment(summary["backup_end"])
    return _outcome(cluster, names, source, (begin, end), looks)


def _watched(cluster: Cluster, words: tuple[str, ...]) -> tuple[dict[str, Any], Looks]:
    """Run a command whose job is looked at meanwhile: its summary, and the looks."""
    watch = ("status", "--cluster", cluster.url, "--watch", "--interval", _INTERVAL, "--json")
    with tempfile.TemporaryFile() as seen:
        watching = subprocess.Popen(cluster.argosy.command(*watch), env=cluster.argosy.variables(), stdout=seen)
        try:
            summary = decode_lines(cluster.argosy.run(*words).stdout)[-1]
        finally:
            watching.kill()
            watching.wait()
        seen.seek(0)
        return summary, _looks(seen.read())


def _outcome(cluster: Cluster, names: list[str], source: Source, span: tuple[float, float], looks: Looks) -> Outcome:
    begin, end = span
    last = dict.fromkeys(names, 0)
    for _, members in looks:
        last.update({name: members[name]["bytes_done"] for name in names if name in members})
    total = max(1, sum(last.values()))
    tail = [members for moment, members in looks if end - (end - begin) / 10 <= moment <= end]
    idle = [
        sum(not _holds(members.get(name, {})) for members in tail) / len(tail) if tail else float("nan")
        for name in names
    ]
    stored = cluster.stored_bytes(_location(cluster))
    return Outcome(len(names), end - begin, stored, source, [last[name] / total for name in names], idle)


def _holds(member: dict[str, Any]) -> bool:
    """Whether a member holds a batch: a backup's are listed, a restore's counted."""
    return bool(member.get("batches") or member.get("holding"))


def _looks(output: bytes) -> Looks:
    """See ``Looks``."""
    found = []
    for line in output.splitlines(keepends=True):
        if line.endswith(b"\n"):
            (document,) = decode_lines(line)
            moment = _moment(document["time"])
            found += [(moment, {member["name"]: member for member in job["members"]}) for job in document["jobs"]]
    return found


def _make(place: Path, kind: str, members: int, seconds: float) -> Source:
    """Write what keeps so many members busy for about so many seconds."""
    if kind != "calls":
        count, size = round(members * seconds * LINK_BITS_PER_SECOND / 8 / LARGE_BYTES), LARGE_BYTES
    else:
        count, size = round(members * seconds * 200), SMALL_BYTES
    for number in range(count):
        directory = place / f"d{number // FILES_IN_DIRECTORY:03}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"f{number:06}").write_bytes(os.urandom(size))
    return Source(count, count * size)


def _make_big(place: Path, gigabytes: float) -> Source:
    """Write the one file."""
    place.mkdir(parents=True)
    common = os.urandom(BIG_PIECE_BYTES - BIG_OWN_BYTES)
    pieces = round(gigabytes * 1e9 / BIG_PIECE_BYTES)
    with (place / "big").open("wb") as file:
        for _ in range(pieces):
            file.write(os.urandom(BIG_OWN_BYTES))
            file.write(common)
    return Source(1, pieces * BIG_PIECE_BYTES)


def _table(kind: str, runs: list[list[Outcome]]) -> str:
    lines = [
        f"| {kind}: members | seconds | throughput | share | load by member | idle in the last tenth |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for outcomes in runs:
        for outcome in outcomes:
            speed, words = _speed(kind, outcome)
            one = LINK_BITS_PER_SECOND if kind == "links" else _speed(kind, outcomes[0])[0] / outcomes[0].members
            share = speed / (outcome.members * one)
            goal = GOALS.get(kind) if outcome.members == MEMBERS[-1] else None
            met = "" if goal is None else f" ≥ {goal} {_met(share >= goal)}"
            shown = "-" if kind == "big" else f"{share:.2f}{met}"
            loads = " ".join(f"{load:.2f}" for load in outcome.loads)
            idle = " ".join(f"{part:.2f}" for part in outcome.idle)
            cells = (outcome.members, f"{outcome.seconds:.1f}", words, shown, loads, idle)
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n\n"


def _speed(kind: str, outcome: Outcome) -> tuple[float, str]:
    if kind == "big":
        read = outcome.source.size_bytes / outcome.seconds
        return read, f"{read / 1e6:.0f} MB/s"
    if kind != "calls":
        bits = outcome.stored_bytes * 8 / outcome.seconds
        return bits, f"{bits / 1e6:.1f} Mbit/s"
    files = outcome.source.files / outcome.seconds
    return files, f"{files:.0f} files/s"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


def _met(is_met: bool) -> str:
    return "met" if is_met else "MISSED"


def _moment(text: str) -> float:
    return datetime.fromisoformat(text[:26].rstrip("Z") + "+00:00").timestamp()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description="Measure how a cluster grows.")
    parser.add_argument("--kinds", default="links,calls", help="which, with commas: links, calls, restore, big")
    parser.add_argument("--members", default=MEMBERS, type=_numbers, metavar="N,N", help="how many members (1,2,4)")
    parser.add_argument("--gigabytes", default=10.0, type=float, metavar="GB", help="the size of the big file (10)")
    parser.add_argument("--runs", default=1, type=int, metavar="N", help="how often (1)")
    parser.add_argument("--seconds", default=30.0, type=float, metavar="S", help="about so long is each job (30)")
    parser.add_argument("--directory", type=Path, metavar="DIR", help="where to work (the folder for temporary files)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
