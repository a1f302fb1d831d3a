"""Every kind of entry goes into a snapshot that restic checks, restores, and would itself have written."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.backups import Scene, assert_restores, assert_sound
from tests.support.restic import Restic, require_restic, restic_parameters
from tests.support.trees import Device, Directory, Fifo, File, HardLink, Socket, Symlink, make_tree

SECOND_NS = 1_000_000_000
AWKWARD_NAMES = (
    b"not utf-8 \xff\xfe",
    b'quote"back\\slash',
    b"tab\tnewline\nreturn\r",
    b"\x01\x1f\x7f",
    b"<html>&amp;",
    b'","type":"file',
    b',"content":[',
    b"trailing space ",
    b"-rf",
    "ünïcödé ☃ 𝄞".encode(),
    "line\u2028separator".encode(),
    b"x" * 255,
)
TREE: dict[str, Any] = {
    "plain": b"content\n",
    "empty": b"",
    "one byte": b"x",
    "large": File(parts={0: os.urandom(700_000), 1_500_000: b"end"}),
    "odd times": File(b"x", mtime_ns=123_456_789),
    "before 1970": File(b"x", mtime_ns=-5 * SECOND_NS - 7),
    "far future": File(b"x", mtime_ns=8_000_000_000 * SECOND_NS + 1),
    "setuid": File(b"#!", mode=0o4755),
    "sparse": File(size_bytes=3 << 20, parts={1 << 20: b"island"}),
    "only a hole": File(size_bytes=2 << 20),
    "attributes": File(b"x", xattrs={"user.empty": b"", "user.b": b"\x00\xff", "user.a": b"1"}),
    "names": {name: name for name in AWKWARD_NAMES},
    "directories": {
        "empty": {},
        "sticky": Directory({}, mode=0o1777),
        "attributes": Directory({"inside": b"x"}, xattrs={"user.d": b"1"}, mtime_ns=5 * SECOND_NS),
        "closed": Directory({"inside": b"x"}, mode=0o0500),
        **{name: {"in": b""} for name in AWKWARD_NAMES},
    },
    "links": {
        "relative": Symlink("../plain"),
        "dangling": Symlink("nowhere"),
        "not utf-8": Symlink(b"\xff\xfe/\x80"),
        "with quotes": Symlink(b'a"b\\c<>&'),
        "long": Symlink("x/" * 2000),
        "to a directory": Symlink("../directories"),
    },
    "pipe": Fifo(mode=0o640),
    "hard": {"a": b"two names", "z": b"three names"},
    "hard elsewhere": {"b": HardLink("hard/a"), "y": HardLink("hard/z"), "x": HardLink("hard/z")},
    "hard pipe": HardLink("pipe"),
}
OF_ROOT: dict[str, Any] = {
    "no rights": File(b"x", mode=0),
    "null": Device("chardev", 1, 3),
    "disk": Device("dev", 259, 70_000),
    "of nobody": File(b"x", owner=(65534, 65534)),
    "of no name": File(b"x", owner=(4_000_000_000, 3_999_999_999)),
    "trusted": File(b"x", xattrs={"trusted.t": b"1", "security.s": b"2"}),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Every kind of entry that this user may make."""
    source = tmp_path / "source"
    make_tree(source, TREE)
    if os.geteuid() == 0:
        make_tree(source, OF_ROOT)
    return source


def make_deep(source: Path) -> None:
    """A chain of directories longer than PATH_MAX, with a file at its end."""
    top = fd = os.open(source, os.O_RDONLY | os.O_DIRECTORY)
    for level in range(24):
        name = f"{level:02d}" + "d" * 200
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        if fd != top:
            os.close(fd)
        fd = below
    os.close(top)
    with open(os.open("bottom", os.O_WRONLY | os.O_CREAT, dir_fd=fd), "wb") as file:
        file.write(b"deep")
    os.close(fd)


@pytest.mark.parametrize("restic", restic_parameters())
def test_restic_finds_every_kind_of_entry_sound(scene: Scene, source: Path, restic: Restic) -> None:
    """`restic check --read-data` has nothing to say about a snapshot with every kind of entry."""
    assert scene.backup(source).exit_code == 0
    assert_sound(scene, restic)


def test_restic_restores_every_kind_of_entry(scene: Scene, source: Path) -> None:
    """Content, type, mode, owner, mtime, link targets, further names and attributes come back as they were."""
    (source / "hard pipe").unlink()  # restic restores further names of files only
    result = scene.backup(source)
    assert result.unread == 0
    assert_restores(scene, require_restic((0, 18, 0)), source)


def test_restic_would_have_written_the_same_trees(scene: Scene, source: Path) -> None:
    """`restic backup --force` of a source with files up to 512 KiB adds no tree and no data: the ids are its own."""
    for name in ("large", "sparse", "only a hole"):
        (source / name).unlink()
    ours = scene.backup(source)
    at = scene.restic(require_restic((0, 18, 0)))
    summary = at.json_lines("backup", "--force", "--host", "tester", source.name, cwd=source.parent)[-1]
    assert summary["tree_blobs"] == 0
    assert summary["data_blobs"] == 0
    assert scene.snapshots()[-1].snapshot.tree == ours.tree_id


