"""A machine proves that it sees a restore's target, and may do there what the master may."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from argosy.daemon.target_sight import TargetMark, target_difference
from argosy.errors import RestoreError
from argosy.restorer.target import is_probe


def same(path: bytes) -> bytes:
    return path


def mark_in(target: Path) -> TargetMark:
    return TargetMark("/repository", os.fsencode(target))


def test_the_mark_is_made_with_its_target_seen_and_removed(tmp_path: Path) -> None:
    target = tmp_path / "new" / "target"
    mark = mark_in(target)
    assert not target.exists()
    probe = mark.probe()
    assert mark.probe() == probe
    (name,) = os.listdir(os.fsencode(target))
    assert is_probe(name)
    assert target_difference(probe, same, "nas-1") == ""
    # The member's own file is gone again.
    assert os.listdir(os.fsencode(target)) == [name]
    mark.remove()
    assert list(target.iterdir()) == []


def test_a_restore_that_is_over_leaves_no_mark_to_whoever_asks_late(tmp_path: Path) -> None:
    mark = mark_in(tmp_path)
    mark.remove()
    with pytest.raises(RestoreError, match="over"):
        mark.probe()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_master_left_goes_with_the_next_restore(tmp_path: Path) -> None:
    mark_in(tmp_path).probe()
    mark_in(tmp_path).remove()
    assert list(tmp_path.iterdir()) == []


def test_another_directory_is_told(tmp_path: Path) -> None:
    target, other = tmp_path / "target", tmp_path / "other"
    other.mkdir()
    probe = mark_in(target).probe()
    there = os.fsencode(tmp_path / "absent")
    assert "cannot be opened: No such file" in target_difference(
        probe, lambda path: path.replace(os.fsencode(target), there), "nas-1"
    )
    elsewhere = target_difference(probe, lambda path: path.replace(os.fsencode(target), os.fsencode(other)), "nas-1")
    assert "is another one" in elsewhere
    changed = msgspec.structs.replace(probe, content=b"x" * len(probe.content))
    assert target_difference(changed, same, "nas-1") == f"the target {target} is another one"


def test_a_link_at_the_marks_place_is_not_followed(tmp_path: Path) -> None:
    probe = mark_in(tmp_path).probe()
    place = Path(os.fsdecode(probe.path))
    place.rename(tmp_path / "moved")
    place.symlink_to("moved")
    assert "another one" in target_difference(probe, same, "nas-1")


def test_other_rights_are_told(tmp_path: Path) -> None:
    probe = mark_in(tmp_path).probe()
    foreign = msgspec.structs.replace(probe, uid=probe.uid + 1)
    assert f"belongs to user {probe.uid}, what the master makes to {probe.uid + 1}" in target_difference(
        foreign, same, "nas-1"
    )
    if os.geteuid():
        mighty = msgspec.structs.replace(probe, gives_away=True)
        assert "may not change the owner" in target_difference(mighty, same, "nas-1")
    assert os.listdir(tmp_path) == [os.path.basename(os.fsdecode(probe.path))]


def test_a_target_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RestoreError, match="cannot write to the target"):
        mark_in(tmp_path / "file" / "below").probe()
