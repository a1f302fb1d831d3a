"""`argosy cluster`, as a person and a script use it."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.certificates.join_file import load_join_file
from argosy.certificates.role import Role
from tests.support.command import Argosy


@pytest.fixture
def argosy(tmp_path: Path) -> Argosy:
    """Argosy with a cluster in its state directory, reached at nas.example:4222."""
    argosy = Argosy(tmp_path)
    argosy.run("cluster", "init", "--address", "nas.example:4222")
    return argosy


def test_a_certificates_life(argosy: Argosy) -> None:
    assert "wrote p1.join: member p1, valid until" in argosy.says("cluster", "add", "p1")
    join = load_join_file(argosy.home / "p1.join")
    assert (join.name, join.role, str(join.addresses[0])) == ("p1", Role.MEMBER, "nas.example:4222")
    assert "warning: the certificate of p1 expires on" in argosy.says(
        "cluster", "renew", "p1", "--days", "29", "--output", "new.join"
    )
    assert "expiring" in argosy.says("cluster", "list")
    assert argosy.says("cluster", "revoke", "p1").count("revoked member p1") == 2
    listed = argosy.documents("cluster", "list")
    states = [(entry["name"], entry["state"]) for entry in listed]
    assert states == [
        ("server", "valid"),
        ("master", "valid"),
        ("operator", "valid"),
        ("member", "valid"),
        ("p1", "revoked"),
        ("p1", "revoked"),
    ]


def test_as_json(argosy: Argosy, tmp_path: Path) -> None:
    (made,) = argosy.documents("cluster", "init", "--certs", "other", "--address", "[2001:db8::1]:4222")
    assert made["message_type"] == "cluster"
    assert made["addresses"] == ["[2001:db8::1]:4222"]
    (added,) = argosy.documents("cluster", "add", "ann", "--role", "operator", "--certs", "other", "--output", "a")
    assert (added["message_type"], added["role"], added["file"]) == ("certificate", "operator", "a")
    assert load_join_file(tmp_path / "a").facts.serial == added["serial"]
    (renewed,) = argosy.documents("cluster", "renew", "operator", "--revoke-old", "--certs", "other")
    assert Path(renewed["file"]).name == "operator.join"
    (revoked,) = argosy.documents("cluster", "revoke", "ann", "--certs", "other")
    assert (revoked["serial"], revoked["state"]) == (added["serial"], "revoked")
    assert revoked["revoked"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["init"], "there is a cluster in"),
        (["list", "--certs", "nowhere"], "there is no cluster in nowhere"),
        (["add", "member"], "the name member is taken"),
        (["add", "nas.1"], "cannot be a name"),
        (["add", "p1", "--role", "master"], "'master' is not one of"),
        (["add", "p1", "--address", "nas"], "'nas' is no address of a master"),
        (["add", "p1", "--output", "nowhere/p1"], "cannot write nowhere/p1"),
        (["add", "p1", "--days", "0"], "is no number from 1 on"),
        (["renew", "p1"], "there is no certificate of p1"),
        (["revoke", "master"], "cannot be revoked"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_next_step(argosy: Argosy, arguments: list[str], words: str) -> None:
    said = argosy.says("cluster", *arguments, expect=1)
    assert words in said
    assert said.startswith("Fatal: ")
    assert len(said.splitlines()) == 2
