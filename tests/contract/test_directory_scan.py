"""A directory comes to the same whether the kernel compares it with its parent's tree or Python does."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.archiver.directory_scan import DirectoryScanner
from argosy.archiver.ledger import Ledger, decode_names
from argosy.archiver.nodes import NodeEncoder
from argosy.archiver.open_batch import BatchLimits, OpenBatch
from argosy.archiver.parent import CompareOptions
from argosy.archiver.parent_trees import ParentTrees
from argosy.archiver.quick_listing import quick_listings
from argosy.archiver.runs import decode_run
from argosy.archiver.scan_context import ScanContext
from argosy.archiver.source import Source
from argosy.errors import Damaged
from argosy.filesystem.directory import list_directory, open_directory
from argosy.filesystem.exclude import ExcludeRules, TagRule
from argosy.filesystem.metadata import OwnerNames, read_xattrs_at
from argosy.restic_format.node import encode_tail, finish_directory, finish_file, finish_other
from argosy.restic_format.tree import encode_tree
from argosy.state.assemblies import Assembly
from argosy.state.frontier import ScanDirectory
from argosy.state.job_database import open_job_database
from tests.support.native import built_kernel
from tests.support.trees_at_hand import TreesAtHand

BASE = bytes(32)
SUBTREE = bytes(range(32))
OWNERS = OwnerNames()
NAMES = [b"a", b"a.b", b"ab", b"b", b"c d", b"d", b"e", b"f", b"longer name with words.tar.gz", b"z", "ü".encode()]
ODD_NAMES = [b"\n", b'"', b"\\", b"<", b"\xff", "\u00ad".encode(), b',"content":[]', b"\x7f"]
KINDS = ["file", "empty", "big", "directory", "link", "fifo", "socket", "hard link", "changed", "other mode", "gone"]
RULES = {
    "none": ExcludeRules(),
    "pattern": ExcludeRules([b"*.gz"]),
    "tag": ExcludeRules(tags=[TagRule(b"z")]),
    "size": ExcludeRules(larger_than_bytes=1000),
    "names": ExcludeRules(snapshot_directories=frozenset({b"a", b"b", b"f"})),
}


@dataclass(frozen=True)
class Way:
    """How a directory is scanned."""

    kernel: bool
    rules: str = "none"
    proved: bool = True
    device_id_always: bool = True
    ignore_inode: bool = False
    other_devices: bool = True
    limits: BatchLimits = BatchLimits()  # noqa: RUF009 (frozen)


def make(directory: Path, name: bytes, kind: str, version: int = 0) -> None:
    """One entry of a directory, as it is in the parent snapshot (version 0) or today (1)."""
    path = os.path.join(os.fsencode(directory), name)
    if kind == "directory":
        os.mkdir(path)
    elif kind == "link":
        os.symlink(b"target of " + name, path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made, contextlib.chdir(directory):
            made.bind(name)
    elif not (kind == "gone" and version):
        size = {"empty": 0, "big": 2000}.get(kind, 10)
        Path(os.fsdecode(path)).write_bytes(bytes(size))
        if kind == "hard link":
            os.link(path, path + b" again")


def change(directory: Path, name: bytes, kind: str) -> None:
    """What happens to an entry after the parent snapshot."""
    path = os.path.join(os.fsencode(directory), name)
    if kind == "changed":
        os.utime(path, ns=(1, 1_600_000_000_000_000_001))
    elif kind == "other mode":
        os.chmod(path, 0o4711)
    elif kind == "gone":
        os.unlink(path)


def tree_of(directory: Path, way: Way) -> list[bytes]:
    """The nodes of a directory as a backup writes them."""
    encoder = NodeEncoder(with_atime=False, device_id_always=way.device_id_always)
    fd = open_directory(os.fsencode(directory))
    nodes = []
    try:
        for name, stat in sorted(list_directory(fd)):
            kind = stat.st_mode & 0o170000
            if kind == 0o140000:
                continue
            user, group = OWNERS.user(stat.st_uid), OWNERS.group(stat.st_gid)
            prefix = encoder.prefix(name, stat, user, group, stat.st_dev, stat.st_ino)
            target = os.readlink(name, dir_fd=fd) if kind == 0o120000 else None
            prefix += encode_tail(target, read_xattrs_at(fd, name, []), 0)
            if kind == 0o100000:
                nodes.append(finish_file(prefix, [bytes([at]) * 32 for at in range(stat.st_size // 1000 + 1)]))
            else:
                nodes.append(finish_directory(prefix, SUBTREE) if kind == 0o040000 else finish_other(prefix))
    finally:
        os.close(fd)
    return nodes


def scanned(directory: Path, tree: bytes | None, way: Way) -> dict[str, Any]:
    """Everything that one scan of the directory leaves behind; ``tree`` is its parent's."""

    def load(_: bytes) -> bytes:
        assert tree is not None
        return tree

    with tempfile.TemporaryDirectory(dir=directory.parent) as state, contextlib.ExitStack() as stack:
        job = open_job_database(Path(state, "job"))
        stack.callback(job.close)
        ledger = Ledger(job, [(os.fsencode(directory), directory.stat().st_ino)], OWNERS)
        parents = ParentTrees(
            TreesAtHand(load), lambda ids: {identity for identity in ids if identity[0]}, proved=way.proved
        )
        context = scan_context(ledger, parents, way, Path(state))
        root = ScanDirectory(ledger.frontier.new_id(), 0, b"", b"/", None)
        ledger.assemblies.open(Assembly(root.id, 0, b""))
        ledger.assemblies.expect(root.id, 1)
        found = ScanDirectory(ledger.frontier.new_id(), root.id, b"d", os.fsencode(directory), tree and BASE)
        ledger.frontier.add([found])
        taken = ledger.frontier.take(0)
        assert taken is found
        scanner = DirectoryScanner(context, lambda: OpenBatch(way.limits), 0)
        stack.callback(scanner.close)
        assert (scanner.quick is not None) == way.kernel
        assert scanner.quick is None or scanner.quick.compares == way.proved
        scanner.scan(taken)
        return outcome(ledger, context, scanner, root.id, found.id)


