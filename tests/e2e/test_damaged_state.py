"""Damaged files in the state directory: named with what to do, moved aside by a backup, and never in its way."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.backups import Scene, assert_sound
from tests.support.command import Argosy
from tests.support.restic import require_restic

SMALL = {"pack_size_bytes": 1 << 14, "batch_files": 5}


def garbage(job: Path) -> None:
    """Another program's bytes."""
    job.write_bytes(b"this is no database " * 500)


def cut_short(job: Path) -> None:
    """What a full disk leaves of a copy."""
    job.write_bytes(job.read_bytes()[: job.stat().st_size // 2])


def another_record(job: Path) -> None:
    """Rows that SQLite takes for sound, and nobody can read."""
    database = sqlite3.connect(job)
    with database:
        database.execute("UPDATE job SET value = X'C1' WHERE key = 'record'")
    database.close()


def lost_page(job: Path) -> None:
    """A page of the batches' table, which is read only once the job is resumed."""
    database = sqlite3.connect(job)
    (page_bytes,) = database.execute("PRAGMA page_size").fetchone()
    (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'batches'").fetchone()
    database.close()
    with job.open("r+b") as file:
        file.seek((page - 1) * page_bytes)
        file.write(b"\xff" * page_bytes)


KINDS = (garbage, cut_short, another_record, lost_page)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    for number in range(60):
        path = root / f"d{number % 7}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content of %d" % number * 50)
    return root


@pytest.fixture
def scene(tmp_path: Path, source: Path) -> Scene:
    """An unfinished job, all of it in one file."""
    made = Scene(tmp_path).init()
    assert made.run(source, crash="batch complete, not recorded", nth=6, **SMALL).killed
    made.edit_job("PRAGMA wal_checkpoint(TRUNCATE)")
    return made


@pytest.mark.parametrize("damage", KINDS, ids=lambda kind: kind.__name__)
def test_a_backup_moves_a_damaged_job_aside_and_begins_anew(
    scene: Scene, source: Path, damage: Callable[[Path], None]
) -> None:
    """Said with both paths; the file is kept as it was; the snapshot is whole."""
    (job,) = scene.job_files()
    damage(job)
    before = job.read_bytes()
    outcome = scene.run(source, **SMALL)
    assert outcome.returncode == 0
    assert not outcome["resumed"]
    aside = job.with_name(f"{job.name}.damaged")
    (said,) = [message for message in outcome["messages"] if "damaged" in message]
    assert str(job) in said
    assert str(aside) in said
    assert aside.read_bytes() == before
    assert not scene.job_files()
    assert not job.with_name(f"{job.name}.lock").exists()
    assert_sound(scene, require_restic())
    warned = Argosy(scene.home).says("jobs")
    assert f"{aside} was damaged and moved aside" in warned


@pytest.mark.parametrize("damage", [garbage, another_record], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("verb", ["status", "jobs"])
def test_a_damaged_job_is_named_by_those_who_only_look(scene: Scene, verb: str, damage: Callable[[Path], None]) -> None:
    """With the next step; they leave it where it is."""
    (job,) = scene.job_files()
    damage(job)
    said = Argosy(scene.home).says(verb)
    assert f"{job} is damaged" in said
    assert "The next backup moves it aside" in said
    assert job.exists()


def test_two_damaged_files_of_one_name_are_both_kept(scene: Scene, source: Path) -> None:
    (job,) = scene.job_files()
    garbage(job)
    first = job.with_name(f"{job.name}.damaged")
    first.write_bytes(b"an earlier one")
    assert scene.run(source, **SMALL).returncode == 0
    assert first.read_bytes() == b"an earlier one"
    assert job.with_name(f"{job.name}.damaged-2").exists()


def test_a_damaged_job_of_another_source_is_moved_aside_too(scene: Scene, tmp_path: Path) -> None:
    """Nobody can tell whose it was."""
    (job,) = scene.job_files()
    garbage(job)
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_bytes(b"x")
    assert scene.run(other).returncode == 0
    assert job.with_name(f"{job.name}.damaged").exists()


def test_a_damaged_history_does_not_make_a_finished_backup_fail(scene: Scene, source: Path) -> None:
    history = scene.state / "history.sqlite"
    garbage(history)
    said = Argosy(scene.home).says("backup", source)
    assert f"{history} is damaged" in said
    assert history.with_name("history.sqlite.damaged").exists()
    assert [job["state"] for job in Argosy(scene.home).documents("jobs") if job["state"] == "done"] == ["done"]
