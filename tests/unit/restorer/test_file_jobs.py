"""Writing files: whole or in pieces, under their name or another, and what is left when something fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import RestoreError
from argosy.restic_format.mode import mode_to_go
from argosy.restic_format.node import Node
from argosy.restic_format.times import format_time
from argosy.restorer import file_jobs
from argosy.restorer.directories import TargetDirectories
from argosy.restorer.existing import Look
from argosy.restorer.file_jobs import FileJob, FileRestorer, temporary_name
from argosy.restorer.messages import RestoreSettings
from argosy.restorer.metadata import MetadataSetter
from argosy.restorer.overwrite import Overwrite, Verdict
from tests.support.trees import File, HardLink, make_tree, snapshot_tree

TIME_NS = 1_500_000_000_000_000_001


class Work:
    """A restorer over a target."""

    def __init__(self, target: Path, **settings: Any) -> None:
        self.directories = TargetDirectories(os.open(target, os.O_RDONLY | os.O_DIRECTORY), create=True, replace=True)
        self.errors: list[tuple[bytes, str]] = []
        setter = MetadataSetter((), (), lambda path, reason: self.errors.append((path, reason)))
        self.files = FileRestorer(self.directories, setter, RestoreSettings(**settings), b"/target")

    def job(self, name: str, size: int, blobs: int, verdict: Verdict = Verdict.NEW, *, mode: int = 0o640) -> FileJob:
        path, _, base = name.rpartition("/")
        found = None
        if verdict is not Verdict.NEW:
            found = os.lstat(base.encode(), dir_fd=self.directories.get(path.encode()).fd)
        when = format_time(TIME_NS)
        node = Node(
            base, "file", mode_to_go(0o100000 | mode), when, when, when, os.geteuid(), os.getegid(), size=size, links=1
        )
        return FileJob(0, path.encode(), base.encode(), node, size, Look(verdict, found), blobs)

    def close(self) -> None:
        self.files.close()
        self.directories.close()


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Any]:
    made: list[Work] = []

    def make(**settings: Any) -> Work:
        made.append(Work(tmp_path, **settings))
        return made[-1]

    yield make
    for work in made:
        work.close()


def fail_with(code: int) -> Any:
    def fail(*_: object, **__: object) -> Any:
        raise OSError(code, os.strerror(code))

    return fail


def test_a_file_of_one_blob_is_done_at_once(works: Any, tmp_path: Path) -> None:
    work = works()
    for name, mode in (("dir/first", 0o640), ("dir/second", 0o640), ("dir/readable", 0o444), ("dir/setuid", 0o4755)):
        work.files.take((work.job(name, 4, 1, mode=mode), 0), b"four")
        found = (tmp_path / name).stat()
        assert (found.st_mode & 0o7777, found.st_mtime_ns, found.st_size) == (mode, TIME_NS, 4)
    assert (work.files.outcome.restored, work.files.outcome.restored_bytes) == (4, 16)


def test_pieces_may_come_in_any_order(works: Any, tmp_path: Path) -> None:
    """The times are set with the last of them."""
    work = works()
    job = work.job("file", 9, 3)
    for offset, content in ((6, b"ccc"), (0, b"aaa")):
        work.files.take((job, offset), content)
        assert (tmp_path / "file").stat().st_mtime_ns != TIME_NS
    work.files.take((job, 3), b"bbb")
    assert (tmp_path / "file").read_bytes() == b"aaabbbccc"
    assert (tmp_path / "file").stat().st_mtime_ns == TIME_NS


def test_few_files_are_open_however_many_are_in_work(
    works: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_jobs, "_OPEN_MOST", 3)
    work = works()
    jobs = [work.job(f"file {number}", 8, 2) for number in range(20)]
    before = len(os.listdir("/proc/self/fd"))
    for offset in (4, 0):
        for job in jobs:
            work.files.take((job, offset), b"four")
            assert len(os.listdir("/proc/self/fd")) <= before + 4
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"fourfour"}
    assert work.files.outcome.restored == 20


def test_a_file_that_fails_when_it_is_laid_aside_is_the_one_that_is_named(
    works: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network file system tells once, at a close, that earlier writes were lost."""
    monkeypatch.setattr(file_jobs, "_OPEN_MOST", 1)
    work = works()
    lost, other = work.job("lost", 8, 2), work.job("other", 8, 2)
    work.files.take((lost, 0), b"four")
    with monkeypatch.context() as failing:
        failing.setattr(os, "close", fail_with(errno.EIO))
        work.files.take((other, 0), b"four")
    for job in (lost, other):
        work.files.take((job, 4), b"more")
    assert work.files.outcome.errors == [(b"/lost", os.strerror(errno.EIO))]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"other": b"fourmore"}


def test_an_update_writes_what_it_is_given_and_cuts_the_rest(works: Any, tmp_path: Path) -> None:
    make_tree(tmp_path, {"file": b"aaaXXXccc and more", "short": b"aaaXXXccc and more"})
    work = works()
    work.files.take((work.job("file", 9, 1, Verdict.UPDATE), 3), b"bbb")
    work.files.finish_without_content(work.job("short", 3, 0, Verdict.UPDATE))
    assert (tmp_path / "file").read_bytes() == b"aaabbbccc"
    assert (tmp_path / "short").read_bytes() == b"aaa"
    assert {path.stat().st_mtime_ns for path in tmp_path.iterdir()} == {TIME_NS}


