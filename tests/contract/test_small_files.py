"""A part of a batch comes to the same whether the kernel reads its small files or Python does."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy import native
from argosy.archiver.batch_work import MOST_RETURNS, BatchWorker
from argosy.archiver.fetching import SMALL_FILE_BYTES
from argosy.archiver.file_reader import EntryReader
from argosy.archiver.messages import BatchResult, BatchWork, DirectoryPart
from argosy.archiver.nodes import NodeEncoder
from argosy.archiver.runs import decode_run
from argosy.archiver.small_files import TOGETHER_BYTES, TOGETHER_FILES
from argosy.native.reading import NOT_READ, NativeReading
from argosy.restic_format.node import decode_node
from argosy.restic_format.printable import printable_ranges
from tests.support.native import built_kernel

POLYNOMIAL = 0x3DA3358B4DC173
NAMES = [b"a", b"a.b", b"b", b"c d", b"longer name.tar.gz", "ü".encode()]
ODD_NAMES = [b"\n", b'"', b"\\", b"&", b"\xff", "\u00ad".encode()]
KINDS = ["small", "empty", "text", "limit", "large", "link", "fifo", "hard link", "attribute", "old"]
FATES = ["", "", "", "gone", "another file", "directory", "link", "longer", "shorter", "other mode"]


class Contents:
    """In place of a ``BlobPlacer``: keeps what was placed, in order."""

    def __init__(self) -> None:
        self.placed: list[bytes] = []
        self.blobs = self.added_bytes = self.added_packed_bytes = 0

    def place(self, data: bytes | memoryview) -> bytes:
        """The id of one blob."""
        return self.place_all(data, [len(data)])[0]

    def place_all(self, data: bytes | memoryview, lengths: Sequence[int]) -> list[bytes]:
        """The ids of blobs that stand one after the other."""
        ids, at = [], 0
        for length in lengths:
            ids.append(hashlib.sha256(data[at : at + length]).digest())
            self.placed.append(ids[-1])
            at += length
        assert at == len(data)
        return ids


def nodes_of(result: BatchResult) -> list[tuple[bytes, bytes]]:
    """Names and nodes of a batch of one part."""
    return list(zip(*decode_run(result.parts[0].nodes), strict=True))


def read_part(part: DirectoryPart, *, quick: bool, owners: dict[int, str], device_id_always: bool) -> dict[str, Any]:
    """Everything that a worker says of a part."""
    contents = Contents()
    nodes = NodeEncoder(with_atime=False, device_id_always=device_id_always)
    reader = EntryReader(nodes, contents, POLYNOMIAL, allow_slow_chunker=True, quick=quick)  # type: ignore[arg-type]  # a double
    worker = BatchWorker(reader, contents, None, lambda _: True, 1)  # type: ignore[arg-type]  # its trees are all there
    result = worker.run(BatchWork([], owners, owners, [part], [], []), lambda _files, _size: None)
    return {
        "nodes": [] if part.whole else nodes_of(result),
        "result": msgspec.to_builtins(result),
        "contents": sorted(contents.placed),
    }


def scanned(directory: Path, *, whole: bool = False, tries: int = 0) -> DirectoryPart:
    """The part that holds all entries of a directory."""
    part = DirectoryPart(1, 0, b"d", os.fsencode(directory), b'{"name":"d"', 7, whole, tries)
    for name in sorted(os.listdir(os.fsencode(directory))):
        stat = os.lstat(os.path.join(os.fsencode(directory), name))
        part.names.append(name)
        part.modes.append(stat.st_mode)
        part.inodes.append(stat.st_ino)
        part.sizes.append(stat.st_size)
    return part


def assert_both_alike(part: DirectoryPart, *, device_id_always: bool = False) -> dict[str, Any]:
    """Read both ways; the outcome."""
    python, kernel = (
        read_part(part, quick=quick, owners={0: "Röt", os.getuid(): "me"}, device_id_always=device_id_always)
        for quick in (False, True)
    )
    assert kernel == python
    return kernel


def make(directory: Path, name: bytes, kind: str) -> None:
    """Put an entry into the directory."""
    path = os.path.join(os.fsencode(directory), name)
    sizes = {"empty": 0, "limit": SMALL_FILE_BYTES, "large": SMALL_FILE_BYTES + 1, "text": 3000}
    match kind:
        case "link":
            os.symlink(b"elsewhere", path)
            return
        case "fifo":
            os.mkfifo(path)
            return
        case "hard link":
            first = os.path.join(os.fsencode(directory.parent), name.hex().encode())
            Path(os.fsdecode(first)).write_bytes(b"shared")
            os.link(first, path)
            return
    Path(os.fsdecode(path)).write_bytes((name + b" text ") * (sizes.get(kind, 30) // (len(name) + 6) + 1))
    os.truncate(path, sizes.get(kind, 30))
    if kind == "attribute":
        os.setxattr(path, b"user.of", b"value")
    if kind == "old":
        os.utime(path, ns=(-5_000_000_000, -1))


def befall(directory: Path, name: bytes, fate: str) -> None:
    """What happens to an entry between the scan and the reading."""
    path = Path(os.fsdecode(os.path.join(os.fsencode(directory), name)))
    match fate:
        case "gone":
            path.unlink()
        case "another file":
            path.rename(directory.parent / "first")  # kept, or its inode may come again
            path.write_bytes(b"another")
        case "directory":
            path.unlink()
            path.mkdir()
        case "link":
            path.unlink()
            path.symlink_to("/etc/hostname")
        case "longer" | "shorter" if path.is_file() and not path.is_symlink():
            os.truncate(path, 40 if fate == "longer" else 3)
        case "other mode" if not path.is_symlink():
            path.chmod(0o4641)


@pytest.fixture(scope="module", autouse=True)
def _kernel() -> None:
    built_kernel()
    assert native.kernel() is not None


@contextmanager
def place() -> Iterator[Path]:
    """A directory with a folder for what is beside it."""
    outer = Path(tempfile.mkdtemp(prefix="small"))
    try:
        (outer / "d").mkdir()
        yield outer / "d"
    finally:
        shutil.rmtree(outer)


@settings(max_examples=60, deadline=None)
@given(
    entries=st.dictionaries(
        st.sampled_from(NAMES) | st.sampled_from(ODD_NAMES),
        st.tuples(st.sampled_from(KINDS), st.sampled_from(FATES)),
        min_size=1,
    ),
    whole=st.booleans(),
    tries=st.sampled_from([0, MOST_RETURNS]),
    device_id_always=st.booleans(),
)
def test_any_directory_comes_to_the_same(
    entries: dict[bytes, tuple[str, str]], whole: bool, tries: int, device_id_always: bool
) -> None:
    """Kinds of entries, what happened to them since the scan, and how the part is to be read."""
    with place() as directory:
        for name, (kind, _) in entries.items():
            make(directory, name, kind)
        part = scanned(directory, whole=whole, tries=tries)
        for name, (_, fate) in entries.items():
            befall(directory, name, fate)
        assert_both_alike(part, device_id_always=device_id_always)


def test_runs_follow_one_another(tmp_path: Path) -> None:
    """More files than are read together, and more bytes; one in between that the kernel leaves to Python."""
    (tmp_path / "d").mkdir()
    for number in range(2 * TOGETHER_FILES + 3):
        (tmp_path / "d" / f"{number:03}").write_bytes(b"%d" % number)
    for number in range(3, 3 + 2 * TOGETHER_BYTES // SMALL_FILE_BYTES):
        (tmp_path / "d" / f"{number:03}").write_bytes(bytes([number]) * (SMALL_FILE_BYTES - 1))
    (tmp_path / "d" / "001").unlink()
    os.symlink("elsewhere", tmp_path / "d" / "001")
    outcome = assert_both_alike(scanned(tmp_path / "d"))
    assert [name for name, _ in outcome["nodes"]] == sorted(os.listdir(os.fsencode(tmp_path / "d")))


def test_devices_may_differ_within_a_part(tmp_path: Path) -> None:
    """Files of another mount below, with a second name each, so that the number is written."""
    (tmp_path / "d").mkdir()
    for name in (b"a", b"b"):
        make(tmp_path / "d", name, "hard link")
    part = scanned(tmp_path / "d")
    part.devices = [8, 9]
    assert [decode_node(node).device_id for _, node in assert_both_alike(part)["nodes"]] == [8, 9]


def test_a_file_that_holds_more_than_its_size_is_read_to_its_end() -> None:
    """Files of /proc/sys say that they are empty: like one that grows after its size was looked at."""
    part = scanned(Path("/proc/sys/kernel"))
    part.names, part.modes, part.inodes = [b"ostype"], [0o100444], [os.stat("/proc/sys/kernel/ostype").st_ino]
    outcome = read_part(part, quick=True, owners={}, device_id_always=False)
    assert decode_node(outcome["nodes"][0][1]).size == len("Linux\n")
    assert outcome["contents"] == [hashlib.sha256(b"Linux\n").digest()]


@pytest.fixture
def reading() -> NativeReading:
    """A reading that writes no owner's name but its number."""
    return built_kernel().reading(
        lambda uid, gid: b',"uid":%d,"gid":%d' % (uid, gid),
        printable_ranges,
        most_bytes=1000,
        room_bytes=2500,
        device_id_always=False,
    )


