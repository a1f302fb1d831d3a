"""The bounded set of open files."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from argosy.storage.open_files import OpenFiles


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for number in range(10):
        (tmp_path / str(number)).write_bytes(b"%d" % number * 100)
    return tmp_path


def opener(directory: Path, opened: list[str]) -> OpenFiles:
    def open_file(name: str) -> int:
        opened.append(name)
        return os.open(directory / name, os.O_RDONLY)

    return OpenFiles(open_file, limit=3)


def test_a_file_is_opened_once(directory: Path) -> None:
    opened: list[str] = []
    files = opener(directory, opened)
    for _ in range(3):
        assert files.get("1").read(0, 2) == b"11"
    assert opened == ["1"]


def test_the_oldest_file_makes_room(directory: Path) -> None:
    opened: list[str] = []
    files = opener(directory, opened)
    for name in ["1", "2", "3", "4", "3", "1"]:
        files.get(name)
    assert opened == ["1", "2", "3", "4", "1"]


def test_a_file_in_use_stays_open_after_it_was_dropped(directory: Path) -> None:
    files = opener(directory, [])
    held = files.get("1")
    files.forget("1")
    files.clear()
    for name in ["2", "3", "4", "5"]:  # these would take its number
        files.get(name)
    assert held.read(0, 2) == b"11"


def test_a_dropped_file_is_closed(directory: Path) -> None:
    files = opener(directory, [])
    before = os.listdir("/proc/self/fd")
    files.get("1")
    assert len(os.listdir("/proc/self/fd")) == len(before) + 1
    files.forget("1")
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_file_replaced_while_it_is_opened_is_not_kept(directory: Path) -> None:
    opened: list[str] = []

    def open_file(name: str) -> int:
        opened.append(name)
        descriptor = os.open(directory / name, os.O_RDONLY)
        if len(opened) == 1:
            (directory / "new").write_bytes(b"new")
            (directory / "new").rename(directory / name)
            files.forget(name)
        return descriptor

    files = OpenFiles(open_file)
    assert files.get("1").read(0, 3) == b"111"
    assert files.get("1").read(0, 3) == b"new"


def test_threads_read_the_right_file_whatever_is_dropped(directory: Path) -> None:
    files = opener(directory, [])

    def read(number: int) -> bool:
        name = str(number % 10)
        data = files.get(name).read(0, 10)
        if number % 7 == 0:
            files.forget(name)
        return data == name.encode() * 10

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(3_000)))
