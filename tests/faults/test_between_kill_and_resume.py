"""What may happen between a kill and the next run (R5, R6, R8): never a broken snapshot."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from argosy.errors import Interrupted, RepositoryLocked, StateBusy
from argosy.operations.backup.options import BackupObserver
from argosy.operations.jobs import open_history, open_job
from argosy.repository.locks import RepositoryLock
from argosy.repository.packer import StoredPack
from tests.faults.conftest import make_source
from tests.support.backups import Outcome, Scene, assert_sound, tell
from tests.support.restic import Restic, require_restic

SMALL = {"pack_size_bytes": 1 << 14, "batch_files": 10}
DAY_SECONDS = 86_400.0

# Where a run may have been when it died: early, with indexes still to come, with all but the snapshot.
MOMENTS = [
    ("batch complete, not recorded", 9),
    ("before the indexes", 1),
    ("after the indexes", 1),
    ("the snapshot is sealed", 1),
    ("after the snapshot is put", 1),
]


def moments(*short: int, of: int = 5) -> list[Any]:
    """The first ``of`` moments as parameters; all but the ``short`` ones only with --long."""
    return [
        pytest.param(moment, id=moment[0], marks=() if number in short else pytest.mark.long)
        for number, moment in enumerate(MOMENTS[:of])
    ]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """300 files of the test's own, on a share of their own."""
    return make_source(tmp_path / "share/source", 300)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A repository that has a snapshot of something else."""
    scene = Scene(tmp_path / "scene").init()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_bytes(b"other")
    scene.backup(tmp_path / "other")
    return scene


def crash(scene: Scene, source: Path, moment: tuple[str, int] = MOMENTS[0], **options: Any) -> str:
    """A backup that dies; its job's id."""
    name, nth = moment
    outcome = scene.run(source, crash=name, nth=nth, **{**SMALL, **options})
    assert outcome.killed, outcome
    return scene.job().id


def prune(scene: Scene, restic: Restic) -> None:
    """As a user does it: remove the dead run's lock, then everything that no snapshot needs."""
    at = scene.restic(restic)
    at.run("unlock")
    at.run("prune", "--max-unused", "0")


def check_end(scene: Scene, source: Path, outcome: Outcome) -> None:
    """The run ended well: the tree is that of a full run elsewhere, the repository is sound."""
    assert outcome.returncode == 0, outcome
    other = Scene(scene.home / "elsewhere").init_like(scene)
    assert outcome.tree_id == other.backup(source).tree_id.hex()
    assert scene.snapshots()[-1].snapshot.tree.hex() == outcome.tree_id
    assert_sound(scene, require_restic())


@pytest.mark.parametrize("moment", moments(0, 3, 4))
def test_prune_may_run_in_between(scene: Scene, source: Path, moment: tuple[str, int]) -> None:
    """What the job had stored is no snapshot's yet, so prune removes it: the same job stores it again."""
    job = crash(scene, source, moment)
    prune(scene, require_restic())
    outcome = scene.run(source, **SMALL)
    assert (outcome["job"] == job) == (moment != MOMENTS[4])
    check_end(scene, source, outcome)


@pytest.mark.parametrize("moment", moments(1, of=4))
def test_prune_may_run_in_between_on_a_parent(scene: Scene, source: Path, moment: tuple[str, int]) -> None:
    """The same with a parent, whose packs prune writes anew under other names."""
    scene.run(source, **SMALL)
    for path in sorted(source.rglob("f*"))[::3]:
        path.write_bytes(b"new " + path.name.encode())
    crash(scene, source, moment)
    prune(scene, require_restic((0, 18, 0)))
    check_end(scene, source, scene.run(source, **SMALL))