def read(reading: NativeReading, directory: Path, part: DirectoryPart) -> tuple[list[bytes], list[int]]:
    """The nodes and the lengths of the first run of a part; file n has the blob n."""
    dir_fd = os.open(directory, os.O_RDONLY)
    try:
        lengths = reading.read(dir_fd, part.names, part.modes, part.inodes, [7] * len(part.names), exact=True)
    finally:
        os.close(dir_fd)
    return reading.nodes([bytes([number]) * 32 for number, length in enumerate(lengths) if length > 0]), lengths


def test_the_kernel_reads_what_finds_room(reading: NativeReading, tmp_path: Path) -> None:
    """Another file is begun only while there is room for the largest."""
    for name in "abcd":
        (tmp_path / name).write_bytes(name.encode() * 800)
    nodes, lengths = read(reading, tmp_path, scanned(tmp_path))
    assert lengths == [800, 800]
    assert bytes(reading.data[:1600]) == b"a" * 800 + b"b" * 800
    assert [decode_node(node).size for node in nodes] == [800, 800]
    assert [decode_node(node).content for node in nodes] == [[bytes([number]).hex() * 32] for number in (0, 1)]
    with pytest.raises(ValueError, match="a blob"):
        reading.nodes([])


def test_the_kernel_leaves_to_python_what_it_may_not_judge(reading: NativeReading, tmp_path: Path) -> None:
    (tmp_path / "fits").write_bytes(b"x" * 1000)
    (tmp_path / "large").write_bytes(b"x" * 1001)
    (tmp_path / 'quote"').write_bytes(b"x")
    (tmp_path / "replaced").symlink_to("fits")
    (tmp_path / "was a fifo").write_bytes(b"x")
    part = scanned(tmp_path)
    part.modes[3:] = [0o100644, 0o010644]
    nodes, lengths = read(reading, tmp_path, part)
    assert lengths == [1000, NOT_READ, NOT_READ, NOT_READ, NOT_READ]
    assert nodes[1:] == [b"", b"", b"", b""]


