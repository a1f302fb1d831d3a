"""The store in a directory: what is on the disk, and when (DESIGN.md R11)."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from argosy.errors import (
    ArgosyError,
    StorageDenied,
    StorageError,
    StorageExists,
    StorageFull,
    StorageNotFound,
    StorageUnavailable,
)
from argosy.storage import local
from argosy.storage.local import LocalStorage
from argosy.storage.open_files import OPEN_FILES_LIMIT

NAME = "data/ab/object"


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "repository")


def files_below(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def failing(code: int) -> Callable[..., None]:
    def fail(*_arguments: object, **_keywords: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def test_files_are_read_only_and_directories_private(storage: LocalStorage, tmp_path: Path) -> None:
    storage.put("config", b"x")
    storage.put(NAME, b"x", create=True)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {"repository": 0o700, "data": 0o700, "ab": 0o700, "config": 0o400, "object": 0o400}


def test_a_repository_shared_with_a_group_stays_shared(tmp_path: Path) -> None:
    """As in restic: where the config's group may read it, it may read everything."""
    LocalStorage(tmp_path).put("config", b"x")
    (tmp_path / "config").chmod(0o440)
    LocalStorage(tmp_path).put(NAME, b"x")
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o440
    assert (tmp_path / "data").stat().st_mode & 0o050 == 0o050


@pytest.mark.parametrize("create", [False, True])
def test_an_object_is_durable_before_it_is_named_and_its_name_before_put_returns(
    storage: LocalStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, create: bool
) -> None:
    root = str(tmp_path / "repository")
    calls: list[str] = []

    def short(path: str) -> str:
        return path.replace(str(tmp_path), "").partition("-tmp-")[0]

    def fsync(fd: int) -> None:
        calls.append(f"fsync {short(os.readlink(f'/proc/self/fd/{fd}'))}")

    def rename(source: str, target: str) -> None:
        calls.append(f"name {short(target)}")
        os.replace(source, target)

    def link(source: str, target: str) -> None:
        calls.append(f"name {short(target)}")
        real_link(source, target)

    real_link = os.link
    storage.put("config", b"x")
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    monkeypatch.setattr(os, "link", link)
    storage.put(NAME, b"payload", create=create)
    storage.put("data/ab/second", b"payload", create=create)
    assert calls == [
        "fsync /repository",
        "fsync /repository/data",
        f"fsync /repository/{NAME}",
        f"name /repository/{NAME}",
        "fsync /repository/data/ab",
        "fsync /repository/data/ab/second",
        "name /repository/data/ab/second",
        "fsync /repository/data/ab",
    ]
    assert Path(root, NAME).read_bytes() == b"payload"


def test_one_fsync_settles_the_directories_that_another_process_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other may have died between its mkdir and its fsync."""
    for number in range(256):
        (tmp_path / "data" / f"{number:02x}").mkdir(parents=True)
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    storage = LocalStorage(tmp_path)
    for number in range(256):
        storage.put(f"data/{number:02x}/object", b"x")
    assert synced.count(str(tmp_path / "data")) == 1


def test_new_parents_of_the_repository_are_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    LocalStorage(tmp_path / "one" / "two").put("config", b"x", create=True)
    assert {str(tmp_path), str(tmp_path / "one"), str(tmp_path / "one" / "two")} <= set(synced)


def test_a_removed_name_is_durable_except_a_pack(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.put("index/one", b"x")
    storage.put(NAME, b"x")
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    storage.delete(NAME)
    assert synced == []
    storage.delete("index/one")
    assert [Path(path).name for path in synced] == ["index"]


@pytest.mark.parametrize("name", ["link", "rename"])
def test_a_process_that_dies_while_it_writes_leaves_no_object(tmp_path: Path, name: str) -> None:
    """Killed just before the name is given: the temporary file stays, and no listing shows it."""
    program = (
        "import os, sys\n"
        "from argosy.storage.local import LocalStorage\n"
        f"os.{name} = lambda *paths: os._exit(9)\n"
        f"LocalStorage(sys.argv[1]).put('{NAME}', b'payload', create={name == 'link'})\n"
    )
    source = Path(local.__file__).parents[2]
    died = subprocess.run([sys.executable, "-c", program, tmp_path], env={"PYTHONPATH": str(source)}, check=False)
    assert died.returncode == 9
    assert len(files_below(tmp_path)) == 1
    storage = LocalStorage(tmp_path)
    assert list(storage.list("")) == []
    with pytest.raises(StorageNotFound):
        storage.get(NAME)
    storage.put(NAME, b"again", create=True)
    assert [info.name for info in storage.list("")] == [NAME]


def test_restics_leftovers_are_not_listed(storage: LocalStorage, tmp_path: Path) -> None:
    storage.put(NAME, b"x")
    (tmp_path / "repository" / f"{NAME}-tmp-2719").write_bytes(b"half")
    (tmp_path / "repository" / "data" / "ab" / "socket").symlink_to("/nowhere")
    assert [info.name for info in storage.list("data/")] == [NAME]


def test_a_full_disk_is_named_and_leaves_nothing(
    storage: LocalStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.put("data/ab/other", b"x")
    room = [3]

    def write(fd: int, data: bytes) -> int:
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real_write(fd, data[: room.pop()])

    real_write = os.write
    monkeypatch.setattr(os, "write", write)
    with pytest.raises(StorageFull, match=NAME) as caught:
        storage.put(NAME, b"payload")
    assert str(tmp_path) in caught.value.message
    assert caught.value.hint
    assert files_below(tmp_path) == ["repository/data/ab/other"]


def test_a_real_file_size_limit_is_no_room(tmp_path: Path) -> None:
    """The kernel's own refusal, through the same path as a full disk."""
    program = (
        "import resource, signal, sys\n"
        "from argosy.errors import StorageFull\n"
        "from argosy.storage.local import LocalStorage\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "try:\n"
        "    LocalStorage(sys.argv[1]).put('data/ab/big', bytes(100_000))\n"
        "except StorageFull:\n"
        "    sys.exit(7)\n"
    )
    source = Path(local.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program, tmp_path], env={"PYTHONPATH": str(source)}, check=False)
    assert done.returncode == 7
    assert files_below(tmp_path) == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (errno.EACCES, StorageDenied),
        (errno.EROFS, StorageDenied),
        (errno.EDQUOT, StorageFull),
        (errno.EIO, StorageUnavailable),
        (errno.ESTALE, StorageUnavailable),
        (errno.ENAMETOOLONG, StorageError),
    ],
)
def test_what_the_file_system_says_is_translated(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, code: int, expected: type[ArgosyError]
) -> None:
    storage.put(NAME, b"x")
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", failing(code))
        for call in (
            lambda: storage.get(NAME),
            lambda: storage.get_range(NAME, 0, 1),
            lambda: storage.put(NAME, b"x"),
        ):
            with pytest.raises(StorageError, match=NAME) as caught:
                call()
            assert type(caught.value) is expected
            assert os.strerror(code) in caught.value.message
            assert caught.value.hint


