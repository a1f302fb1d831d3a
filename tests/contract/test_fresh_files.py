"""A batch gives the same files and report whether the kernel makes them from the trees or Python one by one."""

from __future__ import annotations

import os
import resource
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from argosy import native
from argosy.repository.layout import FileKind, object_name
from argosy.repository.opening import BlobContent
from argosy.restic_format.blob import blob_id
from argosy.restic_format.mode import mode_to_go
from argosy.restic_format.names import quote_name
from argosy.restic_format.node import ExtendedAttribute, Node, encode_node
from argosy.restic_format.times import format_time
from argosy.restorer import batch_work
from argosy.restorer.batch_work import BatchRestorer
from argosy.restorer.content import BlobPlaces
from argosy.restorer.directories import TargetDirectories
from argosy.restorer.file_jobs import FileJob, FileRestorer
from argosy.restorer.finishing import Finisher
from argosy.restorer.fresh_files import fresh_files
from argosy.restorer.messages import Outcome, Part, RestoreSettings, RestoreWork
from argosy.restorer.overwrite import Overwrite
from argosy.restorer.tree_nodes import join_nodes
from argosy.storage.local import LocalStorage
from tests.support.blob_store import BlobStore
from tests.support.native import built_kernel
from tests.support.storage_doubles import MemoryStorage
from tests.support.trees import assert_same_tree

TIME_NS = 1_500_000_000_000_000_001
WAYS = ("native", "python")