def test_the_size_in_a_node_is_what_was_read_however_the_file_changes(reading: NativeReading, tmp_path: Path) -> None:
    """A file that is cut and extended all the time is read as it was at one moment, or left to Python."""
    (tmp_path / "file").write_bytes(b"x" * 500)
    part = scanned(tmp_path)
    ended = threading.Event()

    def disturb() -> None:
        while not ended.is_set():
            for size in (3, 900, 0, 500):
                os.truncate(tmp_path / "file", size)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for _ in range(500):
            [node], [length] = read(reading, tmp_path, part)
            assert node == b"" if length == NOT_READ else decode_node(node).size == length
    finally:
        ended.set()
        thread.join()


def test_owners_have_the_names_of_their_batch(tmp_path: Path) -> None:
    """A worker that learned a name from one batch writes that of the next."""
    (tmp_path / "a").write_bytes(b"a")
    contents = Contents()
    nodes = NodeEncoder(with_atime=False, device_id_always=False)
    reader = EntryReader(nodes, contents, POLYNOMIAL, allow_slow_chunker=True, quick=True)  # type: ignore[arg-type]  # a double
    worker = BatchWorker(reader, contents, None, lambda _: True, 1)  # type: ignore[arg-type]  # the same
    users = []
    for name in ("one", "two"):
        batch = BatchWork([], {os.getuid(): name}, {}, [scanned(tmp_path)], [], [])
        result = worker.run(batch, lambda _files, _size: None)
        [(_, node)] = nodes_of(result)
        users.append(decode_node(node).user)
    assert users == ["one", "two"]
