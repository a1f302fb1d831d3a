"""A second backup reads what has changed and nothing else, and its tree is that of a full run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from argosy.operations.backup.options import BackupResult
from argosy.repository.layout import FileKind
from argosy.restic_format.blob import BlobType
from tests.support.backups import Scene, assert_sound
from tests.support.restic import require_restic
from tests.support.trees import File, HardLink, Symlink, make_tree

pytestmark = pytest.mark.always_on_both

DAY_NS = 86_400 * 1_000_000_000
TREE = {
    "keep": {f"f{i:02d}": b"%d" % i for i in range(29)},
    "work": {f"f{i:02d}": b"work %d" % i for i in range(30)},
    "dir": {"inner": {"x": b"x"}, "y": b"y"},
    "attributes": File(b"a", xattrs={"user.a": b"1"}),
    "link": Symlink("keep"),
    "empty": b"",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    make_tree(tmp_path / "source", TREE)
    return tmp_path / "source"


def again(scene: Scene, source: Path, **options: Any) -> BackupResult:
    """A second backup, whose tree must be the one that a full run makes."""
    result = scene.backup(source, **options)
    assert result.tree_id == scene.backup(source, force=True).tree_id
    return result


def counted(result: BackupResult, *names: str) -> tuple[int, ...]:
    """Some of its counters."""
    return tuple(result.counters.get(name, 0) for name in names)


FILES = ("files_new", "files_changed", "files_unmodified")


def test_nothing_changed_adds_nothing(scene: Scene, source: Path) -> None:
    """The second run writes a snapshot of the same tree, and neither data nor trees."""
    first = scene.backup(source)
    packs = scene.pack_files()
    second = scene.backup(source)
    assert second.tree_id == first.tree_id
    assert second.parent == first.snapshot_id
    assert scene.pack_files() == packs
    assert counted(second, *FILES, "data_added", "unread") == (0, 0, 63, 0, 0)
    assert counted(second, "dirs_new", "dirs_changed") == (0, 0)
    assert counted(second, "total_files_processed", "total_bytes_processed") == counted(
        first, "total_files_processed", "total_bytes_processed"
    )


def test_a_source_of_links_has_not_shrunk(scene: Scene, tmp_path: Path) -> None:
    """Files are counted alike by every run, so that a source with few files among many links is not refused."""
    make_tree(tmp_path / "source", {"file": b"x", **{f"l{i}": Symlink("file") for i in range(20)}})
    first = scene.backup(tmp_path / "source")
    second = scene.backup(tmp_path / "source")
    assert counted(first, "total_files_processed") == counted(second, "total_files_processed") == (1,)


def test_one_changed_file_is_all_that_is_read(scene: Scene, source: Path) -> None:
    """Its directory is written again and those above it; the others stand."""
    scene.backup(source)
    (source / "work/f07").write_bytes(b"changed")
    result = again(scene, source)
    assert counted(result, *FILES) == (0, 1, 62)
    assert counted(result, "data_blobs", "dirs_changed") == (1, 2)


def test_a_deleted_file_is_gone_from_the_tree(scene: Scene, source: Path) -> None:
    """A deleted file and a deleted directory leave no node."""
    scene.backup(source)
    (source / "work/f07").unlink()
    (source / "dir/inner/x").unlink()
    (source / "dir/inner").rmdir()
    assert counted(again(scene, source), *FILES, "data_blobs") == (0, 0, 61, 0)


def test_a_renamed_file_is_read_and_not_uploaded(scene: Scene, source: Path) -> None:
    """There is no parent's node of its new name; its content is in the repository."""
    scene.backup(source)
    (source / "work/f07").rename(source / "work/new name")
    assert counted(again(scene, source), *FILES, "data_blobs") == (1, 0, 62, 0)


def test_new_modes_and_times_reach_the_tree(scene: Scene, source: Path) -> None:
    """A change of mode alone changes ctime: the file is read again, unless ctime is ignored."""
    scene.backup(source)
    (source / "work/f07").chmod(0o600)
    assert counted(again(scene, source), *FILES, "data_blobs") == (0, 1, 62, 0)
    (source / "work/f08").chmod(0o600)
    assert counted(again(scene, source, ignore_ctime=True), *FILES, "data_blobs") == (0, 0, 63, 0)


