"""SIGKILL of everything, at each named crash point and at random moments: the next run goes on where it stopped."""

from __future__ import annotations

import random
import re
import shutil
import statistics
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import Interrupted
from argosy.operations.backup.options import BackupObserver
from argosy.repository.packer import Packer, StoredPack
from tests.faults.conftest import make_source
from tests.support.backups import ROOT, Scene, assert_sound, read_job, scanned_in_vain, tell
from tests.support.restic import require_restic

# Small packs and batches, so that there is much to lose: a hundred batches and dozens of packs.
SMALL: dict[str, Any] = {"pack_size_bytes": 1 << 16, "batch_files": 40}
CRASH_POINTS = {
    "the job's row exists": (1,),
    "before a commit": (1, 5),
    "after a commit": (3,),
    "batch complete, not recorded": (1, 40),
    "before the indexes": (1,),
    "after the indexes": (1,),
    "the snapshot is sealed": (1,),
    "before the snapshot is put": (1,),
    "after the snapshot is put": (1,),
    "the history has the job": (1,),
}
NOT_OF_EVERY_RUN = {
    # Where files kill workers: see tests/e2e/test_backup_set_aside.py.
    "before a batch is split or set aside",
    # Where a pack is gone: see test_between_kill_and_resume.py.
    "the loss is noted",
    "the results are closed",
    "what was done is gathered",
}
WITH_JOB = [(name, nth) for name, moments in CRASH_POINTS.items() for nth in moments]


@dataclass(frozen=True)
class Figures:
    """What a crash cost."""

    directories_again: int
    packs_again: int
    bytes_again: int


def tree_of(scene: Scene) -> str:
    return scene.snapshots()[-1].snapshot.tree.hex()


def resume(scene: Scene, source: Path, expected: str, *, before: list[bytes] | None = None, **options: Any) -> Figures:
    """Run again after a crash and prove all that must hold then."""
    found = scene.job_files()
    crashed = read_job(found[0]) if found else None
    had_snapshot = len(scene.snapshots())
    packs_before = set(scene.pack_files())
    before = scene.scanned() if before is None else before
    outcome = scene.run(source, **options)
    assert outcome.returncode == 0, outcome
    assert outcome.tree_id == tree_of(scene) == expected
    assert len(scene.snapshots()) == had_snapshot + 1
    assert not scene.job_files()
    after = scene.scanned()
    # Packs that nobody recorded are in no index: their content was uploaded again, and nothing else was.
    wasted = {name: size for name, size in scene.pack_files().items() if name not in scene.indexed_packs()}
    again = 0
    if crashed is not None and not had_snapshot:
        assert outcome["resumed"]
        assert outcome["job"] == crashed.id
        assert scanned_in_vain(before, crashed, after) == []
        assert len(set(after)) == len(after), "a directory was listed twice by one run"
        again = len(set(before).intersection(after))
        assert set(wasted) <= packs_before - crashed.packs
        assert scene.blobs_twice() == 0
    return Figures(again, len(wasted), sum(wasted.values()))


def test_every_crash_point_of_the_code_is_tested() -> None:
    """The lists above are the code's."""
    named = set()
    for module in (ROOT / "src/argosy/operations/backup").rglob("*.py"):
        named |= set(re.findall(r'crash_point\("([^"]+)"\)', module.read_text(encoding="utf-8")))
    assert named == set(CRASH_POINTS) | NOT_OF_EVERY_RUN


@pytest.mark.parametrize(("name", "nth"), WITH_JOB)
def test_a_run_killed_at_a_crash_point_is_resumed(
    scene: Scene, whole: Scene, source: Path, name: str, nth: int
) -> None:
    """The same job id, no finished directory listed again, nothing recorded uploaded again, the right tree, sound.

    A job whose snapshot is there already is closed, and a new one takes its place.
    """
    crashed = scene.run(source, crash=name, nth=nth, **SMALL)
    assert crashed.killed, crashed
    figures = resume(scene, source, tree_of(whole), **SMALL)
    tell(f"{name} ({nth}): {figures}")
    assert_sound(scene, require_restic())


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("directories", [1, 9, 60])
def test_a_scan_killed_in_its_midst_is_resumed(
    scene: Scene, whole: Scene, source: Path, directories: int, threads: int
) -> None:
    """With directories in progress, whose subdirectories are pending, in progress or finished; and killed twice."""
    for more in (0, 7):
        crashed = scene.run(source, after_directories=directories + more, scan_threads=threads, **SMALL)
        assert crashed.killed, crashed
        # The last commit may have come when the one thread had nothing in progress.
        assert scene.job().in_progress or scene.job().frontier
        before = scene.scanned()
        assert len(before) <= directories + more
        if not more:
            first, job = before, scene.job()
        else:
            assert scanned_in_vain(first, job, before) == []
    figures = resume(scene, source, tree_of(whole), before=before, **SMALL)
    tell(f"killed after {directories} directories, {threads} threads: {figures}")
    assert_sound(scene, require_restic())


