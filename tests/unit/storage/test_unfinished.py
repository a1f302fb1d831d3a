"""What counts as left by a killed writer: somebody deletes it, so nothing else may."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from argosy.errors import StorageUnavailable
from argosy.storage import local
from argosy.storage.interface import ObjectInfo
from argosy.storage.local import LocalStorage

ID = "ab" * 32
NOW_NS = 1_800_000_000 * 10**9
OURS = "0123456789abcdef"
RESTICS = "271938"


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def leave(root: Path, name: str, mtime_ns: int = NOW_NS - 1) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    os.utime(path, ns=(mtime_ns, mtime_ns))


def found(storage: LocalStorage) -> list[str]:
    return sorted(info.name for info in storage.unfinished(NOW_NS))


@pytest.mark.parametrize("mark", [OURS, RESTICS])
@pytest.mark.parametrize(
    "name", ["config", f"data/ab/{ID}", f"index/{ID}", f"keys/{ID}", f"locks/{ID}", f"snapshots/{ID}"]
)
def test_each_kind_of_object_is_found_by_its_unfinished_name(
    storage: LocalStorage, tmp_path: Path, name: str, mark: str
) -> None:
    leave(tmp_path, name)
    leave(tmp_path, f"{name}-tmp-{mark}")
    assert list(storage.unfinished(NOW_NS)) == [ObjectInfo(f"{name}-tmp-{mark}", 4)]


def test_what_is_written_to_at_the_time_or_later_is_left_out(storage: LocalStorage, tmp_path: Path) -> None:
    for number, mtime_ns in enumerate((NOW_NS - 1, NOW_NS, NOW_NS + 10**9)):
        leave(tmp_path, f"data/ab/{ID}-tmp-{number}", mtime_ns)
    assert found(storage) == [f"data/ab/{ID}-tmp-0"]


@pytest.mark.parametrize(
    "name",
    [
        "notes-tmp-1",
        "config-tmp-",
        "config-tmp-1.bak",
        "config-tmp-backup",
        f"{ID}-tmp-1",
        "data/config-tmp-1",
        f"data/{ID}-tmp-1",
        f"data/ab/cd/{ID}-tmp-1",
        f"data/AB/{ID}-tmp-1",
        f"data/ab/{ID[:-1]}-tmp-1",
        f"data/ab/{ID}0-tmp-1",
        f"data/ab/{ID.upper()}-tmp-1",
        f"data/ab/copy of {ID}-tmp-1",
        f"data/ab/{ID}.tmp-1",
        f"data/ab/{ID}-tmp-1\n",
        f"index/ab/{ID}-tmp-1",
        f"other/{ID}-tmp-1",
        f"data/cd/{ID}-tmp-1/{ID}-tmp-1",
    ],
)
def test_a_foreign_name_or_place_is_left_alone(storage: LocalStorage, tmp_path: Path, name: str) -> None:
    leave(tmp_path, name)
    assert found(storage) == []


def test_only_regular_files_are_found(storage: LocalStorage, tmp_path: Path) -> None:
    """A link might name anything, and a directory or a pipe was left by no writer of objects."""
    (tmp_path / "data" / "ab").mkdir(parents=True)
    leave(tmp_path, "elsewhere")
    (tmp_path / "data" / "ab" / f"{ID}-tmp-1").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "ab" / f"{ID}-tmp-2").symlink_to("/nowhere")
    (tmp_path / "data" / "ab" / f"{ID}-tmp-3").mkdir()
    os.mkfifo(tmp_path / "data" / "ab" / f"{ID}-tmp-4")
    for path in (tmp_path / "data" / "ab").iterdir():
        os.utime(path, ns=(0, 0), follow_symlinks=False)
    assert found(storage) == []


def test_a_directory_that_lies_elsewhere_is_looked_at(tmp_path: Path) -> None:
    """Objects are written through such a link, too."""
    leave(tmp_path, f"large disk/ab/{ID}-tmp-1")
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "data").symlink_to(tmp_path / "large disk")
    assert found(LocalStorage(tmp_path / "repository")) == [f"data/ab/{ID}-tmp-1"]


def test_foreign_files_in_the_place_of_directories_do_no_harm(storage: LocalStorage, tmp_path: Path) -> None:
    leave(tmp_path, "data/ab")
    leave(tmp_path, "locks")
    leave(tmp_path, f"data/cd/{ID}-tmp-1")
    assert found(storage) == [f"data/cd/{ID}-tmp-1"]


def test_what_cannot_be_listed_is_an_error(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_path: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(StorageUnavailable):
        found(storage)


@pytest.mark.parametrize("name", ["config", f"data/ab/{ID}", f"locks/{ID}"])
def test_what_a_writer_left_that_died_is_found(tmp_path: Path, name: str) -> None:
    """The name is the one that the writer gives."""
    program = (
        "import os, sys\n"
        "from argosy.storage.local import LocalStorage\n"
        "os.rename = lambda *paths: os._exit(9)\n"
        f"LocalStorage(sys.argv[1]).put('{name}', b'payload')\n"
    )
    source = Path(local.__file__).parents[2]
    died = subprocess.run([sys.executable, "-c", program, tmp_path], env={"PYTHONPATH": str(source)}, check=False)
    assert died.returncode == 9
    (left,) = LocalStorage(tmp_path).unfinished(1 << 62)
    assert left.name.startswith(f"{name}-tmp-")
    assert left.size_bytes == len(b"payload")
