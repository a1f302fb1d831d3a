"""Fetching a directory's entries: in order, several at once, without losing a descriptor."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from argosy.archiver import fetching
from argosy.archiver.fetching import Fetched, Fetcher, Replaced

NAMES = [b"%02d" % number for number in range(40)]


@pytest.fixture(params=[1, 8])
def fetcher(request: pytest.FixtureRequest) -> Fetcher:
    return Fetcher(request.param)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Forty files; every fourth is large."""
    for number, name in enumerate(NAMES):
        content = b"%d" % number
        (tmp_path / os.fsdecode(name)).write_bytes(content * 20 if number % 4 == 0 else content)
    return tmp_path


@pytest.fixture(autouse=True)
def twenty_bytes_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "SMALL_FILE_BYTES", 19)


@pytest.fixture
def dir_fd(directory: Path) -> Iterator[int]:
    fd = os.open(directory, os.O_RDONLY)
    yield fd
    os.close(fd)


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def fetch_all(
    fetcher: Fetcher, directory: Path, dir_fd: int, names: list[bytes], *, exact: bool = True
) -> list[Fetched | Replaced | OSError]:
    """Everything, as the directory is now."""
    stats = [os.lstat(os.path.join(os.fsencode(directory), name)) for name in names]
    modes, inodes = [stat.st_mode for stat in stats], [stat.st_ino for stat in stats]
    with closing(fetcher.fetch_all(dir_fd, names, modes, inodes, exact)) as fetched:
        return list(fetched)


def test_outcomes_come_in_the_order_given(fetcher: Fetcher, directory: Path, dir_fd: int) -> None:
    before = descriptors()
    outcomes = fetch_all(fetcher, directory, dir_fd, NAMES)
    for number, (name, outcome) in enumerate(zip(NAMES, outcomes, strict=True)):
        assert isinstance(outcome, tuple)
        entry, tail, content, fd = outcome
        assert entry.st_ino == os.lstat(directory / os.fsdecode(name)).st_ino
        assert tail == b""
        if number % 4:
            assert (content, fd) == (b"%d" % number, -1)
        else:
            assert content is None
            assert os.read(fd, 100) == b"%d" % number * 20
            os.close(fd)
    assert descriptors() == before


@pytest.mark.parametrize("taken", [0, 1, 9])
def test_stopping_early_closes_every_descriptor(fetcher: Fetcher, directory: Path, dir_fd: int, taken: int) -> None:
    """But those that were handed out already."""
    before = descriptors()
    stats = [os.lstat(directory / os.fsdecode(name)) for name in NAMES]
    modes, inodes = [stat.st_mode for stat in stats], [stat.st_ino for stat in stats]
    with closing(fetcher.fetch_all(dir_fd, NAMES, modes, inodes, True)) as fetched:
        for _, outcome in zip(range(taken), fetched, strict=False):
            assert isinstance(outcome, tuple)
            if outcome[3] >= 0:
                os.close(outcome[3])
    assert descriptors() == before


def test_each_entry_fails_alone(fetcher: Fetcher, directory: Path, dir_fd: int) -> None:
    """Gone, replaced by another file, by a link, by a pipe (which is not waited for)."""
    stats = {name: os.lstat(directory / os.fsdecode(name)) for name in NAMES}
    (directory / "01").unlink()
    (directory / "02").rename(directory / "03")
    (directory / "05").unlink()
    (directory / "05").symlink_to("06")
    (directory / "07").unlink()
    os.mkfifo(directory / "07")
    names = [b"01", b"03", b"05", b"06", b"07"]
    modes, inodes = [stats[name].st_mode for name in names], [stats[name].st_ino for name in names]
    with closing(fetcher.fetch_all(dir_fd, names, modes, inodes, True)) as fetched:
        gone, other, link, fine, pipe = fetched
    assert isinstance(gone, FileNotFoundError)
    assert isinstance(other, Replaced)
    assert isinstance(link, OSError)
    assert link.errno == errno.ELOOP
    assert isinstance(fine, tuple)
    assert isinstance(pipe, Replaced)


def test_an_entry_that_came_back_often_is_read_whatever_its_inode(
    fetcher: Fetcher, directory: Path, dir_fd: int
) -> None:
    with closing(fetcher.fetch_all(dir_fd, [b"01"], [stat.S_IFREG | 0o644], [1], False)) as fetched:
        (outcome,) = fetched
    assert isinstance(outcome, tuple)
    assert outcome[2] == b"1"
    (directory / "01").unlink()
    (directory / "01").mkdir()
    with closing(fetcher.fetch_all(dir_fd, [b"01"], [stat.S_IFREG | 0o644], [1], False)) as fetched:
        (outcome,) = fetched
    assert isinstance(outcome, Replaced)


def test_special_entries_are_looked_at_and_not_opened(fetcher: Fetcher, directory: Path, dir_fd: int) -> None:
    (directory / "link").symlink_to(b"\xff nowhere".decode("utf-8", "surrogateescape"))
    os.mkfifo(directory / "pipe")
    link, pipe = fetch_all(fetcher, directory, dir_fd, [b"link", b"pipe"])
    assert isinstance(link, tuple)
    assert b"linktarget" in link[1]
    assert link[2:] == (None, -1)
    assert isinstance(pipe, tuple)
    assert pipe[1:] == (b"", None, -1)
    (directory / "link").unlink()
    (directory / "link").symlink_to("01")
    link_mode, old = stat.S_IFLNK | 0o777, os.lstat(directory / "pipe").st_ino
    with closing(fetcher.fetch_all(dir_fd, [b"link", b"pipe"], [link_mode, link_mode], [old, old], True)) as fetched:
        assert [type(outcome) for outcome in fetched] == [Replaced, Replaced]


def test_an_empty_directory_gives_nothing(fetcher: Fetcher, dir_fd: int) -> None:
    assert list(fetcher.fetch_all(dir_fd, [], [], [], True)) == []
