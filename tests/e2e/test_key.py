"""Passwords that Argosy adds, changes and removes hold for restic, and the other way round."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import Argosy
from tests.support.compared import Compared
from tests.support.damage import flip
from tests.support.restic import PASSWORD, Restic, ResticRepository, restic_parameters

NEW = "another password"


@pytest.fixture(params=restic_parameters())
def theirs(request: pytest.FixtureRequest, tmp_path: Path) -> ResticRepository:
    """A repository that restic made."""
    restic: Restic = request.param
    made = restic.at(Argosy(tmp_path).repository, tmp_path)
    made.init()
    return made


@pytest.fixture
def argosy(tmp_path: Path) -> Argosy:
    """Argosy at the same repository."""
    (tmp_path / "new").write_text(f"{NEW}\n")
    return Argosy(tmp_path)


def with_new_password(theirs: ResticRepository) -> ResticRepository:
    return ResticRepository(theirs.restic, theirs.location, theirs.home, NEW)


def test_the_list_is_restics(compared: Compared) -> None:
    compared.assert_same_output("key", "list")
    compared.assert_same_output("key", "list", "--json")


def test_restic_opens_with_an_added_password(theirs: ResticRepository, argosy: Argosy) -> None:
    said = argosy.says("key", "add", "--new-password-file", "new", "--user", "someone", "--host", "somewhere")
    with_new_password(theirs).run("snapshots")
    theirs.run("snapshots")
    added = said.split()[-1]
    listed = {key["id"]: key for key in argosy.documents("key", "list")[0]}
    assert (listed[added]["userName"], listed[added]["hostName"]) == ("someone", "somewhere")
    assert [key["current"] for key in listed.values()].count(True) == 1
    assert not listed[added]["current"]


def test_a_changed_password_replaces_the_old_one(theirs: ResticRepository, argosy: Argosy, tmp_path: Path) -> None:
    argosy.run("key", "passwd", "--new-password-file", "new")
    with_new_password(theirs).run("snapshots")
    theirs.run("snapshots", expect=(1, 12))
    argosy.run("snapshots", expect=12)
    assert len(Argosy(tmp_path, NEW).documents("key", "list")[0]) == 1


def test_a_removed_password_opens_nothing(theirs: ResticRepository, argosy: Argosy, tmp_path: Path) -> None:
    argosy.run("key", "add", "--new-password-file", "new")
    old = next(key["id"] for key in argosy.documents("key", "list")[0] if key["current"])
    assert "is the one that opened" in argosy.says("key", "remove", old[:10], expect=1)
    Argosy(tmp_path, NEW).run("key", "remove", old[:10])
    theirs.run("snapshots", expect=(1, 12))
    with_new_password(theirs).run("snapshots")


def test_a_new_password_comes_from_standard_input_too(theirs: ResticRepository, argosy: Argosy) -> None:
    argosy.run("key", "add", given=NEW.encode() + b"\n")
    with_new_password(theirs).run("snapshots")


def test_an_empty_password_must_be_meant(theirs: ResticRepository, argosy: Argosy) -> None:
    del theirs
    assert "an empty password is not allowed" in argosy.says("key", "add", expect=1)
    argosy.run("key", "add", "--new-insecure-no-password")
    empty = {**argosy.variables()}
    del empty
    assert len(argosy.documents("key", "list")[0]) == 2


def test_nothing_is_left_of_a_failed_change(theirs: ResticRepository, argosy: Argosy) -> None:
    before = argosy.run("list", "keys").stdout
    argosy.run("key", "passwd", "--new-password-file", "missing", expect=1)
    argosy.run("key", "remove", "0123456789", expect=1)
    argosy.run("key", "remove", "0" * 64, expect=1)
    assert argosy.run("list", "keys").stdout == before
    theirs.run("snapshots")


def test_a_damaged_key_does_not_hide_the_others(argosy: Argosy) -> None:
    argosy.run("init")
    argosy.run("key", "add", "--new-password-file", "new")
    victim = next(key["id"] for key in argosy.documents("key", "list")[0] if not key["current"])
    flip(argosy.repository / "keys" / victim, 100)
    done = argosy.run("key", "list", expect=1)
    assert len(done.stdout.splitlines()) == 4
    assert victim.encode() in done.stderr


def test_no_password_stands_in_what_is_printed(theirs: ResticRepository, argosy: Argosy) -> None:
    del theirs
    for arguments in (("key", "add", "--new-password-file", "new"), ("key", "list"), ("key", "list", "--json")):
        said = argosy.says(*arguments)
        assert PASSWORD not in said
        assert NEW not in said