def use(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_loaded", built_kernel() if way == "native" else None)
    monkeypatch.setattr(native, "_reason", "" if way == "native" else "a test goes without")


def node(name: str, *contents: bytes, **changes: Any) -> Node:
    """An entry of this process's user: by default a file of these contents. The mode is an st_mode."""
    when = format_time(changes.pop("time_ns", TIME_NS))
    fields: dict[str, Any] = {
        "type": "file",
        "mode": 0o100640,
        "mtime": when,
        "atime": when,
        "ctime": when,
        "uid": os.geteuid(),
        "gid": os.getegid(),
        "links": 1,
        "size": sum(map(len, contents)),
        "content": [blob_id(content).hex() for content in contents],
    }
    fields.update(changes)
    fields["mode"] = mode_to_go(fields["mode"])
    return Node(quote_name(os.fsencode(name)), **fields)


def plain(count: int, first: int = 0) -> list[tuple[Node, list[bytes]]]:
    entries = []
    for number in range(first, first + count):
        content = bytes([65 + number % 26]) * (number + 1)
        entries.append((node(f"file {number:04}", content), [content]))
    return entries


def part(path: str, nodes: Sequence[Node]) -> Part:
    """As a backup makes it."""
    return Part(0, path.encode(), join_nodes([encode_node(each) for each in sorted(nodes, key=Node.name_bytes)]))


@dataclass
class Scene:
    """Contents in a repository, and batches that are restored in both ways, each into a directory of its own."""

    tmp_path: Path
    monkeypatch: pytest.MonkeyPatch
    store: BlobStore
    one_by_one: dict[str, list[bytes]] = field(default_factory=dict)
    holding: Callable[[Path], None] = lambda _target: None

    def restore(self, parts: Sequence[Part], **settings: Any) -> Outcome:
        """Both ways; they do the same, and what it was."""
        outcomes = [self._restore(way, parts, RestoreSettings(recorded=True, listing=True, **settings)) for way in WAYS]
        assert_same_tree(self.tmp_path / "native", self.tmp_path / "python")
        here, there = outcomes
        assert (here.restored, here.restored_bytes) == (there.restored, there.restored_bytes)
        assert sorted(here.errors) == sorted(there.errors)
        assert (here.notes, here.broken) == (there.notes, there.broken)
        assert sorted(here.items, key=repr) == sorted(there.items, key=repr)
        assert [sorted(names) for names in here.written] == [sorted(names) for names in there.written]
        return here

    def restore_entries(self, entries: dict[str, list[tuple[Node, list[bytes]]]], **settings: Any) -> Outcome:
        """Directories of nodes; the contents are stored first."""
        self.store.store([content for each in entries.values() for _, contents in each for content in contents])
        parts = [part(path, [each for each, _ in nodes]) for path, nodes in entries.items()]
        return self.restore(parts, **settings)

    def _restore(self, way: str, parts: Sequence[Part], settings: RestoreSettings) -> Outcome:
        use(way, self.monkeypatch)
        target = self.tmp_path / way
        target.mkdir(exist_ok=True)
        alone = self.one_by_one[way] = []

        class Noting(FileRestorer):
            def take(self, purpose: tuple[FileJob, int], content: BlobContent) -> None:
                alone.append(purpose[0].name)
                super().take(purpose, content)

        self.monkeypatch.setattr(batch_work, "FileRestorer", Noting)
        directories = TargetDirectories(
            os.open(target, os.O_RDONLY | os.O_DIRECTORY),
            create=not settings.dry_run,
            replace=True,
            hold=lambda: self.holding(target),
        )
        store = self.store
        places = BlobPlaces(store.repository, store.lookup)
        fresh = fresh_files(store.repository.key, places, store.fetcher, directories, settings)
        assert way == "native" or fresh is None
        finisher = Finisher(directories, settings, b"/target")
        batch = BatchRestorer(places, store.fetcher, directories, finisher, settings, b"/target", fresh)
        with no_umask():
            outcome = batch.run(RestoreWork(list(parts)), lambda _files, _bytes: None)
        directories.close()
        settle_times(target)
        return outcome


def settle_times(target: Path) -> None:
    """Those that no batch sets: of directories, and of what stood there before."""
    for path in target.rglob("*"):
        if path.is_dir() or path.stat(follow_symlinks=False).st_mtime_ns > TIME_NS + 10**17:
            os.utime(path, ns=(0, 0), follow_symlinks=False)


@contextmanager
def no_umask() -> Iterator[None]:
    """As a worker has it."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture(params=["local", "remote"])
def scene(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    storage = LocalStorage(tmp_path / "repository") if request.param == "local" else MemoryStorage()
    store = BlobStore(storage, tmp_path)
    yield Scene(tmp_path, monkeypatch, store)
    store.close()


def test_plain_files_are_made_by_the_kernel(scene: Scene) -> None:
    scene.restore_entries({"a": plain(40), "b/c": plain(40, 20)})
    assert scene.one_by_one["native"] == []
    assert len(scene.one_by_one["python"]) == 80
    made = (scene.tmp_path / "native" / "b" / "c" / "file 0039").stat()
    assert (made.st_mtime_ns, made.st_mode & 0o7777) == (TIME_NS, 0o640)


def test_more_directories_than_are_open_at_a_time(scene: Scene) -> None:
    outcome = scene.restore_entries({f"d{number:03}": plain(2, number) for number in range(400)})
    assert (outcome.restored, scene.one_by_one["native"]) == (800, [])


def test_entries_that_need_more_are_as_python_makes_them(scene: Scene) -> None:
    four, five = b"four", b"fives"
    odd = [
        (node("setuid", four, mode=0o104755), [four]),
        (node("read-only", four, mode=0o100444), [four]),
        (node("other times", four, atime=format_time(TIME_NS - 10**12)), [four]),
        (node("before 1970", four, time_ns=-1), [four]),
        (node("long before", four, time_ns=-3_000_000_000_123_456_789), [four]),
        (node("the last year", four, time_ns=253_402_300_799_000_000_000), [four]),
        (node("with attribute", four, extended_attributes=[ExtendedAttribute("user.a", "Yg==")]), [four]),
        (node("someone's", four, uid=os.geteuid() + 1), [four]),
        (node("ü", four), [four]),
        (node('"quoted"', four), [four]),
        (node("line\nbreak", four), [four]),
        (node(os.fsdecode(b"not \xff UTF-8"), four), [four]),
        (node("empty"), []),
        (node("two blobs", four, five), [five]),
        (node("link", type="symlink", mode=0o120777, linktarget="four", content=None), []),
        (node("pipe", type="fifo", mode=0o010600, content=None), []),
        (node("socket", type="socket", mode=0o140600, content=None), []),
        (node("directory", type="dir", mode=0o040700, content=None, subtree="ab" * 32), []),
    ]
    outcome = scene.restore_entries({"d": [*plain(5), *odd]})
    assert outcome.errors == []
    # Of the first file in a directory the kernel learns whom files belong to.
    assert not {"file 0000", "ü", '"quoted"', "before 1970"} & {
        name.decode(errors="replace") for name in scene.one_by_one["native"]
    }
    assert (scene.tmp_path / "native" / "d" / "before 1970").stat().st_mtime_ns == -1
    assert (scene.tmp_path / "native" / "d" / "two blobs").read_bytes() == four + five


@pytest.mark.parametrize(
    "time", ["2017-07-14T04:40:00.5+02:00", "2017-07-14T02:40:00.123456789-05:30", "0000-01-01T00:00:00Z"]
)
def test_times_with_an_offset(time: str, scene: Scene) -> None:
    content = b"content"
    scene.store.store([content])
    raw = encode_node(node("file", content)).replace(format_time(TIME_NS).encode(), time.encode())
    scene.restore([Part(0, b"d", join_nodes([raw]))])
    assert scene.one_by_one["native"] == []


def test_what_is_damaged_missing_or_not_as_large_as_it_says(scene: Scene) -> None:
    contents = [b"one", b"two", b"three", b"four"]
    (pack,) = scene.store.store(contents)
    scene.store.store(contents[1:2])
    bad = {blob_id(contents[0]), blob_id(contents[1])}
    name = object_name(FileKind.PACK, pack.id)
    data = bytearray(scene.store.repository.storage.get(name))
    for blob in pack.blobs:
        if blob.id in bad:
            data[blob.offset + 20] ^= 1
    scene.store.repository.storage.put(name, bytes(data))
    nodes = [
        node("damaged", contents[0]),
        node("damaged in one of two places", contents[1]),
        node("sound", contents[2]),
        node("sound too", contents[3]),
        node("twice", contents[3]),
        node("of another size", contents[2], size=77),
        node("in no index", b"nowhere"),
    ]
    outcome = scene.restore([part("d", nodes)])
    assert sorted(location for location, _ in outcome.errors) == [
        b"/d/damaged",
        b"/d/in no index",
        b"/d/of another size",
    ]
    assert (scene.tmp_path / "native" / "d" / "damaged in one of two places").read_bytes() == b"two"
    assert not (scene.tmp_path / "native" / "d" / "damaged").exists()
    assert b"sound" not in scene.one_by_one["native"]
    assert b"twice" not in scene.one_by_one["native"]


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.replace(b'"size":', b'"bytes":1,"size":'),
        lambda raw: raw.replace(b'"ctime":"', b'"gid":"two","ctime":"'),
        lambda raw: raw.replace(b'"type":"file"', b'"type" : "file"'),
        lambda raw: raw.replace(b'"mtime":"2', b'"mtime":"x'),
    ],
    ids=["unknown key", "no number", "blanks", "no time"],
)
def test_a_tree_that_is_written_in_another_way_is_pythons(change: Callable[[bytes], bytes], scene: Scene) -> None:
    scene.store.store([content for _, contents in plain(4) for content in contents])
    nodes = [each for each, _ in plain(4)]
    raw = [encode_node(each) for each in nodes]
    changed = change(raw[2])
    assert changed != raw[2]
    scene.restore([Part(0, b"d", join_nodes([*raw[:2], changed, raw[3]])), part("e", nodes)])
    assert len(scene.one_by_one["native"]) in (3, 4)


def test_what_stands_there_already_stays_and_is_named(scene: Scene) -> None:
    """A link too: it is not followed. Made by this process, the directory counts as fresh."""
    outside = scene.tmp_path / "outside"

    def disturb(target: Path) -> None:
        directory = target / "d"
        if directory.exists() and not (directory / "file 0004").is_symlink():
            (directory / "file 0003").write_text("mine")
            (directory / "file 0004").symlink_to(outside)
            (directory / "file 0005").mkdir()

    scene.holding = disturb
    outcome = scene.restore_entries({"d": plain(8)})
    assert outcome.restored == 5
    assert sorted(location for location, _ in outcome.errors) == [b"/d/file 0003", b"/d/file 0004", b"/d/file 0005"]
    assert not outside.exists()


def test_of_a_file_that_cannot_be_written_whole_nothing_is_left(scene: Scene) -> None:
    large = os.urandom(5000)
    entries = {"d": [*plain(10), (node("too large", large), [large])], "e": plain(10)}
    scene.store.store([large, *(content for _, contents in plain(10) for content in contents)])
    parts = [part(path, [each for each, _ in nodes]) for path, nodes in entries.items()]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))
    try:
        outcome = scene.restore(parts)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert scene.one_by_one["native"] == [b"too large"]
    assert [location for location, _ in outcome.errors] == [b"/d/too large"]
    assert not (scene.tmp_path / "native" / "d" / "too large").exists()


def test_files_that_inherit_an_acl_are_pythons(scene: Scene) -> None:
    for way in WAYS:
        (scene.tmp_path / way).mkdir()
        # Version 2; owner, group and others, without a special id (linux/posix_acl_xattr.h).
        entries = b"".join(struct.pack("<HHI", tag, 7, 0xFFFFFFFF) for tag in (0x01, 0x04, 0x20))
        try:
            os.setxattr(scene.tmp_path / way, "system.posix_acl_default", struct.pack("<I", 2) + entries)
        except OSError as error:
            pytest.skip(f"the file system has no ACLs: {error.strerror}")
    scene.restore_entries({"d": plain(5)})
    assert len(scene.one_by_one["native"]) == 5


@pytest.mark.parametrize("settings", [{"sparse": True}, {"overwrite": Overwrite.NEVER}, {"dry_run": True}])
def test_some_ways_of_restoring_leave_all_to_python(settings: dict[str, Any], scene: Scene) -> None:
    scene.restore_entries({"d": plain(5)}, **settings)
    assert len(scene.one_by_one["native"]) == (0 if "dry_run" in settings else 5)


def test_nothing_is_made_before_the_target_may_be_changed(scene: Scene) -> None:
    """The lease is asked for once more when the files are made."""
    seen: list[list[int]] = []

    def look(target: Path) -> None:
        if target.name == "native":
            seen.append([len(os.listdir(path)) for path in sorted(target.iterdir())])

    scene.holding = look
    scene.restore_entries({"d": plain(5), "e": plain(3)})
    assert [0, 0] in seen
    assert all(sum(counts) == 0 for counts in seen)
    assert scene.one_by_one["native"] == []
