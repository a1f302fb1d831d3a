"""What the archiver works on, made by hand: stats, entries, nodes; and a job's ledger."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.archiver.ledger import Ledger
from argosy.archiver.nodes import NodeEncoder
from argosy.archiver.runs import decode_run
from argosy.filesystem.directory import Entry
from argosy.filesystem.metadata import OwnerNames
from argosy.restic_format.node import finish_directory, finish_file
from argosy.state.assemblies import Assembly
from argosy.state.frontier import ScanDirectory
from argosy.state.job_database import open_job_database

REGULAR, DIRECTORY, LINK, PIPE = 0o100644, 0o040755, 0o120777, 0o010600
TIME_NS = 1_700_000_000_123_456_789
DEVICE = 5
NODES = NodeEncoder(with_atime=False, device_id_always=True)


def identity(text: str) -> bytes:
    """A blob's or a tree's id."""
    return hashlib.sha256(text.encode()).digest()


def stat_of(
    mode: int = REGULAR,
    *,
    inode: int = 7,
    device: int = DEVICE,
    links: int = 1,
    size: int = 3,
    mtime_ns: int = TIME_NS,
    ctime_ns: int = TIME_NS,
) -> os.stat_result:
    """A stat, as lstat would give it."""
    seconds = (mtime_ns // 10**9, mtime_ns // 10**9, ctime_ns // 10**9)
    nanoseconds = {"st_atime_ns": mtime_ns, "st_mtime_ns": mtime_ns, "st_ctime_ns": ctime_ns}
    return os.stat_result((mode, inode, device, links, 0, 0, size, *seconds), nanoseconds)


def prefix_of(entry: Entry) -> bytes:
    """A node's metadata, as the scan encodes it."""
    name, stat = entry
    return NODES.prefix(name, stat, "root", "root", stat.st_dev, stat.st_ino)


def file_node(entry: Entry, *texts: str, tail: bytes = b"") -> bytes:
    """A file's node whose blobs have these texts' ids."""
    return finish_file(prefix_of(entry) + tail, [identity(text) for text in texts])


def directory_node(entry: Entry, subtree: bytes) -> bytes:
    """A directory's node."""
    return finish_directory(prefix_of(entry), subtree)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """The ledger of a new job, with the root's assembly open."""
    job = open_job_database(tmp_path / "a.job")
    ledger = Ledger(job, [(b"/source", 1)], OwnerNames())
    assert ledger.frontier.new_id() == 1
    ledger.assemblies.open(Assembly(1, 0, b""))
    yield ledger
    job.close()


def taken(ledger: Ledger, name: bytes, parent_id: int = 1, base_tree: bytes | None = None) -> ScanDirectory:
    """A directory below the root that a scan thread has taken; its parent waits for it."""
    found = ScanDirectory(ledger.frontier.new_id(), parent_id, name, b"/source/" + name, base_tree)
    ledger.assemblies.expect(parent_id, 1)
    ledger.frontier.add([found])
    directory = ledger.frontier.take(0)
    assert directory is found
    return directory


def listed(ledger: Ledger, name: bytes, parent_id: int = 1) -> ScanDirectory:
    """As ``taken``, and listed: it has an assembly."""
    directory = taken(ledger, name, parent_id)
    assembly = Assembly(directory.id, parent_id, name, prefix_of(Entry(name, stat_of(DIRECTORY))))
    ledger.directory_listed(directory, assembly, [], None)
    return directory


def pending(ledger: Ledger, directory_id: int) -> int:
    """How many results a directory waits for."""
    return ledger.assemblies.get(directory_id).pending


def nodes_of(ledger: Ledger, directory_id: int) -> dict[bytes, bytes]:
    """The nodes that a directory has got, later parts above earlier ones."""
    found: dict[bytes, bytes] = {}
    for part in ledger.assemblies.parts(ledger.assemblies.get(directory_id)):
        found.update(zip(*decode_run(part), strict=True))
    return found
