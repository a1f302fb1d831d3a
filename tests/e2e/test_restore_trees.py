"""What is restored is what was saved: every kind of entry, whoever wrote the repository, however the work was cut."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from argosy.operations.session import Access
from argosy.restorer.cuts import Cuts
from tests.e2e.restore_scene import restore_from, restore_soundly
from tests.e2e.test_backup_kinds import OF_ROOT, TREE, make_deep
from tests.support.backups import Scene
from tests.support.machines import Machines
from tests.support.restic import PASSWORD, Restic, ResticRepository, require_restic, restic_parameters
from tests.support.trees import Directory, File, HardLink, Symlink, assert_same_tree, make_tree, snapshot_tree

TINY_CUTS = Cuts(entries=3, size_bytes=1000, large_bytes=300_000, segment_bytes=100_000)
SECOND_NS = 1_000_000_000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Every kind of entry that this user may make and read, and that restic gives back."""
    source = tmp_path / "source"
    make_tree(source, {name: entry for name, entry in TREE.items() if name != "hard pipe"})
    if os.geteuid() == 0:
        make_tree(source, OF_ROOT)
    return source


@pytest.mark.parametrize("cuts", [Cuts(), TINY_CUTS], ids=["usual cuts", "tiny cuts"])
def test_every_kind_of_entry_comes_back(scene: Scene, source: Path, tmp_path: Path, cuts: Cuts) -> None:
    """Content, type, mode, owner, mtime, link targets, further names and attributes, of directories too."""
    scene.backup(source)
    result = restore_soundly(scene, tmp_path / "target", cuts=cuts, verify=True)
    assert_same_tree(source, tmp_path / "target" / "source", with_root=True)
    assert result.entries_restored == result.entries_total == len(snapshot_tree(source)) + 1
    assert result.verified


@pytest.mark.parametrize("restic", restic_parameters())
def test_a_repository_of_restic_comes_back(restic: Restic, source: Path, tmp_path: Path, machines: Machines) -> None:
    """As restic itself restores it."""
    theirs = restic.at(tmp_path / "repository", tmp_path)
    theirs.init()
    theirs.run("backup", ".", cwd=source)
    theirs.run("restore", "latest", "--target", tmp_path / "by restic")
    access = Access(theirs.location, PASSWORD.encode, tmp_path / "cache")
    _, heard = restore_from(access, tmp_path / "by argosy", machines)
    assert heard.errors == []
    ignore = {"target", "links", "xattrs"} if restic.version < (0, 17, 0) else set()
    assert_same_tree(tmp_path / "by restic", tmp_path / "by argosy", ignore=frozenset(ignore))