@pytest.mark.timeout(600)
def test_runs_killed_at_random_moments_are_resumed(whole: Scene, source: Path, tmp_path: Path) -> None:
    """Eight moments, spread over a run: before the row exists a new job, else the same one; the right tree always."""
    check_random_moments(whole, source, tmp_path, 8, random.Random(8))


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_hundred_kills_over_twenty_thousand_files(tmp_path: Path) -> None:
    """The long form."""
    source = make_source(tmp_path / "source", 20_000)
    whole = Scene(tmp_path / "whole").init()
    whole.backup(source)
    check_random_moments(whole, source, tmp_path, 100, random.Random(100))


def check_random_moments(whole: Scene, source: Path, directory: Path, times: int, rng: random.Random) -> None:
    """Kill and resume until so many runs have died before their snapshot, one in each stretch of a run."""
    first = Scene(directory / "first").init_like(whole).run(source, **SMALL)
    assert first.tree_id == tree_of(whole)
    whole_run_seconds = float(first["before_snapshot"])
    figures: list[Figures] = []
    survived = 0
    while len(figures) < times:
        scene = Scene(directory / f"scene {len(figures)} {survived}").init_like(whole)
        moment = whole_run_seconds * (len(figures) + rng.random()) / times
        with scene.start(source, **SMALL) as child:
            outcome = child.kill_at(moment)
        if outcome.killed and not scene.snapshots():
            figures.append(resume(scene, source, tree_of(whole), **SMALL))
        else:
            # It needed less than the first: its snapshot is there, and whole.
            whole_run_seconds = moment
            survived += 1
            assert survived < times
            assert tree_of(scene) == tree_of(whole)
        if len(figures) % 5 == 0:
            assert_sound(scene, require_restic())
        shutil.rmtree(scene.home)
    tell(f"{times + survived} runs, {times} of them killed before their snapshot")
    for what, get in FIGURES.items():
        numbers = [get(figure) for figure in figures]
        tell(f"{what}: mean {statistics.mean(numbers):.1f}, most {max(numbers)}")


FIGURES: dict[str, Callable[[Figures], int]] = {
    "directories listed again": lambda figure: figure.directories_again,
    "packs uploaded again": lambda figure: figure.packs_again,
    "bytes uploaded again": lambda figure: figure.bytes_again,
}


def test_a_run_killed_again_and_again_ends_well(scene: Scene, whole: Scene, source: Path) -> None:
    """Each run gets a little further; the job stays the same, and its counters are those of one run."""
    jobs = set()
    for _ in range(4):
        assert scene.run(source, crash="after a commit", nth=3, **SMALL).killed
        jobs.add(scene.job().id)
    outcome = scene.run(source, **SMALL)
    assert outcome.tree_id == tree_of(whole)
    assert jobs == {outcome["job"]}
    assert scene.blobs_twice() == 0
    plain = Scene(scene.home / "plain").init_like(whole).run(source, **SMALL)
    for counter in ("files_new", "total_files_processed", "total_bytes_processed"):
        assert outcome["counters"][counter] == plain["counters"][counter], counter
    # A pack may be recorded and the batch that filled it not: done again, it finds its blobs and adds none.
    assert 0 < outcome["counters"]["data_blobs"] <= plain["counters"]["data_blobs"]


