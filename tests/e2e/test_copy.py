"""`argosy copy` copies what restic 0.18 would copy, verified, and nothing twice."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Argosy
from tests.support.compared import make_key_cheap, make_source
from tests.support.damage import flip_blob, ground_of
from tests.support.restic import PASSWORD, ResticRepository, require_restic

TARGETS_PASSWORD = "another password"
MORE = b"more" * 1000


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Argosy:
    """Two snapshots that share files, and one that was tagged, so that it has a first id."""
    home = tmp_path_factory.mktemp("source")
    source = Argosy(home)
    make_source(home / "files")
    source.run("init")
    make_key_cheap(str(source.repository))
    source.run("backup", "--host", "alpha", home / "files")
    (home / "files" / "more").write_bytes(MORE)
    source.run("backup", "--host", "alpha", home / "files")
    source.run("backup", "--host", "beta", home / "files" / "sub")
    source.run("tag", "--add", "b", "--host", "beta")
    return source


@pytest.fixture(scope="module")
def empty(source: Argosy, tmp_path_factory: pytest.TempPathFactory) -> Argosy:
    """A repository that cuts files as the source does, with another password."""
    empty = opened_with_source(Argosy(tmp_path_factory.mktemp("empty")), source)
    empty.run("init", "--copy-chunker-params")
    return empty


@pytest.fixture
def target(source: Argosy, empty: Argosy, tmp_path: Path) -> Argosy:
    """A copy of it for each test."""
    shutil.copytree(empty.repository, tmp_path / "repository")
    return opened_with_source(Argosy(tmp_path), source)


def opened_with_source(target: Argosy, source: Argosy) -> Argosy:
    """The target, whose commands find the source in their variables."""
    variables = {"ARGOSY_FROM_REPOSITORY": str(source.repository), "ARGOSY_FROM_PASSWORD": PASSWORD}
    return replace(target, password=TARGETS_PASSWORD, environment=variables)


def restic_at(target: Argosy, source: Argosy) -> ResticRepository:
    variables = {"RESTIC_FROM_REPOSITORY": str(source.repository), "RESTIC_FROM_PASSWORD": PASSWORD}
    restic = require_restic((0, 18, 0)).at(target.repository, target.home)
    return replace(restic, password=TARGETS_PASSWORD, environment=variables)


def copy(target: Argosy, *flags: str, expect: int = 0) -> tuple[list[Any], Any]:
    """The documents of a copy: of each snapshot, and the summary."""
    *said, summary = target.documents("copy", *flags, expect=expect)
    return [document for document in said if document["message_type"] != "status"], summary


def comparable(snapshots: list[Any]) -> list[Any]:
    """Without the ids that each copy draws anew."""
    return [{key: value for key, value in one.items() if key not in ("id", "short_id")} for one in snapshots]


def test_the_copies_are_those_that_restic_makes(source: Argosy, target: Argosy, empty: Argosy, tmp_path: Path) -> None:
    said, summary = copy(target)
    assert [document["message_type"] for document in said] == ["copied"] * 3
    assert (summary["snapshots_copied"], summary["snapshots_skipped"], summary["snapshots_failed"]) == (3, 0, 0)
    restic_at(target, source).check()
    shutil.copytree(empty.repository, tmp_path / "theirs" / "repository")
    theirs = restic_at(opened_with_source(Argosy(tmp_path / "theirs"), source), source)
    theirs.run("copy")
    assert comparable(target.documents("snapshots")[0]) == comparable(theirs.json_lines("snapshots")[0])


def test_neither_program_copies_again_what_the_other_copied(source: Argosy, target: Argosy) -> None:
    restic = restic_at(target, source)
    restic.run("copy", "--host", "beta")
    said, summary = copy(target)
    assert sorted(document["message_type"] for document in said) == ["copied", "copied", "skipped"]
    before = files(target)
    restic.run("copy")
    said, summary = copy(target)
    assert (summary["snapshots_skipped"], summary["blobs_copied"], summary["trees"]) == (3, 0, 0)
    assert files(target) == before


def test_blobs_that_are_there_are_not_copied_again(target: Argosy) -> None:
    _, first = copy(target, "--host", "beta")
    assert (first["snapshots"], first["snapshots_copied"]) == (1, 1)
    copy(target, "--host", "alpha")
    ground = ground_of(target)
    blobs = [blob.id for pack in (*ground.data_packs, *ground.tree_packs) for blob in pack.blobs]
    assert len(blobs) == len(set(blobs))


def test_a_damaged_snapshot_is_named_and_the_others_are_copied(source: Argosy, target: Argosy, tmp_path: Path) -> None:
    damaged = Argosy(tmp_path / "damaged")
    shutil.copytree(source.repository, damaged.repository)
    blob_id = hashlib.sha256(MORE).digest()
    flip_blob(ground_of(damaged), blob_id)
    said = opened_with_source(target, damaged).says("copy", expect=1)
    assert f"blob {blob_id.hex()}" in said
    assert "it is not copied" in said
    assert "copied 2 snapshots" in said
    restic_at(target, source).check()
    assert copy(target)[1]["snapshots_copied"] == 1
    restic_at(target, source).check()


def test_other_chunker_parameters_are_said_and_copied_all_the_same(source: Argosy, tmp_path: Path) -> None:
    target = opened_with_source(Argosy(tmp_path), source)
    target.run("init")
    said = target.says("copy", "--host", "beta")
    assert "cut files differently" in said
    restic_at(target, source).check()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--from-repo", "/nowhere"), "there is no repository at /nowhere"),
        (("--from-password-file", "/nowhere"), "/nowhere cannot be read"),
        (("0123456789",), "does not exist"),
    ],
)
def test_wrong_use_is_refused_and_stores_nothing(target: Argosy, flags: tuple[str, ...], words: str) -> None:
    before = files(target)
    expect = 10 if flags[0] == "--from-repo" else 1
    assert words in target.says("copy", *flags, expect=expect)
    assert files(target) == before


def test_a_repository_is_not_copied_into_itself(source: Argosy) -> None:
    said = source.says("copy", "--from-repo", source.repository, expect=1)
    assert "no key" in said or "password" in said
    itself = replace(source, environment={"ARGOSY_FROM_PASSWORD": PASSWORD})
    assert "the same repository" in itself.says("copy", "--from-repo", itself.repository, expect=1)


def files(argosy: Argosy) -> list[Path]:
    return sorted(path for path in argosy.repository.rglob("*") if path.is_file() and path.parent.name != "locks")
