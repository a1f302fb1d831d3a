"""What a share of a given size needs: ``python -m benchmarks.capacity --files 1e9 --bytes 10e15``.

Arithmetic upon measured figures, in straight proportion: docs/benchmarks.md has the curves that say how far that holds,
docs/scale.md what the answers mean. Each figure has its source beside it, and a flag to try another one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from argosy.archiver.open_batch import BatchLimits
from argosy.repository.index_writer import MAX_INDEX_BLOBS

_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its unit and where it comes from."""

    value: float
    unit: str
    source: str


@dataclass(frozen=True, slots=True)
class Figures:
    """What is computed with. Names are the flags of the command."""

    files: Figure = Figure(1e9, "files", "asked for")
    bytes: Figure = Figure(10e15, "bytes", "asked for")
    changed_share: Figure = Figure(0.01, "of the files and bytes, a night", "assumed")
    window_hours: Figure = Figure(8, "hours of a night", "assumed")
    member_processors: Figure = Figure(8, "processors of a member", "assumed")
    blob_bytes: Figure = Figure(1 << 20, "bytes of a blob on average", "docs/design/backup.md: cuts of large files")
    pack_bytes: Figure = Figure(16 << 20, "bytes of a pack", "default of --pack-size")
    stored_share: Figure = Figure(1.0, "of the bytes is stored", "assumed: nothing compresses, nothing comes twice")
    put_price: Figure = Figure(0.005, "dollars for 1,000 PUT requests", "assumed list price; ask your store")
    stat_seconds: Figure = Figure(0.0003, "seconds that the share takes for one lstat", "assumed; measure yours")
    scan_threads: Figure = Figure(16, "scan threads", "assumed; --scan-threads")
    scan_entry_seconds: Figure = Figure(
        2.1e-6, "CPU seconds of the master an entry, unchanged", "benchmarks/scale.py, entries"
    )
    small_batch_seconds: Figure = Figure(
        0.0055, "CPU seconds of the master a batch of 1,024 files", "benchmarks/master_cost.py"
    )
    large_batch_seconds: Figure = Figure(
        0.0048, "CPU seconds of the master a batch of 64 MiB", "benchmarks/master_cost.py"
    )
    file_seconds: Figure = Figure(15e-6, "CPU seconds of a worker a file", "docs/benchmarks.md, a less its bytes")
    byte_seconds: Figure = Figure(6.2e-9, "CPU seconds of a worker a byte", "docs/benchmarks.md, b, verified")
    master_bytes: Figure = Figure(
        120e6, "bytes of the master's memory, whatever the size", "benchmarks/scale.py, entries"
    )
    thread_bytes: Figure = Figure(10e6, "bytes more for a scan thread", "benchmarks/scale.py, entries")
    queue_entry_bytes: Figure = Figure(
        41, "bytes of the checkpoint database an entry that waits", "measured: names of 17 bytes"
    )
    tree_entry_bytes: Figure = Figure(
        84, "bytes of packed trees an entry", "measured: one blob a file, other times in each"
    )
    index_blob_bytes: Figure = Figure(50, "bytes of packed indexes a blob", "measured: 16 blobs a pack")
    lookup_blob_bytes: Figure = Figure(65, "bytes of the dedup lookup a blob", "benchmarks/lookup.py")
    lookup_add_seconds: Figure = Figure(
        18e-6, "CPU seconds to take a blob of an index up", "benchmarks/lookup.py, 100,000,000 blobs"
    )
    prune_blob_bytes: Figure = Figure(105, "bytes of memory of a prune a blob", "docs/benchmarks.md, h")


@dataclass(frozen=True, slots=True)
class Need:
    """One line of the answer."""

    what: str
    first: str
    night: str