def test_an_incremental_run_is_resumed_upon_its_parent(scene: Scene, tmp_path: Path) -> None:
    """What stood in the parent's trees is there after the crash too, and deleted files are not."""
    source = make_source(tmp_path / "own", 1500)
    scene.run(source, **SMALL)
    for number, path in enumerate(sorted(source.rglob("f*"))):
        match number % 10:
            case 0:
                path.write_bytes(b"changed %d" % number)
            case 1:
                path.unlink()
            case 2:
                path.with_name(f"new {path.name}").write_bytes(b"new %d" % number)
    parent = scene.snapshots()[-1].id
    for name, nth in (("batch complete, not recorded", 3), ("after a commit", 1), ("after a commit", 2)):
        assert scene.run(source, crash=name, nth=nth, batch_files=7).killed
    outcome = scene.run(source, batch_files=7)
    assert outcome["resumed"]
    stored = scene.snapshots()[-1]
    assert stored.snapshot.parent == parent
    other = Scene(tmp_path / "other").init_like(scene)
    assert outcome.tree_id == other.run(source).tree_id
    assert_sound(scene, require_restic())


LIMITS = {
    "huge directories": {
        "archiver.directory_scan.HUGE_DIRECTORY_ENTRIES": 20,
        "archiver.directory_scan.RUN_ENTRIES": 15,
        "archiver.trees.LARGE_TREE_BYTES": 4000,
    },
    "segments": {
        f"archiver.{module}.SEGMENT_BYTES": 1 << 18
        for module in ("ledger", "directory_scan", "directory_filling", "batch_work", "big_files", "returning")
    },
    "little memory": {
        "state.assemblies.HOT_MOST": 1,
        "state.frontier.IN_MEMORY_MOST": 2,
        "state.frontier._RELOAD": 2,
        "state.hard_links._HOT_MOST": 1,
        "state.queue.PAYLOADS_IN_MEMORY_BYTES": 0,
    },
}


@pytest.mark.parametrize("limit", LIMITS)
def test_resumes_hold_where_directories_files_and_models_are_large(
    scene: Scene, whole: Scene, source: Path, limit: str
) -> None:
    """Directories in runs, files in segments and models that live on disk are resumed like all else."""
    limits = LIMITS[limit]
    expected = Scene(scene.home / "plain").init_like(whole).run(source, limits=limits).tree_id
    for name, nth in (("batch complete, not recorded", 4), ("before a commit", 4), ("after a commit", 3)):
        crashed = scene.run(source, crash=name, nth=nth, limits=limits, **SMALL)
        assert crashed.killed, crashed
    outcome = scene.run(source, limits=limits, **SMALL)
    assert outcome["resumed"]
    assert outcome.tree_id == expected
    assert scene.blobs_twice() == 0
    assert_sound(scene, require_restic())


def test_other_rates_and_counts_do_not_hinder_a_resume(scene: Scene, whole: Scene, source: Path) -> None:
    """Threads, workers, limits of batches and packs, compression: the job goes on, the tree is the same (R5, S10)."""
    assert scene.run(source, crash="after a commit", nth=2, scan_threads=1, workers=1, **SMALL).killed
    other = {"scan_threads": 8, "workers": 3, "batch_files": 1000, "pack_size_bytes": 1 << 20, "compression": "off"}
    outcome = scene.run(source, queue_after_scan=True, **other)
    assert outcome["resumed"]
    assert outcome.tree_id == tree_of(whole)


def test_a_clean_stop_keeps_all_that_was_read(scene: Scene, whole: Scene, source: Path) -> None:
    """On request the workers store what they have packed: the next run uploads none of it again; no lock is left."""
    points: list[str] = []

    def enough() -> bool:
        return points.count("batch complete, not recorded") > 20

    with pytest.raises(Interrupted):
        scene.backup(source, observer=BackupObserver(stop_requested=enough), crash_point=points.append, **SMALL)
    assert list((scene.repository / "locks").iterdir()) == []
    figures = resume(scene, source, tree_of(whole), **SMALL)
    assert figures.packs_again == 0


def test_a_clean_stop_waits_for_packs_of_trees(
    scene: Scene, whole: Scene, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is on its way is recorded, too."""
    store, under_way = Packer._store, threading.Event()

    def store_slowly(self: Packer, pack: Any) -> StoredPack:
        # Of this process, so of trees. Longer than the stop takes besides: without the wait it would be over then.
        under_way.set()
        threading.Event().wait(2.0)
        return store(self, pack)

    monkeypatch.setattr(Packer, "_store", store_slowly)
    with pytest.raises(Interrupted):
        scene.backup(source, observer=BackupObserver(stop_requested=under_way.is_set), **SMALL)
    assert "tree" in {kind for (kind,) in scene.read_job("SELECT kind FROM packs")}
    monkeypatch.undo()
    assert resume(scene, source, tree_of(whole), **SMALL).packs_again == 0