def scan_context(ledger: Ledger, parents: ParentTrees, way: Way, spill: Path) -> ScanContext:
    """The context of a scan that goes this way."""
    encoder = NodeEncoder(with_atime=False, device_id_always=way.device_id_always)
    compare, rules = CompareOptions(ignore_inode=way.ignore_inode), RULES[way.rules]
    devices = None if way.other_devices else frozenset({os.stat(spill).st_dev})
    quick = quick_listings(parents, compare, rules, encoder, OWNERS) if way.kernel else None
    source = Source(ledger.roots)
    return ScanContext(
        ledger, source, encoder, parents, compare, spill, rules, devices=devices, new_quick_listing=quick
    )


def outcome(
    ledger: Ledger, context: ScanContext, scanner: DirectoryScanner, root: int, directory: int
) -> dict[str, Any]:
    """What is in the ledger, the batch and the counters."""
    assembly = ledger.assemblies.find(directory)
    batch = scanner.batch
    pending = []
    while (found := ledger.frontier.take(0)) is not None:
        pending.append((found.name, found.path, found.base_tree))
    return {
        "entries": (context.entries, context.excluded, context.snapshot_directories, context.parents.missing),
        "counters": dict(ledger.state.counters),
        "batch": msgspec.to_builtins(batch.parts),
        "batch counts": (batch.files, batch.bytes, batch.counts, len(batch.ended), [e.name for _, e in batch.links]),
        "subdirectories": pending,
        "assembly": assembly and (assembly.base_tree, sorted(decode_names(assembly.deleted)), assembly.prefix),
        "parts": assembly and [decode_run(part) for part in ledger.assemblies.parts(assembly)],
        "of the parent": [decode_run(part) for part in ledger.assemblies.parts(ledger.assemblies.get(root))],
        "unread": ledger.reports.unread_entries(),
    }


def assert_both_alike(directory: Path, tree: bytes | None, way: Way) -> dict[str, Any]:
    """Scan both ways; the outcome."""
    results = []
    for kernel in (False, True):
        try:
            results.append(scanned(directory, tree, replace(way, kernel=kernel)))
        except Damaged as error:
            results.append({"damaged": error.message})
    assert results[0] == results[1]
    return results[0]