def needs(figures: Figures) -> Iterator[Need]:
    """What a first backup needs, and a night of changes."""
    value = {field.name: getattr(figures, field.name).value for field in fields(figures)}
    whole = _Job(value, value["files"], value["bytes"], unchanged=0.0)
    share = value["changed_share"]
    night = _Job(value, value["files"] * share, value["bytes"] * share, unchanged=value["files"] * (1 - share))
    jobs = (whole, night)
    window = value["window_hours"] * _HOUR
    workers = [job.worker_seconds for job in jobs]
    yield Need("files and bytes to store", *(f"{_count(job.files)}, {_size(job.bytes)}" for job in jobs))
    yield Need("CPU of the workers", *(f"{seconds / _HOUR:,.0f} hours" for seconds in workers))
    yield Need(
        "members for the window", *(f"{seconds / window / value['member_processors']:,.1f}" for seconds in workers)
    )
    yield Need("network for the window", *(f"{job.stored * 8 / window / 1e9:,.0f} Gbit/s" for job in jobs))
    yield Need("batches", *(_count(job.batches) for job in jobs))
    yield Need("CPU of the master, which works with one", *(f"{job.master_seconds / _HOUR:,.1f} hours" for job in jobs))
    busy = (job.worker_seconds / job.master_seconds / value["member_processors"] for job in jobs)
    yield Need("members that this one keeps busy", *(f"{members:,.1f}" for members in busy))
    yield Need("the scan's waiting for the share", *(f"{job.scan_seconds / _HOUR:,.1f} hours" for job in jobs))
    memory = value["master_bytes"] + value["scan_threads"] * value["thread_bytes"]
    yield Need("memory of the master", _size(memory), _size(memory))
    yield Need(
        "checkpoint database at most, if all waits", *(_size(job.files * value["queue_entry_bytes"]) for job in jobs)
    )
    yield Need("trees, packed", *(_size(job.files * value["tree_entry_bytes"]) for job in jobs))
    yield Need("blobs", *(_count(job.blobs) for job in jobs))
    yield Need("indexes, packed: read by each machine", *(_size(job.blobs * value["index_blob_bytes"]) for job in jobs))
    yield Need("dedup lookup on each machine", *(_size(job.blobs * value["lookup_blob_bytes"]) for job in jobs))
    yield Need(
        "CPU to take the indexes up, each machine",
        *(f"{job.blobs * value['lookup_add_seconds'] / _HOUR:,.1f} hours" for job in jobs),
    )
    yield Need("memory of a prune afterwards", _size(whole.blobs * value["prune_blob_bytes"]), "-")
    yield Need("PUT requests", *(_count(job.puts) for job in jobs))
    yield Need("their price", *(f"{job.puts / 1000 * value['put_price']:,.0f} dollars" for job in jobs))


class _Job:
    """So much to be stored, beside entries that are only looked at."""

    def __init__(self, value: dict[str, Any], files: float, size_bytes: float, *, unchanged: float) -> None:
        self.files, self.bytes = files, size_bytes
        self.stored = size_bytes * value["stored_share"]
        limits = BatchLimits()
        by_files, by_bytes = files / limits.files, size_bytes / limits.bytes
        self.batches = max(by_files, by_bytes)
        costs = by_files * value["small_batch_seconds"], by_bytes * value["large_batch_seconds"]
        self.master_seconds = max(costs) + unchanged * value["scan_entry_seconds"]
        self.scan_seconds = (files + unchanged) * value["stat_seconds"] / value["scan_threads"]
        self.worker_seconds = files * value["file_seconds"] + size_bytes * value["byte_seconds"]
        self.blobs = max(files, size_bytes / value["blob_bytes"])
        packed = self.stored + files * value["tree_entry_bytes"]
        self.puts = packed / value["pack_bytes"] + self.blobs / MAX_INDEX_BLOBS


def _size(size_bytes: float) -> str:
    for unit, name in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB")):
        if size_bytes >= unit:
            return f"{size_bytes / unit:,.3g} {name}"
    return f"{size_bytes / 1e6:,.3g} MB"


def _count(number: float) -> str:
    return f"{number:.3g}" if number >= 1e6 else f"{number:,.0f}"


def main() -> int:
    """Print the figures, and what follows, in Markdown."""
    figures = _parse()
    write = sys.stdout.write
    write("| figure | value | | source |\n| --- | --- | --- | --- |\n")
    for field in fields(figures):
        figure = getattr(figures, field.name)
        write(f"| `--{field.name.replace('_', '-')}` | {figure.value:g} | {figure.unit} | {figure.source} |\n")
    write("\n| what | first backup | a night |\n| --- | --- | --- |\n")
    for need in needs(figures):
        write(f"| {need.what} | {need.first} | {need.night} |\n")
    return 0


def _parse() -> Figures:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description="What a share needs.")
    default = Figures()
    for field in fields(default):
        figure: Figure = getattr(default, field.name)
        flag = f"--{field.name.replace('_', '-')}"
        parser.add_argument(flag, type=float, metavar="X", help=f"{figure.unit} ({figure.value:g})")
    chosen = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    return Figures(**{name: Figure(value, getattr(default, name).unit, "given") for name, value in chosen.items()})


if __name__ == "__main__":
    sys.exit(main())
