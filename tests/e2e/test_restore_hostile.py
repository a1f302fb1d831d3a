"""A repository that means harm, and a target that was prepared: nothing is ever made or changed outside the target."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from argosy.restorer.cuts import Cuts
from argosy.restorer.overwrite import Overwrite
from tests.e2e.restore_scene import Forge, directory_node, file_node, other_node, restore, restore_soundly, symlink_node
from tests.support.backups import Scene
from tests.support.trees import File, HardLink, Symlink, make_tree, require_root, snapshot_tree

BAD_NAMES = (b"..", b".", b"", b"../escaped", b"/escaped", b"dir/escaped", b"dir/../../escaped", b"nul\0byte")


@pytest.fixture
def forge(scene: Scene) -> Forge:
    return Forge(scene)


@contextmanager
def nothing_changes(*places: Path) -> Iterator[None]:
    """Whatever happens within, these directories stay as they are, times included."""
    before = [snapshot_tree(place, with_root=True) for place in places]
    yield
    assert [snapshot_tree(place, with_root=True) for place in places] == before


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Where a hostile name could lead."""
    make_tree(tmp_path / "outside", {"secret": File(b"secret", mode=0o600), "dir": {"inside": b"x"}})
    return tmp_path / "outside"


@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
@pytest.mark.parametrize("kind", ["file", "dir", "symlink", "fifo"])
def test_a_name_that_leads_elsewhere_is_left_out(
    scene: Scene, forge: Forge, tmp_path: Path, kind: str, name: bytes
) -> None:
    """It is named as an error; the rest of the directory is restored."""
    nodes = {
        "file": forge.file(name, b"harm"),
        "dir": directory_node(name, forge.tree(forge.file(b"escaped", b"harm"))),
        "symlink": symlink_node(name, b"/etc"),
        "fifo": other_node(name, "fifo"),
    }
    root = forge.tree(nodes[kind], directory_node(b"dir", forge.tree()), forge.file(b"good", b"good"))
    snapshot = forge.snapshot(root)
    make_tree(tmp_path / "around/target", {"found": b"x"})
    with nothing_changes(tmp_path / "around/target/.."):
        restore(scene, tmp_path / "around/target", snapshot=snapshot, dry_run=True, delete=True)
    for cuts in (Cuts(), Cuts(entries=1)):
        result, heard = restore(scene, tmp_path / "around/target", snapshot=snapshot, cuts=cuts, delete=True)
        assert result.exit_code == 1
        assert heard.named == [b"/"]
        assert set(snapshot_tree(tmp_path / "around")) == {b"target"} | {
            b"target/" + name for name in (b"dir", b"good", b"found")
        }


def test_a_name_that_stands_twice_is_restored_once(scene: Scene, forge: Forge, outside: Path, tmp_path: Path) -> None:
    """A symbolic link, and then a directory or file of the same name: nothing is written through the link."""
    root = forge.tree(
        symlink_node(b"a", os.fsencode(outside)),
        directory_node(b"a", forge.tree(forge.file(b"secret", b"harm"), forge.file(b"new", b"harm"))),
        symlink_node(b"b", os.fsencode(outside / "secret")),
        forge.file(b"b", b"harm"),
    )
    snapshot = forge.snapshot(root)
    for cuts in (Cuts(), Cuts(entries=1), Cuts(large_bytes=1)):
        with nothing_changes(outside):
            _, heard = restore(scene, tmp_path / "target", snapshot=snapshot, cuts=cuts)
        assert heard.named == [b"/", b"/"]
        assert os.readlink(tmp_path / "target/a") == str(outside)


@pytest.mark.parametrize("way", list(Overwrite))
@pytest.mark.parametrize("cuts", [Cuts(), Cuts(entries=1, large_bytes=1)], ids=["usual cuts", "tiny cuts"])
def test_links_planted_in_the_target_are_not_followed(
    scene: Scene, outside: Path, tmp_path: Path, way: Overwrite, cuts: Cuts
) -> None:
    """Where the snapshot has files and directories, links to others: those others stay as they are."""
    make_tree(tmp_path / "source", {"dir": {"inside": b"new", "more": {"x": b"x"}}, "secret": b"new", "link": b"new"})
    scene.backup(tmp_path / "source")
    planted = {
        "dir": Symlink(str(outside / "dir")),
        "secret": Symlink(str(outside / "secret")),
        "link": Symlink("nowhere"),
    }
    make_tree(tmp_path / "target/source", {**planted})
    with nothing_changes(outside):
        restore(scene, tmp_path / "target", overwrite=way, cuts=cuts)
        restore(scene, tmp_path / "target", overwrite=way, cuts=cuts, delete=True)
    if way in (Overwrite.ALWAYS, Overwrite.IF_CHANGED):
        assert set(snapshot_tree(tmp_path / "target/source")) == set(snapshot_tree(tmp_path / "source"))
        assert not any(path.is_symlink() for path in (tmp_path / "target/source").iterdir())


def test_a_snapshot_restored_over_another_does_not_follow_its_links(
    scene: Scene, outside: Path, tmp_path: Path
) -> None:
    """The first snapshot plants the links, the second would write through them."""
    first = Forge(scene)
    planting = first.snapshot(
        first.tree(symlink_node(b"dir", os.fsencode(outside)), symlink_node(b"f", b"../outside/secret"))
    )
    second = Forge(scene)
    tree = second.tree(second.file(b"secret", b"harm"))
    writing = second.snapshot(second.tree(directory_node(b"dir", tree), second.file(b"f", b"harm")))
    with nothing_changes(outside):
        restore_soundly(scene, tmp_path / "target", snapshot=planting)
        restore_soundly(scene, tmp_path / "target", snapshot=writing)
    assert (tmp_path / "target/dir/secret").read_bytes() == b"harm"


