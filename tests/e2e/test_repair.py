"""`argosy repair` at the command line: what it prints, its exit codes, and snapshots as restic 0.18 would mend them."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Argosy
from tests.support.compared import make_key_cheap
from tests.support.damage import Ground, flip_blob, ground_of
from tests.support.restic import ResticRepository, require_restic

KEPT, LOST = b"kept" * 50_000, b"lost" * 1000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Argosy:
    """A snapshot of two files, and one of the first alone."""
    home = tmp_path_factory.mktemp("made")
    made = Argosy(home)
    made.run("init")
    make_key_cheap(str(made.repository))
    (home / "source" / "dir").mkdir(parents=True)
    (home / "source" / "kept").write_bytes(KEPT)
    made.run("backup", "--host", "alpha", "source")
    (home / "source" / "dir" / "lost").write_bytes(LOST)
    made.run("backup", "--host", "beta", "source")
    return made


@pytest.fixture
def argosy(made: Argosy, tmp_path: Path) -> Argosy:
    """A copy for each test."""
    shutil.copytree(made.repository, tmp_path / "repository")
    return Argosy(tmp_path)


def restic_at(argosy: Argosy) -> ResticRepository:
    return require_restic((0, 18, 0)).at(argosy.repository, argosy.home)


def pack_of_what_is_lost(ground: Ground) -> str:
    blob_id = hashlib.sha256(LOST).digest()
    return next(pack.id.hex() for pack in ground.data_packs if any(blob.id == blob_id for blob in pack.blobs))


def test_a_blob_is_lost_and_all_else_is_saved(argosy: Argosy) -> None:
    ground = ground_of(argosy)
    flip_blob(ground, hashlib.sha256(LOST).digest())
    pack_id = pack_of_what_is_lost(ground)
    lost, summary = argosy.documents("repair", "packs", pack_id, expect=1)
    newest = argosy.documents("snapshots")[0][-1]["id"]
    reason = "1 of its 1 blobs lost: 0 of 4000 bytes remain"
    assert lost == {"message_type": "lost", "snapshot_id": newest, "path": "/source/dir/lost", "reason": reason}
    assert summary["lost_blobs"] == [hashlib.sha256(LOST).hexdigest()]
    assert summary["copies"] == [str(argosy.home / f"pack-{pack_id}")]
    assert (argosy.home / f"pack-{pack_id}").stat().st_size > 0
    assert not ground.directory.joinpath("data", pack_id[:2], pack_id).exists()

    said = argosy.says("repair", "snapshots", "--dry-run")
    assert f"snapshot {newest[:8]}: /source/dir/lost: {reason}" in said
    assert "would modify 1 snapshot" in said
    assert newest == argosy.documents("snapshots")[0][-1]["id"]
    _, changed, removed, summary = argosy.documents("repair", "snapshots", "--forget")
    assert (changed["old_snapshot_id"], removed["snapshot_id"]) == (newest, newest)
    assert summary == {"message_type": "summary", "changed_snapshots": 1, "dry_run": False}
    assert "no snapshots were modified" in argosy.says("repair", "snapshots")
    argosy.run("check", "--read-data")
    restic_at(argosy).check()


def test_a_new_backup_brings_back_what_was_lost(made: Argosy, argosy: Argosy) -> None:
    ground = ground_of(argosy)
    flip_blob(ground, hashlib.sha256(LOST).digest())
    argosy.run("repair", "packs", pack_of_what_is_lost(ground), expect=1)
    argosy.run("backup", made.home / "source")
    assert "no snapshots were modified" in argosy.says("repair", "snapshots", "--forget")
    argosy.run("check", "--read-data")


def test_snapshots_are_mended_as_restic_mends_them(argosy: Argosy, tmp_path: Path) -> None:
    pack_id = pack_of_what_is_lost(ground_of(argosy))
    (argosy.repository / "data" / pack_id[:2] / pack_id).unlink()
    theirs = Argosy(tmp_path / "theirs")
    shutil.copytree(argosy.repository, theirs.repository)
    for verb in (("repair", "index"), ("repair", "snapshots")):
        argosy.run(*verb)
        restic_at(theirs).run(*verb)
    assert comparable(argosy) == comparable(theirs)
    restic_at(argosy).run("check", "--read-data", expect=(1,))  # the damaged one is still there
    (damaged,) = [s["id"] for s in argosy.documents("snapshots", "--host", "beta")[0] if "tags" not in s]
    argosy.run("forget", damaged)
    restic_at(argosy).check()


def comparable(argosy: Argosy) -> list[Any]:
    kept = [{k: v for k, v in s.items() if k not in ("id", "short_id")} for s in argosy.documents("snapshots")[0]]
    return sorted(kept, key=lambda s: (s["hostname"], str(s.get("tags"))))


def test_the_index_is_written_anew(argosy: Argosy) -> None:
    for path in (argosy.repository / "index").iterdir():
        path.unlink()
    (summary,) = argosy.documents("repair", "index")
    assert (summary["indexes_removed"], summary["indexes_written"]) == (0, 1)
    assert summary["packs_read"] == len([path for path in (argosy.repository / "data").rglob("*") if path.is_file()])
    assert "nothing was changed" in argosy.says("repair", "index", "--read-all-packs")
    restic_at(argosy).check()


def test_snapshots_are_not_touched_while_the_index_lists_what_is_gone(argosy: Argosy) -> None:
    pack_id = pack_of_what_is_lost(ground_of(argosy))
    (argosy.repository / "data" / pack_id[:2] / pack_id).unlink()
    said = argosy.says("repair", "snapshots", "--forget", expect=1)
    assert pack_id in said
    assert "argosy repair index" in said


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("index", "--no-lock"), 1, "needs its lock"),
        (("packs",), 1, "no pack is named"),
        (("packs", "12ab"), 1, "'12ab' is not the id of a pack"),
        (("packs", "12" * 32), 1, f"no such pack is there or in an index: {'12' * 32}"),
        (("snapshots", "0123456789"), 1, "does not exist"),
        (("snapshots", "--no-lock"), 1, "needs its lock"),
    ],
)
def test_wrong_use_changes_nothing(made: Argosy, arguments: tuple[str, ...], code: int, words: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.repository.rglob("*") if path.is_file()}
    assert words in made.says("repair", *arguments, expect=code)
    assert before == {path: path.stat().st_mtime_ns for path in made.repository.rglob("*") if path.is_file()}


def test_beside_a_backup_it_says_who_holds_the_lock(argosy: Argosy) -> None:
    with restic_at(argosy).locked() as pid:
        said = argosy.says("repair", "index", expect=11)
    assert str(pid) in said
