"""The dedup lookup of a large repository: ``python -m benchmarks.lookup --blobs 100000000``, for Linux.

The file is made the quick way: keys in ascending order, by SQLite itself, as random as masked ids are. To it one index
of 50,000 blobs is added as a backup adds it (``synchronize``); these are the blobs that are found, random ids are those
that are not. Measured by processes that open the file like workers: how long opening, comparing the list of indexes
and one look-up take; look-ups one by one and many at once; one process and two at the same time, with the memory of
each. The file lies in the page cache, which all processes of a machine share, as far as there is room; beside it each
process has a cache of 8 MiB.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from argosy.repository.lookup import DedupLookup
from argosy.repository.lookup_file import open_lookup_file
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.crypto import MasterKey
from argosy.restic_format.index import Index, IndexedPack
from benchmarks.memory import memory_bytes

BLOBS = 100_000_000
BLOBS_IN_INDEX = 50_000
BLOBS_IN_PACK = 32
BLOB_BYTES = 500_000
MOST_START_SECONDS = 2.0

_KEY = MasterKey.from_bytes(bytes(range(64)))
_ROWS_AT_ONCE = 1_000_000
# Ascending by the first seven bytes, for SQLite's numbers have a sign; the rest is as random as a masked id's.
_INSERT_BLOBS = """
WITH RECURSIVE numbers (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?2)
INSERT INTO blobs SELECT CAST(unhex(printf('%014x', n * ?3)) || randomblob(25) AS BLOB), 1 + n % ?4, randomblob(12)
FROM numbers
"""
_INSERT_PACKS = """
WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?1)
INSERT INTO packs (pack_id, owner, blobs) SELECT randomblob(32), 1 + n * ?2 / ?1, ?3 FROM numbers
"""
_LOOKUPS = 50_000


@dataclass(frozen=True, slots=True)
class Looked:
    """What one process found: seconds to start, microseconds of CPU and of the clock a look-up, its memory."""

    start_seconds: float
    found: tuple[float, float]
    found_many: tuple[float, float]
    absent: tuple[float, float]
    absent_many: tuple[float, float]
    memory_bytes: int


def make(path: Path, blobs: int) -> list[bytes]:
    """A lookup with so many blobs, in the order of their keys; the ids of its indexes."""
    packs, indexes = max(1, blobs // BLOBS_IN_PACK), max(1, blobs // BLOBS_IN_INDEX)
    index_ids = [os.urandom(32) for _ in range(indexes)]
    database = open_lookup_file(path, read_only=False)
    database.execute("PRAGMA journal_mode = OFF")
    with database.transaction():
        database.execute_many("INSERT INTO indexes (index_id) VALUES (?)", [(index_id,) for index_id in index_ids])
        database.execute(_INSERT_PACKS, (packs, indexes, BLOBS_IN_PACK))
    step = (1 << 56) // blobs
    for first in range(0, blobs, _ROWS_AT_ONCE):
        with database.transaction():
            database.execute(_INSERT_BLOBS, (first, min(first + _ROWS_AT_ONCE, blobs), step, packs))
    database.execute("PRAGMA journal_mode = WAL")
    database.close()
    return index_ids


def add_index(path: Path, index_ids: list[bytes]) -> tuple[list[bytes], float, float, int]:
    """Add an index the usual way: its blobs' ids, seconds by the clock and of CPU, and the bytes written for it."""
    ids = [random.randbytes(32) for _ in range(BLOBS_IN_INDEX)]
    packs = [
        IndexedPack(
            os.urandom(32),
            [
                PackedBlob(each, BlobType.DATA, number * BLOB_BYTES, BLOB_BYTES, BLOB_BYTES)
                for number, each in enumerate(ids[first : first + BLOBS_IN_PACK])
            ],
        )
        for first in range(0, BLOBS_IN_INDEX, BLOBS_IN_PACK)
    ]
    lookup = DedupLookup(path, _KEY)
    index_ids.append(os.urandom(32))
    wall, cpu, written = time.perf_counter(), time.process_time(), _written_bytes()
    lookup.synchronize(index_ids, lambda _: Index(packs))
    lookup.close()
    return ids, time.perf_counter() - wall, time.process_time() - cpu, _written_bytes() - written