def test_metadata_goes_to_the_link_and_not_to_what_it_points_at(
    scene: Scene, forge: Forge, outside: Path, tmp_path: Path
) -> None:
    node = symlink_node(b"link", os.fsencode(outside / "secret"), uid=65534 if os.geteuid() == 0 else os.geteuid())
    snapshot = forge.snapshot(forge.tree(node))
    with nothing_changes(outside):
        restore_soundly(scene, tmp_path / "target", snapshot=snapshot)


def test_names_of_one_file_cannot_lead_out(scene: Scene, forge: Forge, outside: Path, tmp_path: Path) -> None:
    """Further names link to what was restored, whatever device and inode numbers the nodes claim."""
    secret = (outside / "secret").stat()
    numbers = {"inode": secret.st_ino, "device_id": secret.st_dev, "links": 2, "mtime_ns": secret.st_mtime_ns}
    blob = forge.blob(b"public")
    snapshot = forge.snapshot(
        forge.tree(file_node(b"one", [blob], 6, **numbers), file_node(b"two", [blob], 6, **numbers))
    )
    make_tree(tmp_path / "target", {})
    os.link(outside / "secret", tmp_path / "target/one")
    with nothing_changes(outside / "dir"):
        restore_soundly(scene, tmp_path / "target", snapshot=snapshot)
    assert (outside / "secret").read_bytes() == b"secret"
    assert (tmp_path / "target/two").read_bytes() == b"public"


def test_impossible_numbers_and_types_cost_their_entries_alone(scene: Scene, forge: Forge, tmp_path: Path) -> None:
    """Owners, devices, times and types that no system has, link targets that no link can have."""
    bad = {
        b"a type": other_node(b"a type", "irregular"),
        b"b device": other_node(b"b device", "chardev", device=1 << 70),
        b"c target": symlink_node(b"c target", b"a\0b"),
        b"d target": symlink_node(b"d target", b""),
        b"e owner": forge.file(b"e owner", b"x", uid=1 << 40),
        b"f time": forge.file(b"f time", b"x").replace(b"2020-09-13", b"2020-99-13"),
        b"g mode": forge.file(b"g mode", b"x").replace(b'"mode":', b'"mode":"x","m":'),
        b"h content": forge.file(b"h content", b"x").replace(b'"content":["', b'"content":["zz'),
        b"i blob": file_node(b"i blob", [bytes(32)], 5),
        b"j subtree": directory_node(b"j subtree", bytes(32)).replace(b'"subtree":"00', b'"subtree":"zz'),
    }
    good = forge.file(b"zz good", b"good")
    snapshot = forge.snapshot(forge.tree(*bad.values(), good))
    result, heard = restore(scene, tmp_path / "target", snapshot=snapshot)
    assert result.exit_code == 1
    assert set(heard.named) == {b"/" + name for name in bad}
    assert (tmp_path / "target/zz good").read_bytes() == b"good"
    # Only its owner is wrong.
    assert sorted(os.listdir(tmp_path / "target")) == ["e owner", "zz good"]


@pytest.mark.parametrize("large", [1, 1 << 60], ids=["segments", "whole"])
def test_a_size_that_the_content_does_not_have_is_named(scene: Scene, forge: Forge, tmp_path: Path, large: int) -> None:
    """The content is restored, and takes no more room than it has."""
    blob = forge.blob(b"content")
    nodes = [file_node(b"huge", [blob], 1 << 62), file_node(b"none", [], 1 << 50), file_node(b"small", [blob], 3)]
    snapshot = forge.snapshot(forge.tree(*nodes))
    _, heard = restore(scene, tmp_path / "target", snapshot=snapshot, cuts=Cuts(large_bytes=large))
    assert heard.named == [b"/huge", b"/none", b"/small"]
    assert [(tmp_path / "target" / name).read_bytes() for name in ("huge", "none", "small")] == [
        b"content",
        b"",
        b"content",
    ]


def test_a_tree_that_holds_itself_many_times_takes_no_more_memory_than_its_depth(
    scene: Scene, forge: Forge, tmp_path: Path
) -> None:
    """Twelve levels of two directories each that share their trees: 4,096 at the bottom."""
    tree = forge.tree(forge.file(b"f", b"x"))
    for _ in range(9):
        tree = forge.tree(directory_node(b"a", tree), directory_node(b"b", tree))
    snapshot = forge.snapshot(tree)
    result = restore_soundly(scene, tmp_path / "target", snapshot=snapshot)
    assert result.entries_restored == 2**9 + 2**10 - 2


def test_a_set_user_id_program_is_nobodys_but_its_owners(scene: Scene, tmp_path: Path) -> None:
    """While a file has another owner than in the snapshot, it does not have the bit."""
    require_root()
    make_tree(tmp_path / "source", {"program": File(b"x", mode=0o4755, owner=(65534, 65534))})
    scene.backup(tmp_path / "source")
    restore_soundly(scene, tmp_path / "target")
    found = (tmp_path / "target/source/program").stat()
    assert (found.st_mode & 0o7777, found.st_uid) == (0o4755, 65534)


def test_the_target_itself_may_be_a_link(scene: Scene, tmp_path: Path) -> None:
    """The user wrote it. restic 0.18 removes the link."""
    make_tree(tmp_path / "source", {"a": b"x", "b": HardLink("a")})
    scene.backup(tmp_path / "source")
    make_tree(tmp_path, {"real": {}, "target": Symlink("real")})
    restore_soundly(scene, tmp_path / "target")
    assert (tmp_path / "target").is_symlink()
    assert (tmp_path / "real/source/b").read_bytes() == b"x"