@pytest.fixture(scope="module", autouse=True)
def _kernel() -> None:
    built_kernel()


@contextlib.contextmanager
def place() -> Iterator[Path]:
    """A directory with a folder for what is beside it; short, since a socket's path may have 107 bytes."""
    outer = Path(tempfile.mkdtemp(prefix="scan"))
    try:
        (outer / "d").mkdir()
        yield outer / "d"
    finally:
        shutil.rmtree(outer)


ENTRIES = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(KINDS), max_size=len(NAMES))
WAYS = st.builds(
    Way,
    kernel=st.just(True),
    rules=st.sampled_from(sorted(RULES)),
    proved=st.sampled_from([True, True, True, False]),
    device_id_always=st.booleans(),
    ignore_inode=st.booleans(),
    other_devices=st.booleans(),
    limits=st.sampled_from([BatchLimits(), BatchLimits(files=4), BatchLimits(bytes=2500)]),
)


@settings(max_examples=60, deadline=None)
@given(before=ENTRIES, added=ENTRIES, odd=st.none() | st.sampled_from(ODD_NAMES), way=WAYS)
def test_any_directory_comes_to_the_same(
    before: dict[bytes, str], added: dict[bytes, str], odd: bytes | None, way: Way
) -> None:
    with place() as directory:
        for name, kind in before.items():
            make(directory, name, kind)
        if odd is not None:
            make(directory, odd, "file")
        tree = encode_tree(tree_of(directory, way))
        for name, kind in before.items():
            change(directory, name, kind)
        for name, kind in added.items():
            if name not in before:
                make(directory, name, kind, version=1)
        assert_both_alike(directory, tree, way)


@settings(max_examples=60, deadline=None)
@given(names=st.lists(st.sampled_from(NAMES), unique=True), kinds=st.lists(st.sampled_from(KINDS)), way=WAYS)
def test_any_fresh_directory_comes_to_the_same(names: list[bytes], kinds: list[str], way: Way) -> None:
    """Mostly files, as is usual: the first so many entries are something else."""
    with place() as directory:
        for name, kind in zip(names, chain(kinds[: len(names) // 3], repeat("file")), strict=False):
            make(directory, name, kind)
        assert_both_alike(directory, None, way)


def test_a_fresh_directory_of_files_is_taken_whole_by_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_slow_way(*_: object) -> None:
        raise AssertionError("the slow way was taken")

    with place() as directory:
        for name in NAMES:
            make(directory, name, "file")
        slow = scanned(directory, None, Way(kernel=False))
        monkeypatch.setattr("argosy.archiver.directory_scan.iter_directory_sorted", no_slow_way)
        assert scanned(directory, None, Way(kernel=True)) == slow
        assert slow["batch counts"][:2] == (len(NAMES), sum(path.stat().st_size for path in directory.iterdir()))


# Where (in thousandths of the tree), how many bytes are cut out, and what is put in.
WOUNDS = st.tuples(
    st.integers(0, 1000),
    st.sampled_from([0, 1, 5, 70, 10_000]),
    st.sampled_from([b"", b'"', b"\\", b"}", b"]", b",", b'{"name":"', b',"content":', b"\xff", b"a"]),
)


@settings(max_examples=100, deadline=None)
@given(order=st.none() | st.lists(st.integers(0, 9), max_size=12), wounds=st.lists(WOUNDS, max_size=3), way=WAYS)
def test_any_tree_comes_to_the_same(order: list[int] | None, wounds: list[tuple[int, int, bytes]], way: Way) -> None:
    """Trees that no restic writes: nodes in any order, twice, left out; bytes cut out, put in, or cut off."""
    with place() as directory:
        for name, kind in zip(NAMES, KINDS, strict=True):
            make(directory, name, kind)
        nodes = tree_of(directory, way)
        tree = encode_tree(nodes if order is None else [nodes[at] for at in order])
        for place_in_thousandths, cut, piece in wounds:
            at = len(tree) * place_in_thousandths // 1000
            tree = tree[:at] + piece + tree[at + cut :]
        assert_both_alike(directory, tree, way)