@pytest.mark.parametrize("moment", moments(0, 2))
@pytest.mark.parametrize("which", ["oldest", "newest"])
def test_an_index_may_be_lost_in_between(scene: Scene, source: Path, moment: tuple[str, int], which: str) -> None:
    """An index that the job relied on, or that it wrote itself."""
    crash(scene, source, moment)
    by_age = sorted((scene.repository / "index").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    (by_age[0] if which == "oldest" else by_age[-1]).unlink()
    outcome = scene.run(source, **SMALL)
    assert outcome.returncode == 0, outcome
    # A lost index is the user's damage: restic puts its packs back into one, and then all must be there.
    scene.restic(require_restic()).run("unlock")
    scene.restic(require_restic((0, 18, 0))).run("repair", "index")
    check_end(scene, source, outcome)


@pytest.mark.parametrize("moment", MOMENTS[2:4], ids=[name for name, _ in MOMENTS[2:4]])
@pytest.mark.parametrize("repaired", [False, True], ids=["lost", "repaired"])
def test_losing_an_index_of_its_own_costs_no_second_scan(
    source: Path, tmp_path: Path, moment: tuple[str, int], repaired: bool
) -> None:
    """Its packs are there: they are put into an index again, or stand in one that restic has made meanwhile."""
    scene = Scene(tmp_path / "scene").init()
    crash(scene, source, moment)
    scene.scanned()
    packs = scene.pack_files()
    for index in (scene.repository / "index").iterdir():
        index.unlink()
    if repaired:
        at = scene.restic(require_restic((0, 18, 0)))
        at.run("unlock")
        at.run("repair", "index")
    outcome = scene.run(source, **SMALL)
    assert outcome["resumed"]
    assert scene.scanned() == []
    assert scene.pack_files() == packs
    assert scene.blobs_twice() == 0
    assert any("written again" in message for message in outcome["messages"]) != repaired
    check_end(scene, source, outcome)


def done_files(scene: Scene) -> int:
    """How many files the interrupted job had done with."""
    ((counters,),) = scene.read_job("SELECT value FROM job WHERE key = 'counters'")
    return int(msgspec.json.decode(counters)["total_files_processed"])


def lose_pack(scene: Scene) -> int:
    """One of the packs of data that the job had recorded is gone; how many blobs were in it."""
    row = scene.read_job("SELECT pack_id, size, header FROM packs WHERE kind = 'data' ORDER BY pack_id LIMIT 1")[0]
    pack = StoredPack(*row)
    next((scene.repository / "data").rglob(pack.id.hex())).unlink()
    return pack.blob_count


def mend_index(scene: Scene) -> None:
    """A lost pack that an index names is the user's damage: restic takes it out of the index, as a user does."""
    scene.restic(require_restic()).run("unlock")
    scene.restic(require_restic((0, 18, 0))).run("repair", "index")


def read_files(outcome: Outcome) -> int:
    """How many files a run has read."""
    counters = outcome["counters"]
    return int(counters.get("files_new", 0) + counters.get("files_changed", 0))


def stop(scene: Scene, source: Path, after_batches: int) -> str:
    """A backup that is stopped in its midst: its packs are recorded, unlike those of one that dies then."""
    points: list[str] = []

    def requested() -> bool:
        return points.count("batch complete, not recorded") >= after_batches

    # As a request, which the run asks for between events: one that is dropped would be a pack of which nobody is told.
    observer = BackupObserver(stop_requested=requested)
    with pytest.raises(Interrupted):
        scene.backup(source, observer=observer, crash_point=points.append, **SMALL)
    return scene.job().id


IN_ITS_MIDST = ("in its midst", 0)
LINKED = 20
"""Names of hard links in a source: all are read again when the one blob behind any of them is gone."""


@pytest.mark.parametrize("moment", [IN_ITS_MIDST, *moments(1, of=4)[1:]], ids=str)
def test_a_pack_may_be_lost_in_between(scene: Scene, source: Path, moment: tuple[str, int]) -> None:
    """The job is scanned again, but what was done and misses no blob is not read again (R5)."""
    job = stop(scene, source, 8) if moment == IN_ITS_MIDST else crash(scene, source, moment)
    done, lost = done_files(scene), lose_pack(scene)
    outcome = scene.run(source, **SMALL)
    assert outcome["job"] == job
    assert any("from its beginning" in message for message in outcome["messages"])
    total = outcome["counters"]["total_files_processed"]
    assert lost + LINKED < done
    assert read_files(outcome) <= total - done + lost + LINKED
    mend_index(scene)
    check_end(scene, source, outcome)


@pytest.mark.parametrize("moment", [IN_ITS_MIDST, *moments(of=4)[1:]], ids=str)
def test_a_pack_may_be_lost_in_between_on_a_parent(scene: Scene, source: Path, moment: tuple[str, int]) -> None:
    """What the scan had not come to still has its tree of the parent snapshot: nothing unchanged is read."""
    scene.run(source, **SMALL)
    changed = sorted(source.rglob("f*"))[::3]
    for path in changed:
        path.write_bytes(os.urandom(900))
    if moment == IN_ITS_MIDST:
        stop(scene, source, 2)
    else:
        crash(scene, source, moment)
    lose_pack(scene)
    outcome = scene.run(source, **SMALL)
    assert any("from its beginning" in message for message in outcome["messages"])
    assert read_files(outcome) <= len(changed) + LINKED
    mend_index(scene)
    check_end(scene, source, outcome)


@pytest.mark.parametrize(
    "again",
    [
        "the loss is noted",
        pytest.param("the results are closed", marks=pytest.mark.long),
        pytest.param("what was done is gathered", marks=pytest.mark.long),
        "after a commit",
    ],
)
def test_a_job_that_had_lost_a_pack_may_be_killed_again(scene: Scene, source: Path, again: str) -> None:
    """Before, while or after its results are gathered: what was done is still not read again, and not relied on."""
    scene.run(source, **SMALL)
    for path in sorted(source.rglob("f*"))[::3]:
        path.write_bytes(os.urandom(900))
    crash(scene, source, MOMENTS[1])
    lost = lose_pack(scene)
    assert scene.run(source, crash=again, **SMALL).killed
    outcome = scene.run(source, **SMALL)
    assert outcome["resumed"]
    assert read_files(outcome) <= lost + LINKED
    mend_index(scene)
    check_end(scene, source, outcome)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_packs_lost_after_thirty_kills_at_random_moments(scene: Scene, tmp_path: Path) -> None:
    """Of data or trees, with a parent and without: the right tree, and nothing missing."""
    source, rng = make_source(tmp_path / "share/source", 1200), random.Random(30)
    alone = Scene(tmp_path / "alone").init_like(scene)
    scene.run(source, **SMALL)
    for path in sorted(path for path in source.rglob("f*") if path.is_file())[::3]:
        path.write_bytes(rng.randbytes(900))
    whole = Scene(tmp_path / "whole").init_like(scene).run(source, **SMALL)
    reread: list[tuple[int, int, int]] = []
    killed = 0
    while killed < 30:
        begun = Scene(tmp_path / f"begun {killed} {len(reread)}")
        shutil.copytree((scene if killed % 2 else alone).home, begun.home)
        name = rng.choice(["batch complete, not recorded", "before a commit", "after a commit", "before the indexes"])
        crashed = begun.run(source, crash=name, nth=rng.randint(1, whole["passed"][name]), **SMALL)
        packs = sorted(begun.job().packs) if crashed.killed else []
        killed += 1
        if not packs:
            continue
        done = done_files(begun)
        for lost in rng.sample(packs, min(len(packs), rng.randint(1, 3))):
            next((begun.repository / "data").rglob(lost)).unlink()
        outcome = begun.run(source, **SMALL)
        assert outcome.tree_id == whole.tree_id
        mend_index(begun)
        assert_sound(begun, require_restic())
        reread.append((done, outcome["counters"]["total_files_processed"], read_files(outcome)))
        shutil.rmtree(begun.home)
    tell(f"(files done, files in all, files read by the next run): {reread}")
    assert reread


def test_a_pack_cut_short_is_as_good_as_lost(scene: Scene, source: Path) -> None:
    """Its size is not what was recorded."""
    crash(scene, source, MOMENTS[1])
    path = next((scene.repository / "data").rglob(sorted(scene.job().packs)[0]))
    os.chmod(path, 0o600)
    os.truncate(path, path.stat().st_size - 1)
    outcome = scene.run(source, **SMALL)
    scene.restic(require_restic()).run("unlock")
    path.unlink()
    check_end(scene, source, outcome)


def test_the_parent_may_be_forgotten_in_between(scene: Scene, source: Path) -> None:
    """And all that only it needed may be pruned: nothing of it is built upon."""
    scene.run(source, **SMALL)
    for path in sorted(source.rglob("f*"))[::3]:
        path.write_bytes(b"new " + path.name.encode())
    crash(scene, source)
    at = scene.restic(require_restic())
    at.run("unlock")
    at.run("forget", scene.snapshots()[-1].id.hex(), "--prune", "--max-unused", "0")
    check_end(scene, source, scene.run(source, **SMALL))


def test_the_snapshot_may_be_forgotten_in_between(scene: Scene, source: Path) -> None:
    """A run that died right after its snapshot; the user forgot that one, and pruned: the next snapshot is whole."""
    crash(scene, source, MOMENTS[4])
    at = scene.restic(require_restic())
    at.run("unlock")
    at.run("forget", scene.snapshots()[-1].id.hex(), "--prune", "--max-unused", "0")
    check_end(scene, source, scene.run(source, **SMALL))


def test_a_source_that_changes_in_between_has_each_directory_as_it_was_at_some_time(scene: Scene, source: Path) -> None:
    """What was sealed before stays as it was scanned; what is scanned afterwards is as it is then; nothing is twice."""
    crash(scene, source, ("after a commit", 2), scan_threads=1)
    for number, path in enumerate(sorted(path for path in source.rglob("f*") if path.is_file())):
        match number % 5:
            case 0:
                path.unlink()
            case 1:
                path.with_name(f"added {path.name}").write_bytes(b"added")
            case 2:
                path.unlink()
                path.mkdir()
                (path / "inner").write_bytes(b"a directory now")
    shutil.rmtree(source / "a1")
    outcome = scene.run(source, **SMALL)
    assert outcome.returncode == 0, outcome
    assert outcome["resumed"]
    assert_sound(scene, require_restic())
    last = scene.run(source, **SMALL)
    check_end(scene, source, last)


def replace_share(share: Path) -> None:
    shutil.copytree(share.with_name("away"), share, symlinks=True)


def empty_share(share: Path) -> None:
    (share / "source").mkdir(parents=True)


def no_share(share: Path) -> None:
    assert not share.exists()


@pytest.mark.parametrize(
    ("harm", "error"), [(replace_share, "SourceGone"), (no_share, "SourceGone"), (empty_share, "SourceShrunk")]
)
def test_a_source_that_is_not_mounted_suspends_the_job(
    scene: Scene, source: Path, harm: Callable[[Path], None], error: str
) -> None:
    """Another directory, none, or an empty one at its place: an error that helps, and the job waits for its source."""
    job = crash(scene, source)
    share = source.parent
    share.rename(share.with_name("away"))
    harm(share)
    outcome = scene.run(source, **SMALL)
    assert (outcome.returncode, outcome["error"]) == (1, error)
    assert str(source) in outcome["message"]
    assert outcome["hint"]
    shutil.rmtree(share, ignore_errors=True)
    share.with_name("away").rename(share)
    outcome = scene.run(source, **SMALL)
    assert outcome["job"] == job
    check_end(scene, source, outcome)


def test_a_job_older_than_resume_within_is_closed(scene: Scene, source: Path) -> None:
    """A day later a new job is started; the old one stands in the history as closed, and its uploads are found."""
    job = crash(scene, source, MOMENTS[2])
    packs = set(scene.job().packs)
    scene.edit_job("UPDATE job SET value = ? WHERE key = 'active'", (str(time.time() - DAY_SECONDS - 60).encode(),))
    outcome = scene.run(source, **SMALL)
    assert outcome["job"] != job
    assert not outcome["resumed"]
    assert any(job in message and "older" in message for message in outcome["messages"])
    closed = open_history(scene.state).find(job)
    assert closed is not None
    assert closed.outcome == "closed"
    assert outcome["counters"].get("data_blobs", 0) == 0
    assert packs <= set(scene.indexed_packs())
    check_end(scene, source, outcome)


def test_a_clock_that_was_set_back_does_not_hinder_a_resume(scene: Scene, source: Path) -> None:
    """The job seems to come from tomorrow."""
    job = crash(scene, source)
    scene.edit_job("UPDATE job SET value = ? WHERE key = 'active'", (str(time.time() + DAY_SECONDS).encode(),))
    outcome = scene.run(source, **SMALL)
    assert outcome["job"] == job
    check_end(scene, source, outcome)


OTHERWISE: dict[str, tuple[dict[str, Any], str]] = {
    "tags": ({"tags": ["x"]}, "tags"),
    "excludes": ({"content_key": ["--exclude=x"]}, "excludes"),
    "force": ({"force": True}, "force"),
    "time": ({"time_ns": 1_600_000_000_000_000_000}, "time-ns"),
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_other_options_close_the_job(scene: Scene, source: Path, name: str) -> None:
    """They change what would be saved: a new job is started, and the message names the option that differs."""
    job = crash(scene, source)
    options, shown = OTHERWISE[name]
    outcome = scene.run(source, **SMALL, **options)
    assert outcome["job"] != job
    assert any(job in message and shown in message for message in outcome["messages"])
    assert not scene.job_files()
    assert_sound(scene, require_restic())


def test_no_resume_closes_the_job(scene: Scene, source: Path) -> None:
    """On request everything is scanned again."""
    job = crash(scene, source)
    outcome = scene.run(source, resume=False, **SMALL)
    assert outcome["job"] != job
    assert any("--no-resume" in message for message in outcome["messages"])
    check_end(scene, source, outcome)


def test_another_source_or_host_leaves_the_job_alone(scene: Scene, source: Path, tmp_path: Path) -> None:
    """The unfinished job belongs to its source and host: it is there when they come back."""
    job = crash(scene, source)
    make_source(tmp_path / "third", 200)
    assert not scene.run(tmp_path / "third")["resumed"]
    assert not scene.run(source, host="elsewhere")["resumed"]
    outcome = scene.run(source, **SMALL)
    assert outcome["job"] == job
    check_end(scene, source, outcome)


def test_a_job_that_is_being_run_is_not_started_twice(scene: Scene, source: Path) -> None:
    """The second start says which process has it (R5)."""
    crash(scene, source)
    (path,) = scene.job_files()
    held = open_job(path)
    try:
        with pytest.raises(StateBusy, match=str(os.getpid())):
            scene.backup(source)
    finally:
        held.close()
    assert scene.run(source, **SMALL)["resumed"]


def test_a_damaged_job_file_costs_the_job_and_nothing_else(scene: Scene, source: Path) -> None:
    """A new job is started."""
    crash(scene, source)
    (path,) = scene.job_files()
    path.write_bytes(os.urandom(8192))
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    outcome = scene.run(source, **SMALL)
    assert not outcome["resumed"]
    check_end(scene, source, outcome)


def test_a_lookup_that_is_lost_or_damaged_is_made_again(scene: Scene, source: Path) -> None:
    """The cache directory may be emptied, or be an older one, between the runs."""
    crash(scene, source, MOMENTS[1])
    shutil.rmtree(scene.home / "cache")
    outcome = scene.run(source, **SMALL)
    assert outcome["resumed"]
    assert scene.blobs_twice() == 0
    check_end(scene, source, outcome)


def test_a_repository_locked_in_between_refuses_and_keeps_the_job(scene: Scene, source: Path) -> None:
    """An exclusive lock: exit code 11, and the job waits."""
    job = crash(scene, source)
    scene.restic(require_restic()).run("unlock", "--remove-all")
    exclusive = RepositoryLock.begin(scene.open(), exclusive=True)
    try:
        with pytest.raises(RepositoryLocked) as caught:
            scene.backup(source)
        assert caught.value.exit_code == 11
    finally:
        exclusive.release()
    outcome = scene.run(source, **SMALL)
    assert outcome["job"] == job
    check_end(scene, source, outcome)


def test_a_source_that_had_shrunk_is_scanned_again_once_it_is_whole(scene: Scene, source: Path) -> None:
    """Half a share was mounted, the backup was refused; with the whole one back the same command succeeds."""
    scene.run(source, **SMALL)
    for name in ("a0", "a1", "a2", "a3", "a4", "flat"):
        (source / name).rename(source.with_name(f"away {name}"))
    outcome = scene.run(source, **SMALL)
    assert (outcome.returncode, outcome["error"]) == (1, "SourceShrunk")
    assert "--allow-shrink" in outcome["hint"]
    again = scene.run(source, **SMALL)
    assert again["error"] == "SourceShrunk"
    for name in ("a0", "a1", "a2", "a3", "a4", "flat"):
        source.with_name(f"away {name}").rename(source / name)
    check_end(scene, source, scene.run(source, **SMALL))


def test_a_source_that_has_shrunk_is_saved_if_that_is_allowed(scene: Scene, source: Path) -> None:
    """The refused job goes on at once with --allow-shrink: nothing is scanned or uploaded again."""
    scene.run(source, **SMALL)
    for name in ("a0", "a1", "a2", "a3", "a4", "flat"):
        shutil.rmtree(source / name)
    refused = scene.run(source, **SMALL)
    assert refused["error"] == "SourceShrunk"
    scene.scanned()
    outcome = scene.run(source, allow_shrink=True, **SMALL)
    assert outcome["resumed"]
    assert scene.scanned() == []
    check_end(scene, source, outcome)