def test_a_path_longer_than_the_kernel_takes_comes_back(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    make_deep(tmp_path / "source")
    scene.backup(tmp_path / "source")
    restore_soundly(scene, tmp_path / "target", verify=True)
    assert_same_tree(tmp_path / "source", tmp_path / "target" / "source")


def test_names_of_one_file_become_one_file(scene: Scene, tmp_path: Path) -> None:
    """In the same directory, in others, of large files and of symbolic links; with as many tasks as there can be."""
    tree = {
        "a": {"one": b"x" * 50_000, "two": HardLink("a/one"), "zero": Symlink("target")},
        "b": {"large": os.urandom(900_000), "one": HardLink("a/one"), "zero": HardLink("a/zero")},
        "c": {f"file {number}": HardLink("b/large") for number in range(9)},
        "d": {"one": HardLink("a/one"), "unlike": b"x" * 50_000},
    }
    make_tree(tmp_path / "source", tree)
    scene.backup(tmp_path / "source")
    for cuts in (Cuts(), TINY_CUTS):
        target = tmp_path / f"target {cuts.entries}"
        restore_soundly(scene, target, cuts=cuts, verify=True)
        assert_same_tree(tmp_path / "source", target / "source")
    restore_soundly(scene, target, cuts=TINY_CUTS)
    assert_same_tree(tmp_path / "source", target / "source")


def test_zeros_become_holes_on_request(scene: Scene, tmp_path: Path) -> None:
    """In small files, large ones and segments; also where a file without holes is updated."""
    islands = File(parts={0: b"begin", 3 << 20: os.urandom(5000)}, size_bytes=6 << 20)
    tree = {"many blobs": islands, "only zeros": File(size_bytes=300_000), "small": File(b"\0" * 20_000 + b"x")}
    make_tree(tmp_path / "source", tree)
    scene.backup(tmp_path / "source")
    restore_soundly(scene, tmp_path / "plain")
    restore_soundly(scene, tmp_path / "sparse", sparse=True)
    restore_soundly(scene, tmp_path / "segments", sparse=True, cuts=TINY_CUTS)
    make_tree(tmp_path / "updated" / "source", dict.fromkeys(tree, b"\x01" * (6 << 20)))
    restore_soundly(scene, tmp_path / "updated", sparse=True)

    def room(name: str) -> int:
        return sum(path.stat().st_blocks * 512 for path in (tmp_path / name / "source").iterdir())

    for name in ("plain", "sparse", "segments", "updated"):
        assert_same_tree(tmp_path / "source", tmp_path / name / "source")
    assert room("plain") > 6_000_000
    assert max(room("sparse"), room("segments"), room("updated")) < 200_000


def test_large_files_are_restored_in_segments(scene: Scene, tmp_path: Path) -> None:
    """Several workers write one file; times and mode are set when all of it is there."""
    tree = {"large": File(os.urandom(9 << 20), mode=0o444, mtime_ns=SECOND_NS), "larger": File(os.urandom(5 << 20))}
    make_tree(tmp_path / "source", tree)
    scene.backup(tmp_path / "source")
    cuts = Cuts(large_bytes=1 << 20, segment_bytes=1 << 20)
    result = restore_soundly(scene, tmp_path / "target", cuts=cuts, verify=True)
    assert_same_tree(tmp_path / "source", tmp_path / "target" / "source")
    assert result.verified == 2
    assert result.bytes_restored == 14 << 20
    again = restore_soundly(scene, tmp_path / "target", cuts=cuts)
    assert (again.bytes_restored, again.entries_skipped) == (0, 2)


SELECTIONS: list[tuple[str, dict[str, list[str]]]] = [
    ("", {"include": ["/source/dir"]}),
    ("", {"include": ["*.txt"]}),
    ("", {"include": ["dir/**/b*"]}),
    ("", {"include": ["/source/dir/sub/deep"], "iinclude": ["*.JPG"]}),
    ("", {"iinclude": ["DIR"]}),
    ("", {"include": ["nothing of this name"]}),
    ("", {"include": ["*", "!*.txt"]}),
    ("", {"exclude": ["dir"]}),
    ("", {"exclude": ["*.txt", "/source/dir/sub"]}),
    ("", {"iexclude": ["*.TXT"]}),
    ("", {"exclude": ["/source/*", "!/source/dir"]}),
    ("/source/dir", {}),
    ("source/dir/sub/", {"include": ["/deep"]}),
    ("/source/dir", {"exclude": ["/sub/a.txt"]}),
]


@pytest.fixture(scope="module")
def selected(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scene, ResticRepository]:
    """A repository with a small snapshot, and restic at it."""
    home = tmp_path_factory.mktemp("selected")
    scene = Scene(home / "scene").init()
    leaf = Directory({"a.txt": b"a", "b": b"b", "C.jpg": b"c", "deep": {"b.txt": b"d"}}, mtime_ns=7 * SECOND_NS)
    tree = {
        "dir": Directory({"sub": leaf, "b.txt": b"e", "link": Symlink("x")}, mode=0o711, mtime_ns=3 * SECOND_NS),
        "other": Directory({"Dir": {"x": b"f"}, "empty": {}}, mtime_ns=5 * SECOND_NS),
        "top.txt": b"g",
    }
    make_tree(home / "source", tree)
    scene.backup(home / "source")
    return scene, scene.restic(require_restic((0, 18, 0)))


@pytest.mark.parametrize("number", range(len(SELECTIONS)), ids=lambda number: str(SELECTIONS[number]))
def test_a_part_is_what_restic_restores(
    selected: tuple[Scene, ResticRepository], machines: Machines, tmp_path: Path, number: int
) -> None:
    """--include, --exclude, their kin and SNAPSHOT:SUBPATH choose what restic chooses, metadata of parents included."""
    scene, theirs = selected
    subpath, patterns = SELECTIONS[number]
    snapshot = f"latest:{subpath}" if subpath else "latest"
    flags = [f"--{name}={text}" for name, texts in patterns.items() for text in texts]
    theirs.run("restore", snapshot, "--target", tmp_path / "by restic", *flags)
    options: dict[str, Any] = dict(patterns)
    result, heard = restore_from(scene.access(), tmp_path / "by argosy", machines, snapshot=snapshot, **options)
    assert heard.errors == []
    assert result.entries_restored == result.entries_total == len(snapshot_tree(tmp_path / "by argosy"))
    assert_same_tree(tmp_path / "by restic", tmp_path / "by argosy")


def test_attributes_can_be_chosen(scene: Scene, tmp_path: Path) -> None:
    make_tree(tmp_path / "source", {"f": File(b"x", xattrs={"user.a": b"1", "user.b": b"2"})})
    scene.backup(tmp_path / "source")
    restore_soundly(scene, tmp_path / "without", xattr_exclude=(b"user.a",))
    restore_soundly(scene, tmp_path / "only", xattr_include=(b"*.a",))
    assert os.listxattr(tmp_path / "without/source/f") == ["user.b"]
    assert os.listxattr(tmp_path / "only/source/f") == ["user.a"]
