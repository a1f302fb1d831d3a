"""New files of one blob come out alike, whether the kernel makes them many at a time or Python does one by one."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from argosy import native
from argosy.restic_format.mode import mode_to_go
from argosy.restic_format.node import ExtendedAttribute, Node
from argosy.restic_format.times import format_time
from argosy.restorer.directories import TargetDirectories
from argosy.restorer.existing import Look
from argosy.restorer.file_jobs import FileJob, FileRestorer
from argosy.restorer.messages import Outcome, RestoreSettings
from argosy.restorer.metadata import MetadataSetter
from argosy.restorer.new_files import NewFiles
from argosy.restorer.overwrite import Overwrite, Verdict
from tests.support.native import built_kernel
from tests.support.trees import assert_same_tree

TIME_NS = 1_500_000_000_000_000_001
WAYS = ("native", "python")


def use(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_loaded", built_kernel() if way == "native" else None)
    monkeypatch.setattr(native, "_reason", "" if way == "native" else "a test goes without")


def node(name: str, size: int, **changes: Any) -> Node:
    """A file of this process's user; times are those of ``time_ns``, the mode is an st_mode."""
    when = format_time(changes.pop("time_ns", TIME_NS))
    fields: dict[str, Any] = {
        "mode": 0o100640,
        "mtime": when,
        "atime": when,
        "ctime": when,
        "uid": os.geteuid(),
        "gid": os.getegid(),
    }
    fields.update(changes)
    fields["mode"] = mode_to_go(fields["mode"])
    return Node(name, "file", size=size, links=1, **fields)


class Batch:
    """What a batch makes of new files in ``target``. ``one_by_one`` are those that were left to Python."""

    def __init__(self, target: Path, settings: RestoreSettings) -> None:
        self.directories = TargetDirectories(os.open(target, os.O_RDONLY | os.O_DIRECTORY), create=True, replace=True)
        self.errors: list[tuple[bytes, str]] = []
        setter = MetadataSetter((), (), lambda path, reason: self.errors.append((path, reason)))
        self.files = FileRestorer(self.directories, setter, settings, b"/target")
        self.new_files = NewFiles(self.files, self.directories, setter, settings)
        self.one_by_one: list[bytes] = []
        take = self.files.take

        def noting(purpose: tuple[FileJob, int], content: Any) -> None:
            self.one_by_one.append(purpose[0].name)
            take(purpose, content)

        self.files.take = noting  # type: ignore[method-assign]

    def run(self, entries: list[tuple[str, Node, bytes]]) -> Outcome:
        """Make (directory, node, content) all at once."""
        contents = bytearray(b"".join(content for _, _, content in entries))
        view, at = memoryview(contents), 0
        for path, each, content in entries:
            job = FileJob(0, path.encode(), each.name.encode(), each, len(content), Look(Verdict.NEW), 1)
            self.new_files.take((job, 0), view[at : at + len(content)])
            at += len(content)
        self.new_files.settle()
        self.files.close()
        self.directories.close()
        return self.files.outcome


def make_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: list[tuple[str, Node, bytes]], **settings: Any
) -> list[Batch]:
    """The batch in each way, in a directory of its own; the trees and what is told of them are the same."""
    batches: list[Batch] = []
    for way in WAYS:
        use(way, monkeypatch)
        (tmp_path / way).mkdir(exist_ok=True)
        batches.append(Batch(tmp_path / way, RestoreSettings(recorded=True, listing=True, **settings)))
        batches[-1].files.outcome.written = [[]]
        with no_umask():
            batches[-1].run(entries)
        settle_times(tmp_path / way)
    assert_same_tree(tmp_path / "native", tmp_path / "python")
    here, there = (batch.files.outcome for batch in batches)
    assert (sorted(here.errors), here.restored, here.restored_bytes) == (
        sorted(there.errors),
        there.restored,
        there.restored_bytes,
    )
    assert sorted(here.items, key=repr) == sorted(there.items, key=repr)
    assert sorted(here.written[0]) == sorted(there.written[0])
    assert batches[0].errors == batches[1].errors
    return batches


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


def plain_entries(directory: str, count: int) -> list[tuple[str, Node, bytes]]:
    return [
        (directory, node(f"file {number}", number + 1), bytes([65 + number % 26]) * (number + 1))
        for number in range(count)
    ]


def test_plain_files_are_made_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the first of a directory, which shows whom new files belong to."""
    entries = [*plain_entries("a", 40), *plain_entries("b/c", 40)]
    together, alone = make_both(tmp_path, monkeypatch, entries)
    assert together.one_by_one == [b"file 0", b"file 0"]
    assert len(alone.one_by_one) == 80
    assert (tmp_path / "native" / "b" / "c" / "file 39").stat().st_mtime_ns == TIME_NS


def test_files_that_need_more_are_as_python_makes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = [
        node("setuid", 4, mode=0o104755),
        node("read-only", 4, mode=0o100444),
        node("other times", 4, atime=format_time(TIME_NS - 10**12)),
        node("before 1970", 4, time_ns=-1),
        node("long before", 4, time_ns=-3_000_000_000_123_456_789),
        node("the last year", 4, time_ns=253_402_300_799_000_000_000),
        node("with attribute", 4, extended_attributes=[ExtendedAttribute("user.a", "Yg==")]),
        node("no time", 4, mtime="yesterday", atime="yesterday"),
        node("ü".encode().decode(), 4),
    ]
    make_both(tmp_path, monkeypatch, [*plain_entries("d", 2), *(("d", each, b"four") for each in odd)])
    assert (tmp_path / "native" / "d" / "before 1970").stat().st_mtime_ns == -1


def test_what_stands_there_already_stays_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link too: it is not followed."""
    outside = tmp_path / "outside"
    for way in WAYS:
        (tmp_path / way / "d").mkdir(parents=True)
        (tmp_path / way / "d" / "file 3").write_text("mine")
        (tmp_path / way / "d" / "file 4").symlink_to(outside)
        (tmp_path / way / "d" / "file 5").mkdir()
    together, _ = make_both(tmp_path, monkeypatch, [*plain_entries("d", 8), *plain_entries("d", 2)])
    assert together.files.outcome.restored == 5
    assert len(together.files.outcome.errors) == 5
    assert not outside.exists()


def test_of_a_file_that_cannot_be_written_whole_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [*plain_entries("d", 10), ("d", node("too large", 5000), b"x" * 5000), *plain_entries("e", 10)]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))
    try:
        together, _ = make_both(tmp_path, monkeypatch, entries)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert together.one_by_one == [b"file 0", b"file 0", b"too large"]
    assert [location for location, _ in together.files.outcome.errors] == [b"/d/too large"]
    assert not (tmp_path / "native" / "d" / "too large").exists()


@pytest.mark.parametrize("settings", [{"sparse": True}, {"overwrite": Overwrite.NEVER}])
def test_some_ways_of_restoring_leave_all_to_python(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, _ = make_both(tmp_path, monkeypatch, plain_entries("d", 5), **settings)
    assert len(together.one_by_one) == 5


def test_nothing_is_made_before_the_target_may_be_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease is asked for once more when the files are made."""
    use("native", monkeypatch)
    batch = Batch(tmp_path, RestoreSettings())
    seen: list[int] = []
    batch.directories.hold = lambda: seen.append(len(os.listdir(tmp_path / "d")) if (tmp_path / "d").exists() else -1)
    batch.run(plain_entries("d", 5))
    assert seen[-1] == 1  # the first one was made alone
    assert len(os.listdir(tmp_path / "d")) == 5