def test_a_list_that_fails_on_the_way_says_so(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never a short listing: prune would take what is missing from it for unused."""
    storage.put(NAME, b"x")
    monkeypatch.setattr(os, "scandir", failing(errno.EIO))
    with pytest.raises(StorageUnavailable, match="data"):
        list(storage.list("data/"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_directory_without_permission_is_denied(storage: LocalStorage, tmp_path: Path) -> None:
    (tmp_path / "repository").mkdir(mode=0o500)
    with pytest.raises(StorageDenied):
        storage.put(NAME, b"x")


def test_create_works_without_hard_links(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAT and some FUSE mounts have none."""
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    storage.put(NAME, b"first", create=True)
    with pytest.raises(StorageExists):
        storage.put(NAME, b"second", create=True)
    assert storage.get(NAME) == b"first"
    assert [info.name for info in storage.list("")] == [NAME]


def test_a_file_system_without_fsync_is_written_all_the_same(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))
    storage.put(NAME, b"x")
    assert storage.get(NAME) == b"x"


def test_an_fsync_that_fails_fails_the_put(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages may be lost already: a later fsync would tell nothing of it."""
    storage.put("data/ab/other", b"x")
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(StorageUnavailable):
        storage.put(NAME, b"x")


def test_an_unmounted_disk_is_not_made_again(storage: LocalStorage, tmp_path: Path) -> None:
    """What is written to the empty mount point would be in no one's backup."""
    root = tmp_path / "repository"
    storage.put("config", b"x")
    storage.put(NAME, b"x")
    root.rename(tmp_path / "unmounted")
    root.mkdir()
    with pytest.raises(StorageNotFound):
        storage.put("data/ab/second", b"x")
    with pytest.raises(StorageNotFound):
        storage.put("data/cd/third", b"x")
    assert files_below(root) == []


def test_a_relative_root_survives_a_change_of_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    storage = LocalStorage("repository")
    monkeypatch.chdir("/")
    storage.put("config", b"x")
    assert (tmp_path / "repository" / "config").exists()


def test_many_reads_keep_few_files_open(storage: LocalStorage) -> None:
    names = [f"data/{number % 256:02x}/{number}" for number in range(3 * OPEN_FILES_LIMIT)]
    for name in names:
        storage.put(name, name.encode())
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        for name in names:
            assert storage.get_range(name, 0, 5) == name.encode()[:5]
    assert len(os.listdir("/proc/self/fd")) <= before + OPEN_FILES_LIMIT
    storage.close()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_failed_put_leaves_no_descriptor(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.put(NAME, b"x")
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "write", failing(errno.ENOSPC))
    for _ in range(5):
        with pytest.raises(StorageFull):
            storage.put(NAME, b"x")
    assert len(os.listdir("/proc/self/fd")) == before
