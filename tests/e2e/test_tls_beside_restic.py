"""A store whose certificate nobody trusts by itself: with the same flags Argosy and restic 0.18 go in or stay out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.certificates import server_certificate
from tests.support.command import Argosy
from tests.support.compared import MODEL
from tests.support.restic import ResticRepository, require_restic
from tests.support.servers import rclone

pytestmark = pytest.mark.server


@dataclass(frozen=True)
class Guarded:
    """Both programs with one repository in the store, and files for --cacert."""

    argosy: Argosy
    restic: ResticRepository
    authority: Path
    another: Path

    def both(self, *arguments: str | Path, refused: bool = False) -> list[bytes]:
        """What each says for the same arguments, on either stream."""
        ours = self.argosy.run(*arguments, "-r", self.restic.location, expect=int(refused))
        theirs = self.restic.run(*arguments, expect=(int(refused),))
        return [done.stdout + done.stderr for done in (ours, theirs)]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    model, place = require_restic(MODEL), tmp_path_factory.mktemp("tls")
    (place / "another").mkdir()
    pem, key, authority_pem = server_certificate(place)
    authority, another = place / "authority.pem", place / "another.pem"
    authority.write_bytes(authority_pem)
    another.write_bytes(server_certificate(place / "another")[2])
    (place / "file").write_bytes(b"content")
    with rclone(place / "served", certificate=(pem, key)) as server:
        argosy = Argosy(place, environment=server.credentials)
        restic = ResticRepository(model, server.location("repository"), place, environment=server.credentials)
        argosy.run("backup", "--init", "--cacert", authority, "-r", restic.location, "file")
        yield Guarded(argosy, restic, authority, another)


def test_without_a_flag_both_stay_out(guarded: Guarded) -> None:
    for said in guarded.both("snapshots", refused=True):
        assert b"certificate" in said


def test_with_another_authority_both_stay_out(guarded: Guarded) -> None:
    for said in guarded.both("snapshots", "--cacert", guarded.another, refused=True):
        assert b"certificate" in said


def test_with_the_authority_both_go_in(guarded: Guarded) -> None:
    for said in guarded.both("cat", "config", "--cacert", guarded.authority):
        assert b"chunker_polynomial" in said
    for said in guarded.both("check", "--read-data", "--cacert", guarded.authority):
        assert b"no errors were found" in said


def test_both_go_in_if_they_are_told_not_to_look(guarded: Guarded) -> None:
    ours, theirs = guarded.both("cat", "config", "--insecure-tls")
    assert ours.split() == theirs.split()