def test_a_changed_attribute_reaches_the_tree(scene: Scene, source: Path) -> None:
    """Also where ctime is ignored, so that the content is reused."""
    manners: list[dict[str, Any]] = [{}, {"ignore_ctime": True}]
    for options in manners:
        scene.backup(source, **options)
        os.setxattr(source / "attributes", "user.a", os.urandom(8))
        os.setxattr(source / "dir", "user.d", os.urandom(8))
        again(scene, source, **options)


@pytest.mark.parametrize("batch_files", [2, 1024])
def test_an_entry_of_another_type_takes_the_place_of_the_old(scene: Scene, source: Path, batch_files: int) -> None:
    """File to directory, directory to file, file to link, link to file, file to fifo."""
    scene.backup(source)
    for name in ("work/f01", "work/f02", "work/f03", "link"):
        (source / name).unlink()
    make_tree(source / "work/f01", {"now": {"a": b"directory"}})
    (source / "work/f02").symlink_to("f03")
    os.mkfifo(source / "work/f03")
    (source / "link").write_bytes(b"no link")
    (source / "dir/inner/x").unlink()
    (source / "dir/inner").rmdir()
    (source / "dir/inner").write_bytes(b"a file")
    again(scene, source, batch_files=batch_files)
    assert_sound(scene, require_restic())


def test_inode_numbers_count_unless_they_are_ignored(scene: Scene, source: Path) -> None:
    """The same content, size and times under another inode: read again, or with --ignore-inode left alone."""
    scene.backup(source)
    file, status = source / "work/f07", (source / "work/f07").stat()
    (source / "copy").write_bytes(file.read_bytes())
    os.utime(source / "copy", ns=(status.st_mtime_ns, status.st_mtime_ns))
    (source / "copy").rename(file)
    assert counted(scene.backup(source, ignore_ctime=True), *FILES) == (0, 1, 62)
    (source / "copy").write_bytes(file.read_bytes())
    os.utime(source / "copy", ns=(status.st_mtime_ns, status.st_mtime_ns))
    (source / "copy").rename(file)
    assert counted(again(scene, source, ignore_ctime=True, ignore_inode=True), *FILES) == (0, 0, 63)


def test_a_file_of_the_same_size_and_times_is_told_by_its_ctime(scene: Scene, source: Path) -> None:
    """What a user cannot set tells that it was written."""
    scene.backup(source)
    file, status = source / "work/f07", (source / "work/f07").stat()
    file.write_bytes(b"x" * status.st_size)
    os.utime(file, ns=(status.st_mtime_ns, status.st_mtime_ns))
    assert counted(again(scene, source), *FILES, "data_blobs") == (0, 1, 62, 1)


def test_links_of_one_file_are_read_once_and_found_unchanged(scene: Scene, tmp_path: Path) -> None:
    """The content of a file with several names is read once; all its names and bytes are counted; then nothing is."""
    names = {f"d{i}": {"name": HardLink("first/name")} for i in range(9)}
    make_tree(tmp_path / "source", {"first": {"name": b"z" * 1000}, **names})
    first = scene.backup(tmp_path / "source", batch_files=2)
    assert counted(first, "data_blobs", "total_files_processed", "total_bytes_processed") == (1, 10, 10_000)
    second = again(scene, tmp_path / "source")
    assert counted(second, *FILES, "total_bytes_processed") == (0, 0, 10, 10_000)
    os.link(tmp_path / "source/first/name", tmp_path / "source/another")
    again(scene, tmp_path / "source", batch_files=2)


def test_the_totals_do_not_depend_on_the_order_of_events(scene: Scene, tmp_path: Path) -> None:
    """A name that comes before or after the content was read counts the same."""
    names = {f"d{i:03d}": {f"n{j}": HardLink("first/name") for j in range(3)} for i in range(60)}
    make_tree(tmp_path / "source", {"first": {"name": b"z" * 1000}, **names})
    totals = {
        counted(
            scene.backup(tmp_path / "source", force=True, batch_files=limit, scan_threads=threads),
            *FILES,
            "total_files_processed",
            "total_bytes_processed",
        )
        for limit, threads in ((1, 1), (3, 4), (1024, 2))
    }
    assert totals == {(181, 0, 0, 181, 181_000)}


