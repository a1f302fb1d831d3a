"""`argosy prune` removes what restic 0.18 would, keeps the bound, and changes nothing where it is not sure."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from argosy.operations.prune.options import PruneObserver, PruneOptions
from argosy.operations.prune.run import run_prune
from tests.support.backups import Scene
from tests.support.command import Argosy
from tests.support.damage import flip
from tests.support.namespaces import in_a_namespace
from tests.support.pruned import ALL_UNUSED, copied
from tests.support.restic import Restic, require_restic


@pytest.fixture
def scene(unpruned: Scene, tmp_path: Path) -> Scene:
    """A copy for each test."""
    return copied(unpruned, tmp_path)


@pytest.fixture
def argosy(scene: Scene) -> Argosy:
    return Argosy(scene.home)


def restic_018() -> Restic:
    return require_restic((0, 18, 0))


def files(argosy: Argosy) -> dict[Path, int]:
    return {path: path.stat().st_size for path in argosy.repository.rglob("*") if path.is_file()}


def leave_unfinished(repository: Path) -> tuple[list[Path], list[Path]]:
    """What killed writers left, of Argosy and of restic, and what looks like it and must stay."""
    day = 24 * 60 * 60
    old, young = 2 * day, day - 600
    pack = next((repository / "data").glob("*/" + "[0-9a-f]" * 64))
    gone = {f"{pack}-tmp-{'0123456789abcdef'}": old, f"{pack}-tmp-2719": old, f"{repository}/config-tmp-5": day + 600}
    stays = {f"{pack}-tmp-77": young, f"{repository}/keys/notes-tmp-1": old, f"{repository}/index/a-tmp-1": old}
    for name, seconds in {**gone, **stays}.items():
        Path(name).write_bytes(b"x" * 1000)
        os.utime(name, (time.time() - seconds,) * 2)
    return [Path(name) for name in gone], [Path(name) for name in stays]


def figures(text: str) -> list[str]:
    """The blobs to repack, that this removes, to delete, and that remain."""
    return [re.findall(rf"{words}: +(\d+) blobs", text)[0] for words in ("to repack", "this removes", "to delete")]


@pytest.mark.parametrize(
    "flags",
    [
        ("--max-unused", "0"),
        ("--max-unused", "5%"),
        ("--max-unused", "30%"),
        ("--max-unused", "60k"),
        ("--max-unused", "unlimited"),
        ("--max-unused", "0", "--max-repack-size", "200k"),
        ("--max-unused", "0", "--repack-cacheable-only"),
        ("--max-unused", "0", "--repack-uncompressed"),
        ("--repack-small",),
        ("--repack-smaller-than", "4M"),
    ],
    ids=" ".join,
)
def test_the_plan_is_restics(unpruned: Scene, tmp_path: Path, flags: tuple[str, ...]) -> None:
    argosy = Argosy(unpruned.home, environment={"ARGOSY_CACHE_DIR": str(tmp_path)})
    (ours,) = argosy.documents("prune", "--dry-run", *flags)
    said = restic_018().at(unpruned.repository, unpruned.home).run("prune", "--dry-run", *flags).stdout.decode()
    repacked, dropped, deleted = (int(number) for number in figures(said))
    assert (ours["repacked_blobs"], ours["dropped_blobs"], ours["deleted_blobs"]) == (repacked, dropped, deleted)


@pytest.mark.parametrize("limit", ["0", "5%", "60k"])
def test_what_is_unused_keeps_within_the_bound(argosy: Argosy, limit: str) -> None:
    (done,) = argosy.documents("prune", "--max-unused", limit, "--pack-size", "4")
    allowed = {"0": 0, "5%": done["used_bytes"] * 5 // 95, "60k": 60 << 10}[limit]
    (after,) = argosy.documents("prune", "--dry-run", "--max-unused", limit, "--pack-size", "4")
    assert after["unused_bytes"] == done["remaining_unused_bytes"] <= allowed
    assert after["packs_removed"] == after["packs_repacked"] == after["packs_unindexed"] == 0
    restic = restic_018().at(argosy.repository, argosy.home)
    restic.check()
    said = restic.run("prune", "--dry-run", "--max-unused", limit, "--pack-size", "4").stdout.decode()
    assert figures(said) == ["0", "0", "0"], said
    assert "nothing to do" in argosy.says("prune", "--max-unused", limit, "--pack-size", "4")
    assert argosy.run("list", "locks").stdout == b""


def test_a_dry_run_changes_nothing_and_says_what_a_run_does(argosy: Argosy) -> None:
    before = files(argosy)
    said = argosy.says("prune", "--dry-run")
    assert "in no index: 1 pack, 24 B" in said
    assert files(argosy) == before
    assert "done" in argosy.says("prune")
    assert sum(files(argosy).values()) < sum(before.values())
    argosy.run("check", "--read-data")


def test_what_killed_writers_left_is_removed_after_a_day(argosy: Argosy) -> None:
    """Also where there is nothing else to do."""
    prune = ("prune", "--max-unused", "unlimited")
    argosy.run(*prune)
    gone, stays = leave_unfinished(argosy.repository)
    before = files(argosy)
    said = argosy.says(*prune, "--dry-run")
    assert "would remove 3 unfinished files of killed writers, 2.930 KiB" in said
    assert "nothing to do" not in said
    (planned,) = argosy.documents(*prune, "--dry-run")
    assert files(argosy) == before
    assert (planned["unfinished_files"], planned["unfinished_bytes"], planned["freed_bytes"]) == (3, 3000, 3000)
    said = argosy.says(*prune)
    assert re.search("will remove 3 unfinished files .*removed 3 unfinished files of killed .*done", said, re.DOTALL)
    assert before.keys() - files(argosy).keys() == set(gone)
    assert all(path.exists() for path in stays)
    assert "nothing to do" in argosy.says(*prune)
    restic_018().at(argosy.repository, argosy.home).check()


@pytest.mark.parametrize("verb", [("prune",), ("forget", "--keep-last", "1", "--prune")], ids=" ".join)
def test_what_killed_writers_left_goes_with_all_that_is_unused(argosy: Argosy, verb: tuple[str, ...]) -> None:
    gone, stays = leave_unfinished(argosy.repository)
    summary = argosy.documents(*verb, "--max-unused", "0")[-1]
    assert (summary["unfinished_files"], summary["unfinished_bytes"]) == (3, 3000)
    assert summary["packs_removed"]
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in stays)
    restic_018().at(argosy.repository, argosy.home).check()


def test_forget_prunes_under_the_same_lock(argosy: Argosy) -> None:
    before = files(argosy)
    said = argosy.says("forget", "--keep-last", "1", "--prune", "--dry-run")
    assert "would remove 1 snapshot" in said
    assert "frees" in said
    assert files(argosy) == before
    groups, summary = argosy.documents("forget", "--keep-last", "1", "--prune", "--max-unused", "0")
    assert len(groups[0]["remove"]) == 1
    assert summary["remaining_unused_bytes"] == 0
    restic_018().at(argosy.repository, argosy.home).check()
    assert "no snapshot was removed" in argosy.says("forget", "--keep-last", "1", "--prune")


def test_who_else_holds_a_lock_is_said(argosy: Argosy) -> None:
    before = files(argosy)
    with restic_018().at(argosy.repository, argosy.home).locked() as pid:
        said = argosy.says("prune", expect=11)
        assert f"PID {pid}" in said
        assert "refreshed" in said
    assert set(before) <= set(files(argosy))


@pytest.mark.parametrize("folder", ["index", "snapshots", "data"])
def test_what_cannot_be_read_ends_it_and_nothing_is_changed(scene: Scene, argosy: Argosy, folder: str) -> None:
    """A damaged index or snapshot, or a pack that is missing, may be what tells that something is in use."""
    if folder == "data":
        plan = run_prune(scene.access(), PruneOptions(ALL_UNUSED, dry_run=True), PruneObserver())
        needed = min(plan.keep | plan.repack).hex()
        (argosy.repository / "data" / needed[:2] / needed).unlink()
    else:
        for path in (argosy.repository / folder).iterdir():
            flip(path, 20)
    before = files(argosy)
    assert "Fatal:" in argosy.says("prune", expect=1)
    assert files(argosy) == before


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--max-unused", "100%"), "no limit"),
        (("--max-unused", "much"), "no limit"),
        (("--max-repack-size", "much"), "no size"),
        (("--repack-smaller-than", "1G"), "exceeds the pack size"),
        (("--repack-uncompressed", "--compression", "off"), "exclude each other"),
        (("--no-lock",), "needs its lock"),
    ],
)
def test_flags_that_make_no_sense_are_refused(unpruned: Scene, flags: tuple[str, ...], words: str) -> None:
    assert words in Argosy(unpruned.home).says("prune", *flags, expect=1)


def assert_all_is_there(unpruned: Scene, scene: Scene) -> None:
    restic = restic_018().at(scene.repository, scene.home)
    restic.check()
    assert [stored.id for stored in scene.snapshots()] == [stored.id for stored in unpruned.snapshots()]
    (done,) = Argosy(scene.home).documents("prune", "--max-unused", "0")
    assert done["unused_bytes"]
    restic.check()


def test_a_disk_that_is_full_while_it_repacks_is_said_and_nothing_is_lost(unpruned: Scene, scene: Scene) -> None:
    """The repository lies on a file system that it fills but for a few blocks; a next prune with room ends it."""
    said = in_a_namespace(
        Argosy(scene.home),
        """
        cp -a "$repository" "$repository.kept"
        mount -t tmpfs -o size=2m full "$repository"
        cp -a "$repository.kept/." "$repository"
        cat /dev/zero >"$repository/ballast" 2>/dev/null || true
        truncate -s -49152 "$repository/ballast"
        code=0
        $argosy prune --max-unused 0 || code=$?
        rm "$repository/ballast"
        rm -r "$repository.kept"
        cp -a "$repository" "$repository.kept"
        umount "$repository"
        find "$repository" -mindepth 1 -delete
        cp -a "$repository.kept/." "$repository"
        exit $code
        """,
        expect=1,
    )
    assert "No space left" in said, said
    assert "Free some space" in said
    assert "Traceback" not in said
    assert_all_is_there(unpruned, scene)


def test_a_store_that_is_read_only_is_said_and_nothing_is_changed(
    unpruned: Scene, scene: Scene, argosy: Argosy
) -> None:
    before = files(argosy)
    said = in_a_namespace(
        Argosy(scene.home),
        """
        mount --bind "$repository" "$repository"
        mount -o remount,bind,ro "$repository"
        code=0
        $argosy forget --keep-last 1 || code=$?
        test $code = 1
        $argosy prune --max-unused 0
        """,
        expect=1,
    )
    assert said.count("Read-only") == 2, said
    assert "Traceback" not in said
    assert files(argosy) == before
    assert_all_is_there(unpruned, scene)