def test_sockets_are_left_out(scene: Scene, tmp_path: Path) -> None:
    """As restic does: a socket means nothing once its process has ended. Nothing is reported unread."""
    make_tree(tmp_path / "source", {"socket": Socket(), "file": b"x"})
    result = scene.backup(tmp_path / "source")
    assert (result.unread, result.counters["vanished"]) == (0, 0)
    listed = scene.restic(require_restic()).json_lines("ls", "latest")
    assert [node["name"] for node in listed if node.get("type") in ("file", "socket")] == ["file"]


def test_paths_longer_than_the_kernel_takes_are_saved(scene: Scene, tmp_path: Path) -> None:
    """A file below 24 directories of 202 bytes each is read and listed; a second run finds it unchanged."""
    (tmp_path / "source").mkdir()
    make_deep(tmp_path / "source")
    first = scene.backup(tmp_path / "source")
    assert first.counters["files_new"] == 1
    assert first.unread == 0
    second = scene.backup(tmp_path / "source")
    assert second.counters["files_unmodified"] == 1
    assert second.tree_id == first.tree_id
    assert_sound(scene, require_restic((0, 18, 0)))
    shutil.rmtree(tmp_path / "source")


def test_access_control_lists_are_saved(scene: Scene, tmp_path: Path, program: Callable[[str], str]) -> None:
    """POSIX ACLs of files and directories, default ones too, come back with `restic restore`."""
    source = tmp_path / "source"
    make_tree(source, {"file": b"x", "directory": {"inner": b"x"}})
    setfacl = program("setfacl")
    subprocess.run([setfacl, "-m", "u:65534:rwx", source / "file"], check=True)
    subprocess.run([setfacl, "-d", "-m", "g:65534:r-x", source / "directory"], check=True)
    if not os.listxattr(source / "file"):
        pytest.skip("this file system keeps no ACLs")
    scene.backup(source)
    assert_restores(scene, require_restic((0, 18, 0)), source)


PLACES: dict[str, list[str]] = {
    "the working directory": ["."],
    "relative": ["data/deep", "other"],
    "one file": ["data/g"],
    "a link to a directory": ["l"],
    "one below the other": ["other", "data/deep", "data"],
    "below a link": ["l/deep"],
    "dots": ["./data/../other"],
    "two directories and a file": ["other", "data/deep", "data/g"],
}


@pytest.mark.parametrize("given", PLACES)
def test_targets_take_the_place_that_restic_gives_them(scene: Scene, tmp_path: Path, given: str) -> None:
    """However a source is named, its snapshot's tree and paths are restic's."""
    work = tmp_path / "work"
    make_tree(work, {"data": {"deep": {"f": b"1"}, "g": b"2"}, "other": {"h": b"3"}, "l": Symlink("data")})
    result = scene.backup(*map(os.fsencode, PLACES[given]), working_directory=os.fsencode(work))
    at = scene.restic(require_restic((0, 18, 0)))
    at.json_lines("backup", "--force", "--host", "other", *PLACES[given], cwd=work)
    theirs = scene.snapshots()[-1].snapshot
    assert theirs.tree == result.tree_id
    assert list(scene.snapshots()[0].snapshot.paths) == sorted(theirs.paths)


def test_an_absolute_target_keeps_the_directories_above_it(scene: Scene, tmp_path: Path) -> None:
    """They stand in the snapshot, each with nothing but the next."""
    make_tree(tmp_path / "source", {"file": b"x"})
    scene.backup(os.fsencode(tmp_path / "source"))
    listed = scene.restic(require_restic()).json_lines("ls", "latest")
    parents = [str(path) for path in reversed(tmp_path.parents) if path != Path("/")]
    assert [node["path"] for node in listed[1:]] == [
        *parents,
        str(tmp_path),
        f"{tmp_path}/source",
        f"{tmp_path}/source/file",
    ]


def test_a_source_whose_path_is_not_utf8_is_saved(scene: Scene, tmp_path: Path) -> None:
    """The snapshot records its path as well as JSON can; a second run finds its parent by it."""
    make_tree(tmp_path, {b"caf\xe9": {"file": b"x"}})
    first = scene.backup(b"caf\xe9", working_directory=os.fsencode(tmp_path))
    second = scene.backup(b"caf\xe9", working_directory=os.fsencode(tmp_path))
    assert second.parent == first.snapshot_id
    at = scene.restic(require_restic((0, 18, 0)))
    at.json_lines("backup", "--force", "--host", "other", b"caf\xe9", cwd=tmp_path)
    assert scene.snapshots()[-1].snapshot.tree == first.tree_id
    assert scene.snapshots()[-1].snapshot.paths == scene.snapshots()[0].snapshot.paths