def tree_packs(scene: Scene) -> list[Path]:
    """The files of the packs that hold trees."""
    repository = scene.open()
    trees = {
        pack.id.hex()
        for identity in repository.list_ids(FileKind.INDEX)
        for pack in repository.load_index(identity).packs
        if pack.blobs[0].type is BlobType.TREE
    }
    return [path for path in (scene.repository / "data").rglob("*") if path.name in trees]


def damage_trees(scene: Scene) -> None:
    for path in tree_packs(scene):
        path.chmod(0o600)
        path.write_bytes(os.urandom(path.stat().st_size))


def remove_trees(scene: Scene) -> None:
    for path in tree_packs(scene):
        path.unlink()


@pytest.mark.parametrize("harm", [damage_trees, remove_trees])
def test_a_parent_that_cannot_be_read_is_done_without(
    scene: Scene, source: Path, harm: Callable[[Scene], None]
) -> None:
    """The backup that may replace it must not fail on it, nor take anything from it."""
    scene.backup(source)
    harm(scene)
    (source / "work/f07").unlink()
    (source / "work/f08").write_bytes(b"changed")
    result = scene.backup(source)
    assert result.exit_code == 0
    other = Scene(scene.home / "other").init_like(scene)
    assert result.tree_id == other.backup(source).tree_id


def test_a_parent_by_restic_saves_reading(scene: Scene, source: Path) -> None:
    """restic's snapshot is a parent like our own, also when it was made in another time zone."""
    at = scene.restic(require_restic((0, 18, 0)))
    for zone in ("UTC", "Asia/Kolkata"):
        moved = type(at)(at.restic, at.location, at.home, at.password, {"TZ": zone})
        moved.run("backup", "--force", "--host", "tester", source.name, cwd=source.parent)
        result = scene.backup(source)
        assert result.parent is not None
        assert counted(result, *FILES, "data_blobs") == (0, 0, 63, 0), zone


def test_our_snapshot_is_a_parent_to_restic(scene: Scene, source: Path) -> None:
    """restic finds every file unchanged and adds nothing."""
    ours = scene.backup(source)
    at = scene.restic(require_restic((0, 18, 0)))
    summary = at.json_lines("backup", "--host", "tester", source.name, cwd=source.parent)[-1]
    assert (summary["files_unmodified"], summary["files_new"], summary["data_added"]) == (63, 0, 0)
    assert scene.snapshots()[-1].snapshot.tree == ours.tree_id


def test_the_parent_may_be_named(scene: Scene, source: Path) -> None:
    """--parent takes a snapshot of another host."""
    first = scene.backup(source, host="elsewhere")
    assert first.snapshot_id is not None
    assert scene.backup(source).parent is None
    named = scene.backup(source, parent=first.snapshot_id.hex()[:10])
    assert named.parent == first.snapshot_id
    assert counted(named, *FILES) == (0, 0, 63)


def test_an_unchanged_source_may_be_skipped(scene: Scene, source: Path) -> None:
    """--skip-if-unchanged writes no second snapshot of one tree."""
    scene.backup(source)
    result = scene.backup(source, skip_if_unchanged=True)
    assert (result.snapshot_id, result.exit_code) == (None, 0)
    assert len(scene.snapshots()) == 1
    assert not scene.job_files()


def test_a_dry_run_writes_nothing(scene: Scene, source: Path) -> None:
    """It counts as a backup would and leaves repository, state and cache alone."""
    result = scene.backup(source, dry_run=True)
    assert counted(result, *FILES, "data_blobs") == (63, 0, 0, 62)
    assert result.snapshot_id is None
    assert scene.pack_files() == {}
    assert not scene.job_files()
    assert scene.backup(source).tree_id == result.tree_id


def test_old_times_in_the_parent_are_not_taken_for_new(scene: Scene, source: Path) -> None:
    """A file put back from an archive, older than the parent's, is a changed file."""
    scene.backup(source)
    status = (source / "work/f07").stat()
    os.utime(source / "work/f07", ns=(status.st_atime_ns, status.st_mtime_ns - DAY_NS))
    assert counted(again(scene, source, ignore_ctime=True), *FILES) == (0, 1, 62)
