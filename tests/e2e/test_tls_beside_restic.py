"""A store whose certificate nobody trusts by itself: with the same flags Argosy and restic 0.18 go in or stay out."""

from __future__ import annotations

import subprocess
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

    def both(self, *arguments: str | Path) -> list[bytes]:
        """What each prints for the same arguments."""
        ours = self.argosy.run(*arguments, "-r", self.restic.location)
        return [ours.stdout, self.restic.run(*arguments).stdout]

    def assert_both_stay_out(self, *arguments: str | Path) -> None:
        """Argosy at once, with what to do; restic would try for 15 minutes: it is heard once."""
        refused = self.argosy.run(*arguments, "-r", self.restic.location, expect=1)
        assert b"certificate cannot be trusted\nGive the authority's certificate with --cacert." in refused.stderr
        with subprocess.Popen(
            self.restic.command(*arguments),
            env=self.restic.variables(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            assert process.stdout is not None
            said = process.stdout.readline()
            process.kill()
        assert b"certificate" in said


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
    guarded.assert_both_stay_out("snapshots")


def test_with_another_authority_both_stay_out(guarded: Guarded) -> None:
    guarded.assert_both_stay_out("snapshots", "--cacert", guarded.another)


def test_with_the_authority_both_go_in(guarded: Guarded) -> None:
    for printed in guarded.both("cat", "config", "--cacert", guarded.authority):
        assert b"chunker_polynomial" in printed
    for printed in guarded.both("check", "--read-data", "--cacert", guarded.authority):
        assert b"no errors were found" in printed


def test_both_go_in_if_they_are_told_not_to_look(guarded: Guarded) -> None:
    ours, theirs = guarded.both("cat", "config", "--insecure-tls")
    assert ours.split() == theirs.split()