@pytest.mark.parametrize("way", [Overwrite.IF_NEWER, Overwrite.NEVER])
def test_where_existence_counts_a_file_gets_its_name_when_it_is_complete(
    works: Any, tmp_path: Path, way: Overwrite
) -> None:
    """Until then it has another, and what an interrupted restore left under that goes."""
    make_tree(tmp_path, {os.fsdecode(temporary_name(b"file")): b"left by an interrupted restore"})
    work = works(overwrite=way)
    job = work.job("file", 8, 2)
    work.files.take((job, 0), b"four")
    assert [path.name for path in tmp_path.iterdir()] == [os.fsdecode(temporary_name(b"file"))]
    work.files.take((job, 4), b"more")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"fourmore"}


def test_a_file_that_appears_meanwhile_is_not_overwritten(works: Any, tmp_path: Path) -> None:
    for way in (Overwrite.NEVER, Overwrite.ALWAYS):
        work = works(overwrite=way)
        job = work.job("file", 4, 1)
        (tmp_path / "file").write_bytes(b"other")
        work.files.take((job, 0), b"four")
        ((path, reason),) = work.files.outcome.errors
        assert path == b"/file"
        assert "something else made it meanwhile" in reason
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"other"}


def test_an_older_file_is_replaced_in_one_step(works: Any, tmp_path: Path) -> None:
    make_tree(tmp_path, {"file": b"older"})
    work = works(overwrite=Overwrite.IF_NEWER)
    job = work.job("file", 8, 2, Verdict.REPLACE)
    work.files.take((job, 0), b"four")
    assert (tmp_path / "file").read_bytes() == b"older"
    work.files.take((job, 4), b"more")
    assert (tmp_path / "file").read_bytes() == b"fourmore"


def test_a_missing_blob_leaves_nothing_of_a_new_file(works: Any, tmp_path: Path) -> None:
    """And an existing one as it is, until the first byte was written to it; blobs that still come are dropped."""
    make_tree(tmp_path, {"untouched": b"old", "touched": b"oldold", "shared": b"old", "too": HardLink("shared")})
    work = works()
    for name, verdict in (("new", Verdict.NEW), ("untouched", Verdict.UPDATE), ("shared", Verdict.REPLACE)):
        job = work.job(name, 6, 2, verdict)
        if name == "new":
            work.files.take((job, 0), b"new")
        work.files.missing((job, 0), "it is damaged")
        work.files.take((job, 3), b"new")
    touched = work.job("touched", 6, 2, Verdict.UPDATE)
    work.files.take((touched, 0), b"new")
    work.files.missing((touched, 3), "it is damaged")
    assert {name: state.size_bytes for name, state in snapshot_tree(tmp_path).items()} == {
        b"untouched": 3,
        b"touched": 6,
        b"shared": 3,
        b"too": 3,
    }
    assert dict(work.files.outcome.errors) == {
        b"/new": "it is damaged",
        b"/untouched": "it is damaged",
        b"/shared": "it is damaged",
        b"/touched": "it is damaged; it holds old and new content now",
    }
    assert work.files.outcome.restored == 0


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ESTALE])
@pytest.mark.parametrize("blobs", [1, 2])
def test_a_full_target_ends_the_restore(works: Any, monkeypatch: pytest.MonkeyPatch, code: int, blobs: int) -> None:
    work = works()
    monkeypatch.setattr(os, "write", fail_with(code))
    monkeypatch.setattr(os, "pwrite", fail_with(code))
    with pytest.raises(RestoreError, match=r"the target /target (is full|cannot be written|went away)") as caught:
        work.files.take((work.job("file", 8, blobs), 0), b"four")
    assert caught.value.hint


def test_a_full_disk_that_shows_at_the_end_is_noticed(works: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Network file systems tell when the file is closed."""
    work = works()
    job = work.job("file", 4, 1)
    work.directories.get(b"")
    monkeypatch.setattr(os, "close", fail_with(errno.ENOSPC))
    with pytest.raises(RestoreError, match="is full"):
        work.files.take((job, 0), b"four")


def test_another_failure_costs_the_file_alone(works: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = works()
    with monkeypatch.context() as failing:
        failing.setattr(os, "write", fail_with(errno.EIO))
        work.files.take((work.job("bad", 4, 1), 0), b"four")
    work.files.take((work.job("good", 4, 1), 0), b"four")
    assert work.files.outcome.errors == [(b"/bad", os.strerror(errno.EIO))]
    assert [path.name for path in tmp_path.iterdir()] == ["good"]


def test_a_file_for_others_to_write_is_begun_and_completed(works: Any, tmp_path: Path) -> None:
    """Under a temporary name where existence counts; an interrupted one is taken up."""
    for way in (Overwrite.ALWAYS, Overwrite.NEVER):
        name = f"file {way}"
        work = works(overwrite=way)
        job = work.job(name, 8, 0)
        present, found = work.files.begin(job, room=8)
        assert (present == name.encode(), found) == (way is Overwrite.ALWAYS, False)
        (tmp_path / os.fsdecode(present)).write_bytes(b"begun")
        if way is Overwrite.NEVER:
            job = work.job(name, 8, 0)
            assert work.files.begin(job, room=8) == (present, True)
        (tmp_path / os.fsdecode(present)).write_bytes(b"complete and too long")
        work.files.complete(job)
        assert (tmp_path / name).read_bytes() == b"complete"
        assert (tmp_path / name).stat().st_mtime_ns == TIME_NS


def test_an_unchanged_file_gets_metadata_only(works: Any, tmp_path: Path) -> None:
    make_tree(tmp_path, {"file": File(b"same", mode=0o600, xattrs={"user.gone": b"x"})})
    work = works(listing=True)
    work.files.finish_without_content(work.job("file", 4, 0, Verdict.UNCHANGED))
    state = snapshot_tree(tmp_path)[b"file"]
    assert (state.mode, state.mtime_ns, state.xattrs) == (0o640, TIME_NS, ())
    assert work.files.outcome.items == [("unchanged", b"/file", 4)]
    assert (work.files.outcome.skipped, work.files.outcome.restored) == (1, 0)