def look(path: Path, index_ids: list[bytes], present: list[bytes]) -> Looked:
    """Open the lookup and look blobs up in it, in an order that is not theirs."""
    started = time.perf_counter()
    master = DedupLookup(path, _KEY)
    master.synchronize(index_ids, _no_index)
    master.close()
    lookup = DedupLookup(path, _KEY, read_only=True)
    assert lookup.contains(present[0])
    start_seconds = time.perf_counter() - started
    present = random.sample(present, min(_LOOKUPS, len(present)))
    absent = [random.randbytes(32) for _ in range(_LOOKUPS)]
    looked = Looked(
        start_seconds,
        _timed(lambda: all(map(lookup.contains, present)), len(present)),
        _timed(lambda: len(lookup.contains_many(present)) == len(present), len(present)),
        _timed(lambda: not any(map(lookup.contains, absent)), len(absent)),
        _timed(lambda: not lookup.contains_many(absent), len(absent)),
        memory_bytes(os.getpid()),
    )
    lookup.close()
    return looked


def _no_index(index_id: bytes) -> Index:
    raise AssertionError(f"{index_id.hex()} is in the lookup")


def _timed(work: Callable[[], bool], count: int) -> tuple[float, float]:
    """Microseconds of CPU and of the clock for each of ``count``; AssertionError if the work went wrong."""
    wall, cpu = time.perf_counter(), time.process_time()
    if not work():
        raise AssertionError("a look-up gave the wrong answer")
    return (time.process_time() - cpu) / count * 1e6, (time.perf_counter() - wall) / count * 1e6


def _written_bytes() -> int:
    """What this process has given to write, into the page cache or further."""
    for line in Path("/proc/self/io").read_text(encoding="ascii").splitlines():
        if line.startswith("wchar:"):
            return int(line.split()[1])
    raise AssertionError("/proc/self/io does not tell")


def _report(blobs: int, directory: Path) -> None:
    path = directory / "lookup"
    started = time.perf_counter()
    index_ids = make(path, blobs)
    seconds, size = time.perf_counter() - started, path.stat().st_size
    _say(f"{blobs:,} blobs: {size / 1e9:.2f} GB, {size / blobs:.1f} bytes each; made in {seconds:.0f} s")
    present, wall, cpu, written = add_index(path, index_ids)
    _say(
        f"adding an index of {len(present):,}: {wall:.2f} s, CPU {cpu:.2f} s, {written / 1e6:.0f} MB written; "
        f"so {blobs / BLOBS_IN_INDEX:,.0f} of them, were all of it as large: CPU {cpu * blobs / BLOBS_IN_INDEX:,.0f} s"
    )
    context = multiprocessing.get_context("spawn")
    for processes in (1, 1, 2):
        with context.Pool(processes) as pool:
            for found in pool.starmap(look, [(path, index_ids, present)] * processes, chunksize=1):
                _say(_words(processes, found))


def _words(processes: int, found: Looked) -> str:
    met = "met" if found.start_seconds <= MOST_START_SECONDS else "MISSED"
    times = ", ".join(
        f"{name.replace('_', ' ')} {getattr(found, name)[0]:.1f} ({getattr(found, name)[1]:.1f})"
        for name in ("found", "found_many", "absent", "absent_many")
    )
    return (
        f"{processes} at a time: start {found.start_seconds:.3f} s (≤ {MOST_START_SECONDS:g} {met}); µs of CPU (of the "
        f"clock) a look-up: {times}; {found.memory_bytes / 1e6:.0f} MB"
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lookup", description="Measure the dedup lookup.")
    parser.add_argument("--blobs", default=BLOBS, type=int, metavar="N", help="so many (100,000,000)")
    parser.add_argument("--directory", type=Path, metavar="DIR", help="where to work (the folder for temporary files)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="argosy-lookup-", dir=given.directory) as directory:
        _report(given.blobs, Path(directory))
    return 0


if __name__ == "__main__":
    sys.exit(main())
